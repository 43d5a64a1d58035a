/* SPDX-License-Identifier: MIT */
/* How the schemes say why they failed. Any thread. */
#ifndef DI_TRANSPORT_FAILURE_H
#define DI_TRANSPORT_FAILURE_H

#include "transport/transport.h"

/* Puts down `words`, which are static, and returns `error`. */
int di_fail(di_failure *failure, int error, const char *words);

/* Puts down the errno of a system call that failed, and `words`, static or NULL. Returns the code
 * that a caller can act on, or DARI_ERRNO. */
int di_fail_system(di_failure *failure, int cause, const char *words);

/* How much an error tells of a host, 0 to 3: of several addresses, one may have refused where the
 * machine has no way to the others; and where one has said nothing, not all have refused. */
int di_failure_rank(int error);

#endif
