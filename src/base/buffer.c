/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <dari/error.h>

#include <string.h>

/* The next room for `needed` bytes: half as much again as before, so that growing byte by byte
 * copies each byte a bounded number of times. `needed` is not above the cap. */
static size_t next_room(const di_buffer *buffer, size_t needed)
{
    size_t room = buffer->room < DI_BUFFER_START ? DI_BUFFER_START : buffer->room;
    if (room < needed)
        room = room > buffer->cap / 3 * 2 ? buffer->cap : room + room / 2;
    if (room < needed)
        room = needed;
    return room < buffer->cap ? room : buffer->cap;
}

/* Moves the contents to other memory. */
static void move(di_buffer *buffer, di_hold *hold)
{
    size_t used = di_buffer_size(buffer);
    if (used)
        memcpy(hold->memory, buffer->data + buffer->begin, used);
    if (buffer->data)
        di_hold_release(di_buffer_hold(buffer));
    buffer->data = hold->memory;
    buffer->room = hold->room < buffer->cap ? hold->room : buffer->cap;
    buffer->begin = 0;
    buffer->end = used;
}

void di_buffer_lend(di_buffer *buffer, di_hold *hold)
{
    move(buffer, hold);
}

void di_buffer_use_pool(di_buffer *buffer, size_t size)
{
    size_t used = di_buffer_size(buffer);
    if (!buffer->pool || size <= di_buffer_room(buffer) || size > buffer->cap - used)
        return;
    di_hold *hold = di_pool_take(buffer->pool, used + size);
    if (hold)
        move(buffer, hold);
}

int di_buffer_make_room(di_buffer *buffer, size_t size)
{
    size_t used = di_buffer_size(buffer);
    if (size > buffer->cap || used > buffer->cap - size)
        return DARI_LIMIT;
    size_t needed = used + size;
    if (buffer->data && needed <= buffer->room) {
        memmove(buffer->data, buffer->data + buffer->begin, used);
        buffer->begin = 0;
        buffer->end = used;
        return 0;
    }
    di_hold *hold = di_pool_take(buffer->pool, needed);
    if (!hold)
        hold = di_hold_create(buffer->pool, next_room(buffer, needed));
    if (!hold)
        return DARI_NO_MEMORY;
    move(buffer, hold);
    return 0;
}

void di_buffer_rest(di_buffer *buffer, size_t used)
{
    if (used > DI_BUFFER_KEEP)
        buffer->small_uses = 0;
    else if (used)
        buffer->small_uses++;
    if (buffer->pool || buffer->small_uses >= DI_BUFFER_SMALL_USES)
        di_buffer_free(buffer);
}

void di_buffer_free(di_buffer *buffer)
{
    if (buffer->data)
        di_hold_release(di_buffer_hold(buffer));
    *buffer = (di_buffer){.cap = buffer->cap, .pool = buffer->pool, .keep = buffer->keep};
}
