/* SPDX-License-Identifier: MIT */
#include "transport/inbound.h"

#include <string.h>

/* Whether somebody holds what has been received. */
static bool is_held(const di_inbound *inbound)
{
    return inbound->buffer.data && !di_hold_is_single(di_buffer_hold(&inbound->buffer));
}

static void use_lent(di_inbound *inbound, di_buffer *buffer)
{
    if (inbound->lent)
        di_buffer_lend(buffer, inbound->lent);
    inbound->lent = NULL;
}

/* Moves what has been received out of memory that others hold. */
static int move_out(di_inbound *inbound)
{
    di_buffer moved = {
        .cap = inbound->buffer.cap, .pool = inbound->buffer.pool, .keep = inbound->buffer.keep};
    size_t size;
    uint8_t *room;
    const uint8_t *bytes = di_buffer_peek(&inbound->buffer, &size);
    use_lent(inbound, &moved);
    int error = di_buffer_reserve(&moved, size, &room);
    if (error < 0) {
        di_buffer_free(&moved);
        return error;
    }
    memcpy(room, bytes, size);
    di_buffer_commit(&moved, size);
    di_buffer_free(&inbound->buffer);
    inbound->buffer = moved;
    return 0;
}

int di_inbound_make_room(di_inbound *inbound, size_t want)
{
    int error = is_held(inbound) ? move_out(inbound) : 0;
    if (error < 0)
        return error;
    di_buffer *buffer = &inbound->buffer;
    if (!buffer->data)
        use_lent(inbound, buffer);
    di_buffer_use_pool(buffer, want);
    size_t believed = 3 * di_buffer_size(buffer);
    if (believed < DI_INBOUND_ANNOUNCED)
        believed = DI_INBOUND_ANNOUNCED;
    size_t size = want < DI_INBOUND_ROOM ? DI_INBOUND_ROOM : want < believed ? want : believed;
    if (want <= di_buffer_room(buffer))
        size = want;
    uint8_t *room;
    return di_buffer_reserve(buffer, size, &room);
}

void di_inbound_consume(di_inbound *inbound, size_t size)
{
    if (!is_held(inbound))
        di_buffer_consume(&inbound->buffer, size);
    else if (size < di_buffer_size(&inbound->buffer))
        inbound->buffer.begin += size;
    else
        di_buffer_free(&inbound->buffer);
}

void di_inbound_lend(di_inbound *inbound, di_hold *memory)
{
    di_hold_release(inbound->lent);
    inbound->lent = memory;
}

void di_inbound_end(di_inbound *inbound)
{
    di_buffer_free(&inbound->buffer);
    di_hold_release(inbound->lent);
}
