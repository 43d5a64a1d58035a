/* SPDX-License-Identifier: MIT */
#include "rpc/pending.h"

#include <stdlib.h>

void di_pending_grow(di_pending *pending)
{
    uint32_t old_count = pending->more_slots ? pending->slot_count : DI_PENDING_SLOTS;
    di_pending_call **old = pending->more_slots ? pending->more_slots : pending->first_slots;
    if (old_count > UINT32_MAX / 4)
        return;
    uint32_t count = 4 * old_count;
    di_pending_call **slots = calloc(count, sizeof *slots);
    if (!slots)
        return;
    for (uint32_t i = 0; i < old_count; i++) {
        for (di_pending_call *call = old[i], *next; call; call = next) {
            next = call->next;
            call->next = slots[call->xid & (count - 1)];
            slots[call->xid & (count - 1)] = call;
        }
    }
    free(pending->more_slots);
    pending->more_slots = slots;
    pending->slot_count = count;
}

void di_pending_end(di_pending *pending)
{
    free(pending->more_slots);
    pending->more_slots = NULL;
}
