/* SPDX-License-Identifier: MIT */
#include "scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

bool scratch_make(char ret_path[SCRATCH_SIZE])
{
    const char *parent = getenv("TMPDIR");
    snprintf(ret_path, SCRATCH_SIZE, "%.50s/dari-bench-XXXXXX", parent ? parent : "/tmp");
    if (mkdtemp(ret_path))
        return true;
    perror(ret_path);
    ret_path[0] = '\0';
    return false;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

void scratch_remove(const char *path)
{
    if (path[0])
        nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
