/* SPDX-License-Identifier: MIT */
/* What a stream has received and nobody has consumed yet: the memory behind receive, peek, consume,
 * hold and lend (transport.h). One thread at a time; what is held is read by any. */
#ifndef DI_TRANSPORT_INBOUND_H
#define DI_TRANSPORT_INBOUND_H

#include "base/buffer.h"

#include <stdbool.h>

/* The room that is made for what arrives; more than that only for what a peer announced, and at
 * first no more than the second figure: an announcement costs a peer nothing. */
#define DI_INBOUND_ROOM ((size_t)4096)
#define DI_INBOUND_ANNOUNCED ((size_t)256 << 10)

/* A zeroed one, whose buffer is initialised, is ready. */
typedef struct di_inbound {
    di_buffer buffer;
    di_hold *lent; /* memory for it when it next has none, or NULL */
} di_inbound;

/* Makes room in the buffer to receive into, where `want` bytes can be used. Moves what others hold
 * to other memory. Errors: DARI_NO_MEMORY. */
int di_inbound_make_room(di_inbound *inbound, size_t want);

/* After receiving: memory that is not needed goes back. */
static inline void di_inbound_rest(di_inbound *inbound)
{
    di_buffer_consume(&inbound->buffer, 0);
}

void di_inbound_consume(di_inbound *inbound, size_t size);

/* The same for all that is there, but memory of the least size, which nobody else holds, is kept;
 * di_inbound_rest gives it back. Returns whether that could be done. */
static inline bool di_inbound_empty(di_inbound *inbound, size_t size)
{
    di_buffer *buffer = &inbound->buffer;
    if (size < di_buffer_size(buffer) || buffer->room > DI_BUFFER_START || !buffer->data ||
        !di_hold_is_single(di_buffer_hold(buffer)))
        return false;
    buffer->begin = buffer->end = 0;
    return true;
}

/* Takes memory over, for when it next has none. */
void di_inbound_lend(di_inbound *inbound, di_hold *memory);

void di_inbound_end(di_inbound *inbound);

#endif
