/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int fail(const char *what, const char *why)
{
    fprintf(stderr, "nfs: %s: %s\n", what, why);
    return -1;
}

int fail_call(dari_call *call)
{
    if (call->error == DARI_CANCELLED)
        return fail(call->procedure, "interrupted");
    fprintf(stderr, "nfs: %s\n", dari_call_message(call));
    return -1;
}

int fail_here(const char *what)
{
    return fail(what, strerror(errno));
}

static const struct {
    nfs_status status;
    const char *words;
} statuses[] = {
    {NFS_PERM, "only its owner may do that"},
    {NFS_NOENT, "there is no such file or directory"},
    {NFS_IO, "the server could not read or write its disk"},
    {NFS_NXIO, "there is no such device"},
    {NFS_ACCES, "permission denied"},
    {NFS_EXIST, "it exists already"},
    {NFS_XDEV, "that is on another file system"},
    {NFS_NODEV, "there is no such device"},
    {NFS_NOTDIR, "it is not a directory"},
    {NFS_ISDIR, "it is a directory"},
    {NFS_INVAL, "the server takes that for invalid"},
    {NFS_FBIG, "the file would be too large"},
    {NFS_NOSPC, "no space is left on the server"},
    {NFS_ROFS, "the file system is read-only"},
    {NFS_MLINK, "it has too many links"},
    {NFS_NAMETOOLONG, "the name is too long"},
    {NFS_NOTEMPTY, "the directory is not empty"},
    {NFS_DQUOT, "the quota on the server is used up"},
    {NFS_STALE, "stale handle: the file was removed on the server meanwhile"},
    {NFS_REMOTE, "the server has it from another server"},
    {NFS_BADHANDLE, "the server does not know the handle"},
    {NFS_NOT_SYNC, "it was changed meanwhile"},
    {NFS_BAD_COOKIE, "the directory was changed while it was listed: try again"},
    {NFS_NOTSUPP, "the server cannot do that"},
    {NFS_TOOSMALL, "the server wants to send more than it may"},
    {NFS_SERVERFAULT, "the server failed"},
    {NFS_BADTYPE, "the server has no such type of file"},
    {NFS_JUKEBOX, "the server is not ready for it yet: try again later"},
};

int fail_nfs(const char *what, nfs_status status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status)
            return fail(what, statuses[i].words);
    return fail(what, "the server refuses, and does not say why");
}

/* MOUNT has some of the numbers of NFS, with the same meaning. */
int fail_mount(const char *what, mount_status status)
{
    if (status == MOUNT_ACCES)
        return fail(what, "the server does not let this machine mount it");
    return fail_nfs(what, (nfs_status)status);
}
