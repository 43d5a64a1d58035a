/* SPDX-License-Identifier: MIT */
/* What went wrong, in words, on standard error. Every function returns -1, for its caller to pass
 * on: whoever gets -1 need not say any more. */
#ifndef NFS_WORDS_H
#define NFS_WORDS_H

#include "mount3.h"
#include "nfs3.h"

/* "nfs: WHAT: WHY" */
int fail(const char *what, const char *why);
/* A call that got no result. */
int fail_call(dari_call *call);
/* A result that says no. */
int fail_nfs(const char *what, nfs_status status);
int fail_mount(const char *what, mount_status status);
/* A system call here. */
int fail_here(const char *what);

#endif
