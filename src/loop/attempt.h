/* SPDX-License-Identifier: MIT */
/* A connect in a thread of its own, which lasts as long as that takes: name look-ups, several
 * addresses and a full queue of a listener take any time, and not every scheme has a descriptor
 * that tells of the end. So nobody who dispatches is blocked, and whoever waits can give up.
 *
 * An attempt belongs to its client until it ends or is abandoned, and to its thread. */
#ifndef DI_LOOP_ATTEMPT_H
#define DI_LOOP_ATTEMPT_H

#include "transport/transport.h"

#include <dari/client.h>

typedef struct di_attempt di_attempt;

/* Begins to connect to the client's server, whose port rpcbind is asked for again. The outcome goes
 * to di_reconnect_take. Called with the client's lock held. Errors: DARI_NO_MEMORY, DARI_ERRNO. */
int di_attempt_begin(dari_client *client, uint64_t deadline, di_attempt **ret_attempt,
                     di_failure *ret_failure);

/* The client takes the outcome no more: once this has returned, the thread knows nothing of it. The
 * client must have forgotten the attempt. Called without the client's lock. Takes NULL. */
void di_attempt_abandon(di_attempt *attempt);

/* Frees the attempt in a process that has inherited it, without its thread. Takes NULL. */
void di_attempt_free(di_attempt *attempt);

#endif
