/* SPDX-License-Identifier: MIT */
/* A file here that gets its name once it is whole, and of which nothing is left otherwise. */
#ifndef NFS_NEW_FILE_H
#define NFS_NEW_FILE_H

#include <limits.h>
#include <sys/types.h>

typedef struct new_file {
    const char *name; /* the one that it is to get; not copied */
    int descriptor;
    char part[PATH_MAX]; /* its name until then, or "" where it has none */
} new_file;

/* All return 0, or -1 with words said. A file that was begun is ended once, where it was not placed
 * too. */
int new_file_begin(new_file *file, const char *name, mode_t mode);
/* Gives it its name, in the place of what has that. */
int new_file_place(new_file *file);
void new_file_end(new_file *file);

#endif
