/* SPDX-License-Identifier: MIT */
/* Folders for what a benchmark writes. */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

#include <stdbool.h>

#define SCRATCH_SIZE 80

/* Makes an empty folder, below TMPDIR or /tmp. False, having said so on standard error: it could
 * not, and the path is "". */
bool scratch_make(char ret_path[SCRATCH_SIZE]);

/* Removes it with all that is in it. Takes "". */
void scratch_remove(const char *path);

#endif
