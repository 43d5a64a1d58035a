/* SPDX-License-Identifier: MIT */
/* References beside a ring (ring.h): bytes that are not written into it, but lie in another memory
 * that both sides have.
 *
 * A reference takes the place of one byte of the ring. A slot in shared memory says which byte that
 * is, and where in the other memory the bytes are that belong there. The lender publishes the slot
 * before it publishes the byte, so that the borrower, who looks at the ring first, knows of each
 * reference before it comes to its place. The lender knows by the ring how far the borrower is, and
 * so which slots are free.
 *
 * The borrower reads each word once and checks it. Whoever lies about a place has written some
 * bytes of its stream twice or never; whoever lies about the rest is told from an honest lender. As
 * with rings, each side belongs to one thread at a time. */
#ifndef DI_IPC_LENDING_H
#define DI_IPC_LENDING_H

#include "ipc/ring.h"

/* References that may be in the ring at once. A power of two. */
#define DI_LENDING_SLOTS 64u

typedef struct di_lending_slot {
    _Atomic(uint32_t) place; /* the cursor of its byte in the ring */
    _Atomic(uint32_t) offset, size;
    _Atomic(uint32_t) unused;
} di_lending_slot;

/* What is shared. Zero at first. */
typedef struct di_lending_control {
    _Alignas(128) _Atomic(uint32_t) tail; /* slots that were filled */
    _Alignas(128) di_lending_slot slots[DI_LENDING_SLOTS];
} di_lending_control;

_Static_assert(sizeof(di_lending_control) == 1152, "the same in 32 and 64 bits");

typedef struct di_lender {
    di_lending_control *control;
    uint32_t head, tail; /* slots that are free again, and filled */
    uint32_t places[DI_LENDING_SLOTS], sizes[DI_LENDING_SLOTS];
} di_lender;

typedef struct di_borrower {
    di_lending_control *control;
    uint32_t head; /* slots that were taken */
} di_borrower;

typedef struct di_lending_reference {
    uint32_t place, offset, size;
} di_lending_reference;

/* Looks how much room there is in the ring, as di_ring_look_for_room, and frees the slots of
 * references that its reader has passed: each time, since a place is known from one that lies a
 * turn of the cursors behind only while it is near. */
static inline int di_lender_look_for_room(di_lender *lender, di_ring_writer *writer)
{
    int error = di_ring_look_for_room(writer);
    while (error == 0 && lender->head != lender->tail &&
           (int32_t)(writer->head - lender->places[lender->head % DI_LENDING_SLOTS]) > 0)
        lender->head++;
    return error;
}

/* Whether a slot is free. */
static inline bool di_lender_has_slot(const di_lender *lender)
{
    return lender->tail - lender->head < DI_LENDING_SLOTS;
}

/* Puts a reference at the end of the ring, which has room for a byte; a slot is free. */
static inline void di_lend(di_lender *lender, di_ring_writer *writer, uint32_t offset,
                           uint32_t size)
{
    uint32_t index = lender->tail++ % DI_LENDING_SLOTS;
    di_lending_slot *slot = &lender->control->slots[index];
    lender->places[index] = writer->tail;
    lender->sizes[index] = size;
    atomic_store_explicit(&slot->place, writer->tail, memory_order_relaxed);
    atomic_store_explicit(&slot->offset, offset, memory_order_relaxed);
    atomic_store_explicit(&slot->size, size, memory_order_relaxed);
    atomic_store_explicit(&lender->control->tail, lender->tail, memory_order_release);
    *di_ring_room(writer) = 0;
    di_ring_write(writer, 1);
}

/* Of the references behind the cursor `from`: the bytes that they stand for beyond their own. */
static inline uint64_t di_lender_lent(const di_lender *lender, uint32_t from)
{
    uint64_t lent = 0;
    for (uint32_t i = lender->head; i != lender->tail; i++)
        if ((int32_t)(lender->places[i % DI_LENDING_SLOTS] - from) >= 0)
            lent += lender->sizes[i % DI_LENDING_SLOTS] - UINT64_C(1);
    return lent;
}

/* Takes back the last `size` bytes of what was written or lent, as di_ring_withdraw does. */
static inline void di_lender_withdraw(di_lender *lender, di_ring_writer *writer, uint64_t size)
{
    while (lender->head != lender->tail) {
        uint32_t newest = (lender->tail - 1) % DI_LENDING_SLOTS;
        uint32_t behind = writer->tail - lender->places[newest] - 1;
        if (size <= behind)
            break;
        size -= (uint64_t)behind + lender->sizes[newest];
        di_ring_withdraw(writer, behind + 1);
        lender->tail--;
    }
    di_ring_withdraw(writer, (uint32_t)size);
}

/* Looks for the next reference, after looking for bytes. Returns 1, 0 where there is none, or
 * DARI_PROTOCOL: the lender claims to have more in the ring than there are slots. */
static inline int di_borrower_look(const di_borrower *borrower, di_lending_reference *ret_next)
{
    uint32_t tail = atomic_load_explicit(&borrower->control->tail, memory_order_acquire);
    if (tail == borrower->head)
        return 0;
    if (tail - borrower->head > DI_LENDING_SLOTS)
        return DARI_PROTOCOL;
    const di_lending_slot *slot = &borrower->control->slots[borrower->head % DI_LENDING_SLOTS];
    *ret_next =
        (di_lending_reference){.place = atomic_load_explicit(&slot->place, memory_order_relaxed),
                               .offset = atomic_load_explicit(&slot->offset, memory_order_relaxed),
                               .size = atomic_load_explicit(&slot->size, memory_order_relaxed)};
    return 1;
}

/* The reference that was seen is done with. */
static inline void di_borrower_take(di_borrower *borrower)
{
    borrower->head++;
}

#endif
