/* SPDX-License-Identifier: MIT */
/* Arenas: the memory that a decoded value holds, given back at once.
 *
 * A zeroed dari_arena is empty and ready. One thread at a time may use an arena. The structure is
 * public only so that taking memory is a few instructions; read or write its members nowhere else.
 */
#ifndef DARI_ARENA_H
#define DARI_ARENA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every piece of memory taken is aligned to this many bytes, and its size rounded up to it. */
#define DARI_ARENA_ALIGNMENT 8u

struct dari_arena_block;

typedef struct dari_arena {
    uint8_t *at;                     /* the next free byte of the newest block */
    uint8_t *end;                    /* the first byte there that may not be taken */
    struct dari_arena_block *newest; /* all blocks, newest first */
    size_t room;                     /* bytes that may still be taken beyond end */
    size_t next_size;                /* bytes of the next block */
    uint8_t limited;                 /* dari_arena_allow was called */
} dari_arena;

/* The part of dari_arena_take that needs a new block. */
void *dari_arena_take_slowly(dari_arena *arena, size_t size);

/* Takes `size` bytes, uninitialised, aligned to DARI_ARENA_ALIGNMENT. They last until the arena is
 * reset or ended. Returns NULL where the memory allowed by dari_arena_allow is used up or the
 * system has none. A size of 0 gives a valid pointer to nothing. */
static inline void *dari_arena_take(dari_arena *arena, size_t size)
{
    size_t rounded = (size + (DARI_ARENA_ALIGNMENT - 1)) & ~(size_t)(DARI_ARENA_ALIGNMENT - 1);
    if (rounded - 1 >= (size_t)(arena->end - arena->at))
        return dari_arena_take_slowly(arena, size);
    void *taken = arena->at;
    arena->at += rounded;
    return taken;
}

/* From now on at most `budget` bytes may be taken, until the next dari_arena_allow or reset. The
 * system's memory for them may be up to twice as much, where large pieces leave rests of blocks. */
void dari_arena_allow(dari_arena *arena, size_t budget);

/* Gives back everything taken and lifts the budget, but keeps memory so that the next use of the
 * same size allocates nothing. */
void dari_arena_reset(dari_arena *arena);

/* Gives back everything, to the system too. The arena is empty and may be used again. Takes NULL.
 */
void dari_arena_end(dari_arena *arena);

#ifdef __cplusplus
}
#endif

#endif
