/* SPDX-License-Identifier: MIT */
/* A growing queue of bytes: written at its end, read at its beginning, contiguous all along.
 *
 * Room is lent by reserve and made part of the contents by commit; peek shows the contents and
 * consume drops their beginning. With a pool, a buffer has memory while it has contents, and gives
 * it back to the pool with the last of them, or, if it is told to, keeps a small piece. Without, a
 * buffer that had to grow for something large
 * keeps its memory while large things keep coming, since getting it anew each time costs more than
 * copying into it; it becomes small again by itself once only small ones come. One thread at a
 * time.
 */
#ifndef DI_BASE_BUFFER_H
#define DI_BASE_BUFFER_H

#include "base/hold.h"

#include <stddef.h>
#include <stdint.h>

/* The room that a buffer starts with, and the room that an empty one may keep for ever. */
#define DI_BUFFER_START DI_POOL_SMALL_ROOM
#define DI_BUFFER_KEEP ((uint32_t)64 << 10)
/* How often in a row a buffer with more room must have been filled with no more than
 * DI_BUFFER_KEEP and emptied before it gives its memory back. */
#define DI_BUFFER_SMALL_USES 16u

typedef struct di_buffer {
    uint8_t *data;       /* of a hold, or NULL */
    di_pool *pool;       /* where it comes from, or NULL */
    size_t begin;        /* the first byte of the contents */
    size_t end;          /* the byte after them */
    size_t room;         /* bytes at data */
    size_t cap;          /* the most that room may become */
    uint32_t keep;       /* the most room that an empty one keeps for ever */
    unsigned small_uses; /* in a row */
} di_buffer;

/* An empty buffer, without memory yet, that holds at most `cap` bytes. */
static inline void di_buffer_init(di_buffer *buffer, size_t cap)
{
    *buffer = (di_buffer){.cap = cap, .keep = DI_BUFFER_KEEP};
}

/* The part of di_buffer_reserve that moves or grows. */
int di_buffer_make_room(di_buffer *buffer, size_t size);

/* Gives memory to a buffer that has none; the buffer holds it from then on. */
void di_buffer_lend(di_buffer *buffer, di_hold *hold);

/* Makes room for `size` bytes if the pool has memory for them. */
void di_buffer_use_pool(di_buffer *buffer, size_t size);

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

/* The part of di_buffer_consume for an empty buffer that may give its memory back; `used` of it was
 * used. */
void di_buffer_rest(di_buffer *buffer, size_t used);

/* Drops the first `size` bytes of the contents. */
static inline void di_buffer_consume(di_buffer *buffer, size_t size)
{
    buffer->begin += size;
    if (buffer->begin < buffer->end)
        return;
    size_t used = buffer->end;
    buffer->begin = buffer->end = 0;
    if (buffer->room > buffer->keep)
        di_buffer_rest(buffer, used);
}

/* From now on memory comes from the pool; `keeps`: a small piece of it is kept while the buffer is
 * empty. */
static inline void di_buffer_set_pool(di_buffer *buffer, di_pool *pool, bool keeps)
{
    buffer->pool = pool;
    buffer->keep = keeps ? DI_POOL_SMALL_ROOM : 0;
    di_buffer_consume(buffer, 0);
}

/* Drops the last `size` bytes of the contents. */
static inline void di_buffer_withdraw(di_buffer *buffer, size_t size)
{
    buffer->end -= size;
    di_buffer_consume(buffer, 0);
}

/* Gives all memory back; the buffer is empty and may be used again. */
void di_buffer_free(di_buffer *buffer);

/* The hold of the memory, which there is. */
static inline di_hold *di_buffer_hold(const di_buffer *buffer)
{
    return di_hold_of(buffer->data);
}

#endif
