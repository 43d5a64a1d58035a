/* SPDX-License-Identifier: MIT */
/* The benchmark of the NFS client and server of the examples, beside libnfs's tools and
 * NFS-Ganesha. */
#ifndef BENCH_NFS_H
#define BENCH_NFS_H

#include "measure.h"

/* Measures the rows nfs/…. `shell` is nfs_shell.sh, `examples` the folder where they are built.
 * Where the servers cannot be started, it says why and leaves the rows out. False: a subject
 * failed. */
bool nfs_rows(measure_report *report, const char *shell, const char *examples);

#endif
