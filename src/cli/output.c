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

/* Whatever happens to the descriptor, it is closed. */
static bool write_and_close(int descriptor, const di_text *text)
{
    mode_t mask = umask(0);
    umask(mask);
    bool written = fchmod(descriptor, 0666 & ~mask) == 0;
    for (size_t at = 0; written && at < text->size;) {
        ssize_t size = write(descriptor, text->data + at, text->size - at);
        if (size >= 0)
            at += (size_t)size;
        else
            written = errno == EINTR;
    }
    int error = errno;
    if (close(descriptor) < 0 && written) {
        written = false;
        error = errno;
    }
    errno = error;
    return written;
}

bool di_output_write(di_output_set *set, const char *directory, const char *stem,
                     const char *ending, const di_text *text)
{
    di_output *file = &set->files[set->count++];
    file->path = di_output_path(directory, stem, ending);
    if (!file->path || asprintf(&file->temporary, "%s.XXXXXX", file->path) < 0) {
        file->temporary = NULL;
        return fail(set, stem, ENOMEM);
    }
    int descriptor = mkostemp(file->temporary, O_CLOEXEC);
    if (descriptor < 0) {
        int error = errno;
        free(file->temporary);
        file->temporary = NULL;
        return fail(set, file->path, error);
    }
    return write_and_close(descriptor, text) || fail(set, file->path, errno);
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
        if (file->temporary)
            unlink(file->temporary);
        free(file->temporary);
        free(file->path);
    }
    di_text_free(&set->error);
    *set = (di_output_set){0};
}
