/* SPDX-License-Identifier: MIT */
/* What a side of a shm: connection does with references to the memory for loans (lending.h).
 *
 * The client refers to parts of messages that lie there whole. The server puts the bytes in their
 * place in what it has received: by copying them, once, or, where it reads loans where they lie, by
 * leaving the place free and noting where they are. The place is memory that nobody touches.
 *
 * Everything of a client belongs to the thread that sends, of a server to the one that receives. */
#ifndef DI_TRANSPORT_SHM_LOANS_H
#define DI_TRANSPORT_SHM_LOANS_H

#include "base/region.h"
#include "ipc/lending.h"
#include "transport/inbound.h"
#include "transport/transport.h"

/* Less than that is copied: a server's side of DARI_REFERENCE_MIN. */
#define DI_SHM_IN_PLACE_MIN ((uint32_t)64 << 10)

typedef struct di_shm_loans {
    di_region *region; /* the connection's */

    /* Of a client. */
    di_lender lender;

    /* Of a server. */
    di_borrower borrower;
    di_lending_reference next; /* not taken yet, if `has_next` */
    bool has_next;
    uint32_t done;     /* bytes of it that are copied */
    uint64_t consumed; /* bytes of the stream, as far as it has places, */
    uint32_t first, count;
    struct {
        uint64_t at; /* that begin there */
        const uint8_t *data;
        uint32_t size;
    } places[DI_PLACES_MAX];
} di_shm_loans;

/* Returns NULL where there is no memory. */
di_shm_loans *di_shm_loans_create(di_region *region, di_lending_control *control);

/* Refers to a part, if it lies in the memory for loans and there is room for that. Returns 1 where
 * it does, 0 or DARI_PROTOCOL. */
int di_shm_lend(di_shm_loans *loans, di_ring_writer *writer, const uint8_t *data, size_t size);

/* Looks for a reference among the `size` bytes that the reader has next. Returns 1 and how many
 * bytes come before it, 0 where there is none, or DARI_PROTOCOL. */
int di_shm_find_reference(di_shm_loans *loans, const di_ring_reader *reader, uint32_t size,
                          uint32_t *ret_before);

/* Puts bytes of the reference that was found in their place behind what is in `in`; or, of one that
 * ends before `whole_until` there, notes where they are. `want` is as receive has it. Returns 1
 * where the reference is done with, 0 where more is left of it, or DARI_NO_MEMORY. */
int di_shm_put_loan(di_shm_loans *loans, di_inbound *in, size_t want, size_t whole_until);

/* The first `size` bytes are consumed. Returns how many places are left. */
unsigned di_shm_forget_places(di_shm_loans *loans, size_t size);

/* As parts of transport.h; `bytes` is the beginning of what was received. */
unsigned di_shm_list_places(const di_shm_loans *loans, uint8_t *bytes, const uint8_t *from,
                            size_t size, di_part *ret_parts);

#endif
