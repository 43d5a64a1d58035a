/* SPDX-License-Identifier: MIT */
/* A bar on standard error, where that is a terminal. */
#ifndef NFS_PROGRESS_H
#define NFS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct nfs_progress {
    bool shown;
    uint64_t all, done;
    int64_t drawn_ms, began_ms;
} nfs_progress;

nfs_progress progress_begin(uint64_t bytes);
void progress_add(nfs_progress *progress, uint64_t bytes);
/* Takes the bar away. */
void progress_end(nfs_progress *progress);

#endif
