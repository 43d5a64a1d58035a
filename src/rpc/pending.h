/* SPDX-License-Identifier: MIT */
/* Calls that wait for their replies, found by xid.
 *
 * An entry lives in its owner's memory, in the list from add to remove. One thread at a time; the
 * client's lock sees to that. */
#ifndef DI_RPC_PENDING_H
#define DI_RPC_PENDING_H

#include <stddef.h>
#include <stdint.h>

typedef struct di_pending_call {
    struct di_pending_call *next;
    struct di_pending_call *previous;
    uint32_t xid;
} di_pending_call;

/* A zeroed structure is empty and ready. */
typedef struct di_pending {
    di_pending_call *first;
    uint32_t next_xid;
    uint64_t dropped; /* replies that no call waited for */
} di_pending;

/* Gives the call the next xid and puts it in the list. */
static inline void di_pending_add(di_pending *pending, di_pending_call *call)
{
    call->xid = pending->next_xid++;
    call->previous = NULL;
    call->next = pending->first;
    if (call->next)
        call->next->previous = call;
    pending->first = call;
}

static inline void di_pending_remove(di_pending *pending, di_pending_call *call)
{
    if (call->previous)
        call->previous->next = call->next;
    else
        pending->first = call->next;
    if (call->next)
        call->next->previous = call->previous;
    call->next = call->previous = NULL;
}

/* The call that waits for `xid`; NULL, and counted, where none does. */
static inline di_pending_call *di_pending_match(di_pending *pending, uint32_t xid)
{
    for (di_pending_call *call = pending->first; call; call = call->next)
        if (call->xid == xid)
            return call;
    pending->dropped++;
    return NULL;
}

#endif
