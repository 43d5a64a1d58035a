/* SPDX-License-Identifier: MIT */
/* `nfs cat`, `nfs get` and `nfs put`. */
#include "commands.h"
#include "path.h"
#include "transfer.h"
#include "words.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int find_file(nfs_session *session, const char *path, nfs_found *ret_node)
{
    if (find_node(session, path, ret_node) < 0)
        return -1;
    if (ret_node->attributes.type == NFS_DIRECTORY)
        return fail_nfs(path, NFS_ISDIR);
    return ret_node->attributes.type == NFS_FILE ? 0 : fail(path, "it is not a file");
}

int print_file(nfs_session *session, char **operands)
{
    nfs_found file;
    if (find_file(session, operands[0], &file) < 0)
        return -1;
    nfs_progress hidden = {.shown = false};
    return read_file(session, operands[0], &file, STDOUT_FILENO, &hidden);
}

/* Reads the whole file into `output`, which it closes. */
static int fill(nfs_session *session, const char *path, const nfs_found *file, const char *local,
                int output)
{
    nfs_progress progress = progress_begin(file->attributes.size);
    int status = read_file(session, path, file, output, &progress);
    progress_end(&progress);
    if (close(output) < 0 && status == 0)
        status = fail_here(local);
    return status;
}

/* Into a new file beside the one that is wanted, which gets its name once all is there. */
static int get_beside(nfs_session *session, const char *path, const nfs_found *file,
                      const char *local)
{
    char part[PATH_MAX];
    if ((size_t)snprintf(part, sizeof part, "%s.XXXXXX", local) >= sizeof part)
        return fail_nfs(local, NFS_NAMETOOLONG);
    int output = mkostemp(part, O_CLOEXEC);
    if (output < 0)
        return fail_here(local);
    mode_t mask = umask(077);
    umask(mask);
    fchmod(output, file->attributes.mode & 0777 & ~mask);
    int status = fill(session, path, file, local, output);
    if (status == 0 && rename(part, local) < 0)
        status = fail_here(local);
    if (status < 0)
        unlink(part);
    return status;
}

/* What is no file, a device or a pipe, is written into; a link is followed. */
static int get_into(nfs_session *session, const char *path, const nfs_found *file,
                    const char *local)
{
    struct stat there;
    char real[PATH_MAX];
    if (stat(local, &there) < 0)
        return get_beside(session, path, file, local);
    if (S_ISREG(there.st_mode))
        return realpath(local, real) ? get_beside(session, path, file, real) : fail_here(local);
    int output = open(local, O_WRONLY | O_CLOEXEC);
    return output < 0 ? fail_here(local) : fill(session, path, file, local, output);
}

int get_file(nfs_session *session, char **operands)
{
    const char *local = operands[1];
    nfs_found file;
    if (find_file(session, operands[0], &file) < 0)
        return -1;
    if (!local) {
        const char *slash = strrchr(operands[0], '/');
        if (!slash || !slash[1])
            return fail(operands[0], "say what the file is to be called here");
        local = slash + 1;
    }
    return get_into(session, operands[0], &file, local);
}

/* Makes the file, or empties the one that is there. */
static int create_file(nfs_session *session, const char *path, uint32_t mode,
                       kept_handle *ret_handle)
{
    nfs_spot spot;
    create_result result;
    uint64_t size = 0;
    if (find_spot(session, path, &spot) < 0)
        return -1;
    create_arguments arguments = {
        .where = as_place(&spot),
        .how = {.mode = NFS_UNCHECKED, .u.attributes = {.mode = &mode, .size = &size}}};
    dari_call_reset(&session->call);
    if (create_3(session->nfs, &arguments, &result, &session->call) < 0)
        return fail_call(&session->call);
    if (result.status != NFS_OK)
        return fail_nfs(path, result.status);
    if (result.u.created.object) {
        *ret_handle = keep_handle(*result.u.created.object);
        return 0;
    }
    nfs_found created;
    int status = find_node(session, path, &created);
    *ret_handle = created.handle;
    return status;
}

int put_file(nfs_session *session, char **operands)
{
    const char *local = operands[0], *path = operands[1];
    struct stat facts;
    kept_handle file;
    int input = open(local, O_RDONLY | O_CLOEXEC);
    if (input < 0 || fstat(input, &facts) < 0)
        return fail_here(local);
    int status = S_ISREG(facts.st_mode) ? 0 : fail(local, "it is not a file");
    if (status == 0)
        status = create_file(session, path, facts.st_mode & 0777, &file);
    if (status == 0) {
        nfs_progress progress = progress_begin((uint64_t)facts.st_size);
        status = write_file(session, path, &file, input, (uint64_t)facts.st_size, &progress);
        progress_end(&progress);
    }
    close(input);
    return status;
}
