/* SPDX-License-Identifier: MIT */
/* Files' contents, by READs and WRITEs of which several are in flight at once. */
#ifndef NFS_TRANSFER_H
#define NFS_TRANSFER_H

#include "path.h"
#include "progress.h"

/* How much one READ and one WRITE should carry (FSINFO), and how many are in flight at once. */
typedef struct transfer_plan {
    uint32_t read_size, write_size;
    unsigned in_flight;
} transfer_plan;

/* All return 0, or -1 with words said; `path` is for those. */
int plan_transfer(nfs_session *session, const char *path, const kept_handle *file,
                  transfer_plan *ret_plan);
/* Reads the whole file, and writes it to `output` in order. */
int read_file(nfs_session *session, const char *path, const nfs_found *file, int output,
              nfs_progress *progress);
/* Writes `size` bytes of `input`, which can be read at any place, and has the server make them
 * safe. */
int write_file(nfs_session *session, const char *path, const kept_handle *file, int input,
               uint64_t size, nfs_progress *progress);

#endif
