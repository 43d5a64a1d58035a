/* SPDX-License-Identifier: MIT */
/* Cancelling calls: from another thread, or from a signal handler.
 *
 *   dari_cancel *cancel = NULL;
 *   dari_cancel_create(&cancel);
 *   dari_call call = DARI_CALL(.cancel = cancel);
 *   readdir_3(client, &where, &listing, &call);     returns DARI_CANCELLED soon after
 *                                                   dari_cancel_now(cancel) elsewhere
 *
 * The wire has no cancelling: the server is not told. The call's outcome says whether it may have
 * run, and a late reply is dropped. One cancel may be given to any number of calls, of any clients,
 * one after the other or at once; it stays cancelled, so that later calls with it fail at once. */
#ifndef DARI_CANCEL_H
#define DARI_CANCEL_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dari_cancel dari_cancel;

/* Makes a cancel; the caller destroys it. It takes one descriptor.
 * Errors: DARI_ERRNO (errno holds the cause), DARI_NO_MEMORY, DARI_INVALID. */
int dari_cancel_create(dari_cancel **ret_cancel);

/* Ends every call that has this cancel with DARI_CANCELLED, unless its reply is already there. From
 * any thread and from a signal handler; keeps errno. In a process that inherited the cancel over
 * fork it does nothing. */
void dari_cancel_now(dari_cancel *cancel);

/* Whether dari_cancel_now was called. From any thread and from a signal handler. */
bool dari_cancel_is_set(const dari_cancel *cancel);

/* Frees the cancel. No call that has it may be in progress. Takes NULL. */
void dari_cancel_destroy(dari_cancel *cancel);

#ifdef __cplusplus
}
#endif

#endif
