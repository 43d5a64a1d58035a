/* SPDX-License-Identifier: MIT */
/* A growing queue of bytes: written at its end, read at its beginning, contiguous all along.
 *
 * Room is lent by reserve and made part of the contents by commit; peek shows the contents and
 * consume drops their beginning. A buffer that had to grow for something large keeps its memory
 * while large things keep coming, since getting it anew each time costs more than copying into it;
 * it becomes small again by itself once only small ones come, or by shrink. One thread at a time.
 */
#ifndef DI_BASE_BUFFER_H
#define DI_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

/* The room that a buffer starts with, and the room that an empty one may keep for ever. */
#define DI_BUFFER_START ((size_t)4096)
#define DI_BUFFER_KEEP ((size_t)64 << 10)
/* How often in a row a buffer with more room must have been filled with no more than
 * DI_BUFFER_KEEP and emptied before it gives its memory back. */
#define DI_BUFFER_SMALL_USES 16u

typedef struct di_buffer {
    uint8_t *data;
    size_t begin;        /* the first byte of the contents */
    size_t end;          /* the byte after them */
    size_t room;         /* bytes at data */
    size_t cap;          /* the most that room may become */
    unsigned small_uses; /* in a row */
} di_buffer;

/* An empty buffer, without memory yet, that holds at most `cap` bytes. */
static inline void di_buffer_init(di_buffer *buffer, size_t cap)
{
    *buffer = (di_buffer){.cap = cap};
}

/* The part of di_buffer_reserve that moves or grows. */
int di_buffer_make_room(di_buffer *buffer, size_t size);

/* Lends `size` bytes after the contents, uninitialised; they may move the contents.
 * Errors: DARI_LIMIT (more than the cap), DARI_NO_MEMORY; nothing has changed then. */
static inline int di_buffer_reserve(di_buffer *buffer, size_t size, uint8_t **ret_room)
{
    if (buffer->room - buffer->end < size || !buffer->data) {
        int error = di_buffer_make_room(buffer, size);
        if (error < 0)
            return error;
    }
    *ret_room = buffer->data + buffer->end;
    return 0;
}

/* Appends the first `size` bytes of what was reserved. */
static inline void di_buffer_commit(di_buffer *buffer, size_t size)
{
    buffer->end += size;
}

static inline size_t di_buffer_size(const di_buffer *buffer)
{
    return buffer->end - buffer->begin;
}

/* The bytes that can be committed without anything being moved. */
static inline size_t di_buffer_room(const di_buffer *buffer)
{
    return buffer->room - buffer->end;
}

/* The contents; they stay where they are until the next reserve, consume or shrink. */
static inline uint8_t *di_buffer_peek(const di_buffer *buffer, size_t *ret_size)
{
    *ret_size = buffer->end - buffer->begin;
    return buffer->data ? buffer->data + buffer->begin : NULL;
}

/* Gives memory back that an empty buffer need not keep. */
void di_buffer_shrink(di_buffer *buffer);

/* The bytes that shrink would give back. */
static inline size_t di_buffer_spare(const di_buffer *buffer)
{
    return buffer->begin == buffer->end && buffer->room > DI_BUFFER_KEEP ? buffer->room : 0;
}

/* The part of di_buffer_consume for an empty buffer with much room, of which `used` was used. */
void di_buffer_count_use(di_buffer *buffer, size_t used);

/* Drops the first `size` bytes of the contents. */
static inline void di_buffer_consume(di_buffer *buffer, size_t size)
{
    buffer->begin += size;
    if (buffer->begin < buffer->end)
        return;
    size_t used = buffer->end;
    buffer->begin = buffer->end = 0;
    if (buffer->room > DI_BUFFER_KEEP && used)
        di_buffer_count_use(buffer, used);
}

/* Drops the last `size` bytes of the contents. */
static inline void di_buffer_withdraw(di_buffer *buffer, size_t size)
{
    buffer->end -= size;
    di_buffer_consume(buffer, 0);
}

/* Gives all memory back; the buffer is empty and may be used again. */
void di_buffer_free(di_buffer *buffer);

#endif
