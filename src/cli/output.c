/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *di_output_path(const char *directory, const char *stem, const char *ending)
{
    const char *slash = "/";
    if (!strcmp(directory, "."))
        directory = slash = "";
    else if (directory[strlen(directory) - 1] == '/')
        slash = "";
    char *path = NULL;
    if (asprintf(&path, "%s%s%s%s", directory, slash, stem, ending) < 0)
        return NULL;
    return path;
}

static bool fail(di_output_set *set, const char *path, int error)
{
    if (!set->error.size)
        di_text_format(&set->error, "cannot write %s: %s", path, strerror(error));
    return false;
}

bool di_output_open(di_output_set *set, const char *directory, const char *stem, const char *ending)
{
    di_output *file = &set->files[set->count++];
    file->descriptor = -1;
    file->path = di_output_path(directory, stem, ending);
    if (!file->path || asprintf(&file->temporary, "%s.XXXXXX", file->path) < 0) {
        file->temporary = NULL;
        return fail(set, stem, ENOMEM);
    }
    file->descriptor = mkostemp(file->temporary, O_CLOEXEC);
    if (file->descriptor < 0) {
        int error = errno;
        free(file->temporary);
        file->temporary = NULL;
        return fail(set, file->path, error);
    }
    mode_t mask = umask(0);
    umask(mask);
    return fchmod(file->descriptor, 0666 & ~mask) == 0 || fail(set, file->path, errno);
}

bool di_output_append(di_output_set *set, unsigned number, const char *data, size_t size)
{
    const di_output *file = &set->files[number];
    for (size_t at = 0; at < size;) {
        ssize_t written = write(file->descriptor, data + at, size - at);
        if (written >= 0)
            at += (size_t)written;
        else if (errno != EINTR)
            return fail(set, file->path, errno);
    }
    return true;
}

/* Whatever happens to the descriptor, it is closed. */
static bool end_writing(di_output_set *set, di_output *file)
{
    int descriptor = file->descriptor;
    file->descriptor = -1;
    return close(descriptor) == 0 || fail(set, file->path, errno);
}

/* Renames a file to its final path. An older one there is swapped with it and then removed, since
 * some file systems bring a file that replaces another to the disk at once, which takes them longer
 * than the rest takes us. */
static bool put_in_place(const di_output *file)
{
    if (renameat2(AT_FDCWD, file->temporary, AT_FDCWD, file->path, RENAME_EXCHANGE) < 0)
        return rename(file->temporary, file->path) == 0;
    unlink(file->temporary);
    return true;
}

bool di_output_commit(di_output_set *set)
{
    for (unsigned i = 0; i < set->count; i++)
        if (!end_writing(set, &set->files[i]))
            return false;
    /* What rename would refuse is found before the first one. */
    struct stat there;
    for (unsigned i = 0; i < set->count; i++)
        if (lstat(set->files[i].path, &there) == 0 && S_ISDIR(there.st_mode))
            return fail(set, set->files[i].path, EISDIR);
    for (unsigned i = 0; i < set->count; i++) {
        di_output *file = &set->files[i];
        if (!put_in_place(file))
            return fail(set, file->path, errno);
        free(file->temporary);
        file->temporary = NULL;
    }
    return true;
}

void di_output_free(di_output_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        di_output *file = &set->files[i];
        if (file->descriptor >= 0)
            close(file->descriptor);
        if (file->temporary)
            unlink(file->temporary);
        free(file->temporary);
        free(file->path);
    }
    di_text_free(&set->error);
    *set = (di_output_set){0};
}
