/* SPDX-License-Identifier: MIT */
/* Where the two sides of shm: meet: shm:/path at that path; shm:NAME in a directory that only this
 * user can write to, `dari` in $XDG_RUNTIME_DIR, or in /run for root. Any thread. */
#ifndef DI_TRANSPORT_SHM_PLACE_H
#define DI_TRANSPORT_SHM_PLACE_H

#include "base/text.h"
#include "transport/transport.h"

/* Finds the path of an address's rest; with `make` the directory is made where it is missing.
 * Errors: DARI_ADDRESS, DARI_PERMISSION (others can write there), DARI_REFUSED (it is not there),
 * DARI_NO_MEMORY, DARI_ERRNO; the text is freed by the caller all the same. */
int di_shm_find_path(const char *rest, bool make, di_text *ret_path, di_failure *ret_failure);

#endif
