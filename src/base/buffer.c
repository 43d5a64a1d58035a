/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <dari/error.h>

#include <stdlib.h>
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

int di_buffer_make_room(di_buffer *buffer, size_t size)
{
    size_t used = di_buffer_size(buffer);
    if (size > buffer->cap || used > buffer->cap - size)
        return DARI_LIMIT;
    size_t needed = used + size;
    if (buffer->data && needed <= buffer->room) {
        memmove(buffer->data, buffer->data + buffer->begin, used);
    } else {
        size_t room = next_room(buffer, needed);
        uint8_t *data = malloc(room);
        if (!data)
            return DARI_NO_MEMORY;
        if (used)
            memcpy(data, buffer->data + buffer->begin, used);
        free(buffer->data);
        buffer->data = data;
        buffer->room = room;
    }
    buffer->begin = 0;
    buffer->end = used;
    return 0;
}

void di_buffer_shrink(di_buffer *buffer)
{
    if (di_buffer_spare(buffer))
        di_buffer_free(buffer);
}

void di_buffer_count_use(di_buffer *buffer, size_t used)
{
    if (used > DI_BUFFER_KEEP)
        buffer->small_uses = 0;
    else if (++buffer->small_uses >= DI_BUFFER_SMALL_USES)
        di_buffer_free(buffer);
}

void di_buffer_free(di_buffer *buffer)
{
    free(buffer->data);
    di_buffer_init(buffer, buffer->cap);
}
