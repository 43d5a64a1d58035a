/* SPDX-License-Identifier: MIT */
/* The file has no name at first (O_TMPFILE): however the program ends, the system takes it away.
 * Where a file system has no such files, it has another name beside the one that is wanted, and
 * only an end by SIGKILL leaves that. */
#include "new_file.h"

#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".XXXXXX"
#define NAMES_MAX 100

static void name_descriptor(int descriptor, char name[static 32])
{
    snprintf(name, 32, "/proc/self/fd/%d", descriptor);
}

/* In the directory of `name`. It can be named later only with /proc. */
static int open_nameless(const char *name)
{
    char directory[PATH_MAX], by_number[32];
    const char *slash = strrchr(name, '/');
    size_t size = slash ? (size_t)(slash - name) + 1 : 0;
    memcpy(directory, name, size);
    strcpy(directory + size, ".");
    int descriptor = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return -1;
    name_descriptor(descriptor, by_number);
    if (access(by_number, F_OK) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

int new_file_begin(new_file *file, const char *name, mode_t mode)
{
    *file = (new_file){.name = name};
    if ((size_t)snprintf(file->part, sizeof file->part, "%s" SUFFIX, name) >= sizeof file->part)
        return fail_nfs(name, NFS_NAMETOOLONG);
    file->descriptor = open_nameless(name);
    if (file->descriptor >= 0)
        *file->part = '\0';
    else
        file->descriptor = mkostemp(file->part, O_CLOEXEC);
    if (file->descriptor < 0)
        return fail_here(name);
    mode_t mask = umask(077);
    umask(mask);
    fchmod(file->descriptor, mode & 0777 & ~mask);
    return 0;
}

static int link_as(const new_file *file, const char *name)
{
    char by_number[32];
    name_descriptor(file->descriptor, by_number);
    return linkat(AT_FDCWD, by_number, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

/* A link never takes the place of another: so the file gets a name beside first. */
static int link_beside(new_file *file)
{
    int status = -1;
    for (int i = 0; i < NAMES_MAX && status < 0 && (i == 0 || errno == EEXIST); i++) {
        uint32_t chance;
        if (getrandom(&chance, sizeof chance, 0) < 0)
            return -1;
        snprintf(file->part, sizeof file->part, "%s.%06x", file->name, chance & 0xffffff);
        status = link_as(file, file->part);
    }
    if (status < 0)
        *file->part = '\0';
    return status;
}

static int place(new_file *file)
{
    if (!*file->part) {
        if (link_as(file, file->name) == 0)
            return 0;
        if (errno != EEXIST || link_beside(file) < 0)
            return -1;
    }
    if (rename(file->part, file->name) < 0)
        return -1;
    *file->part = '\0';
    return 0;
}

/* What a file system tells only at the end it tells whenever the file is closed. */
static int flush(const new_file *file)
{
    int copy = dup(file->descriptor);
    return copy < 0 || close(copy) < 0 ? -1 : 0;
}

/* No signal comes between two names. */
int new_file_place(new_file *file)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    int status = flush(file) < 0 || place(file) < 0 ? fail_here(file->name) : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

void new_file_end(new_file *file)
{
    if (*file->part)
        unlink(file->part);
    close(file->descriptor);
}
