/* SPDX-License-Identifier: MIT */
#include "transport/shm_place.h"

#include "transport/failure.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether nobody but this user can put anything there. */
static int check_directory(const char *path, di_failure *failure)
{
    struct stat status;
    if (lstat(path, &status) < 0)
        return di_fail_system(failure, errno, "the directory of shm: names is not there");
    if (!S_ISDIR(status.st_mode))
        return di_fail(failure, DARI_ADDRESS, "the directory of shm: names is none");
    if (status.st_uid != geteuid())
        return di_fail(failure, DARI_PERMISSION, "the directory of shm: names is another user's");
    if (status.st_mode & (S_IWGRP | S_IWOTH))
        return di_fail(failure, DARI_PERMISSION, "others can write to the directory of shm: names");
    return 0;
}

/* The directory that the system has for this user's sockets. */
static int find_base(const char **ret_base, di_failure *failure)
{
    const char *base = geteuid() == 0 ? "/run" : secure_getenv("XDG_RUNTIME_DIR");
    if (!base || *base != '/')
        return di_fail(failure, DARI_ADDRESS, "XDG_RUNTIME_DIR is not set, and no path is given");
    *ret_base = base;
    return check_directory(base, failure);
}

static int check_name(const char *name, di_failure *failure)
{
    if (*name == '\0')
        return di_fail(failure, DARI_ADDRESS, "the name is missing");
    if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return di_fail(failure, DARI_ADDRESS, "it is neither a name nor an absolute path");
    return 0;
}

int di_shm_find_path(const char *rest, bool make, di_text *path, di_failure *failure)
{
    const char *base = NULL;
    if (*rest == '/') {
        di_text_format(path, "%s", rest);
        return path->failed ? DARI_NO_MEMORY : 0;
    }
    int error = check_name(rest, failure);
    if (error == 0)
        error = find_base(&base, failure);
    if (error < 0)
        return error;
    di_text_format(path, "%s/dari", base);
    if (path->failed)
        return DARI_NO_MEMORY;
    if (make && mkdir(path->data, 0700) < 0 && errno != EEXIST)
        return di_fail_system(failure, errno, "the directory of shm: names cannot be made");
    error = check_directory(path->data, failure);
    if (error < 0)
        return error;
    di_text_format(path, "/%s", rest);
    return path->failed ? DARI_NO_MEMORY : 0;
}
