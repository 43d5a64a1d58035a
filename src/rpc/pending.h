/* SPDX-License-Identifier: MIT */
/* Calls that wait for their replies, found by xid.
 *
 * An entry lives in its owner's memory, and is in the table from add to remove. Numbers are given
 * in order, so that their low bits spread calls evenly. The table grows with the calls in flight;
 * where there is no memory for that it becomes slower, and still finds all. One thread at a time;
 * the client's lock sees to that. */
#ifndef DI_RPC_PENDING_H
#define DI_RPC_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The slots that need no memory of their own; a power of two, as every later size. */
#define DI_PENDING_SLOTS 16u

typedef struct di_pending_call {
    struct di_pending_call *next; /* in its slot */
    uint32_t xid;
    bool asynchronous; /* the owner's: no thread waits for it */
} di_pending_call;

/* A zeroed structure is empty and ready. */
typedef struct di_pending {
    di_pending_call *first_slots[DI_PENDING_SLOTS];
    di_pending_call **more_slots; /* instead of these, or NULL */
    uint32_t slot_count;          /* of more_slots */
    uint32_t count;               /* calls in the table */
    uint32_t next_xid;
    uint64_t dropped; /* replies that no call waited for */
} di_pending;

/* Makes the table larger, if there is memory for it. */
void di_pending_grow(di_pending *pending);

static inline di_pending_call **di_pending_slot(di_pending *pending, uint32_t xid)
{
    if (pending->more_slots)
        return &pending->more_slots[xid & (pending->slot_count - 1)];
    return &pending->first_slots[xid & (DI_PENDING_SLOTS - 1)];
}

/* Puts the call in the table with the xid that it has. */
static inline void di_pending_put(di_pending *pending, di_pending_call *call)
{
    if (pending->count++ >= (pending->more_slots ? pending->slot_count : DI_PENDING_SLOTS))
        di_pending_grow(pending);
    di_pending_call **slot = di_pending_slot(pending, call->xid);
    call->next = *slot;
    *slot = call;
}

/* Gives the call the next xid and puts it in the table. */
static inline void di_pending_add(di_pending *pending, di_pending_call *call)
{
    call->xid = pending->next_xid++;
    di_pending_put(pending, call);
}

static inline void di_pending_remove(di_pending *pending, di_pending_call *call)
{
    di_pending_call **link = di_pending_slot(pending, call->xid);
    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
    call->next = NULL;
    pending->count--;
}

/* The call that waits for `xid`; NULL, and counted, where none does. */
static inline di_pending_call *di_pending_match(di_pending *pending, uint32_t xid)
{
    for (di_pending_call *call = *di_pending_slot(pending, xid); call; call = call->next)
        if (call->xid == xid)
            return call;
    pending->dropped++;
    return NULL;
}

/* Gives the table's memory back; the calls are their owners'. */
void di_pending_end(di_pending *pending);

#endif
