/* SPDX-License-Identifier: MIT */
#include <dari/arena.h>

#include <stdbool.h>
#include <stdlib.h>

/* The first block of an arena; later ones double, so that a large value takes few of them. */
#define FIRST_BLOCK_SIZE 1024u
#define BLOCK_SIZE_MAX ((size_t)1 << 20)

struct dari_arena_block {
    struct dari_arena_block *older;
    size_t size; /* of the data */
    _Alignas(DARI_ARENA_ALIGNMENT) uint8_t data[];
};

/* Makes the block the newest, of which at most `budget` bytes may be taken. */
static void enter(dari_arena *arena, struct dari_arena_block *block, size_t budget)
{
    size_t usable = block->size < budget ? block->size : budget;
    arena->newest = block;
    arena->at = block->data;
    arena->end = block->data + (usable & ~(size_t)(DARI_ARENA_ALIGNMENT - 1));
    arena->room = arena->limited ? budget - usable : 0;
}

void *dari_arena_take_slowly(dari_arena *arena, size_t size)
{
    size_t rounded = (size + (DARI_ARENA_ALIGNMENT - 1)) & ~(size_t)(DARI_ARENA_ALIGNMENT - 1);
    if (rounded < size || rounded > SIZE_MAX / 2)
        return NULL;
    if (rounded <= (size_t)(arena->end - arena->at) && arena->at) {
        void *taken = arena->at;
        arena->at += rounded;
        return taken;
    }
    /* The rest of the newest block is given up, but not counted against the budget. */
    size_t budget = SIZE_MAX;
    if (arena->limited)
        budget = arena->room + (size_t)(arena->end - arena->at);
    if (rounded > budget)
        return NULL;

    size_t block_size = arena->next_size ? arena->next_size : FIRST_BLOCK_SIZE;
    if (block_size > budget)
        block_size = budget;
    if (block_size < rounded)
        block_size = rounded;
    struct dari_arena_block *block = malloc(sizeof *block + block_size);
    if (!block)
        return NULL;
    block->older = arena->newest;
    block->size = block_size;
    size_t doubled = block_size < BLOCK_SIZE_MAX ? 2 * block_size : BLOCK_SIZE_MAX;
    arena->next_size = doubled > arena->next_size ? doubled : arena->next_size;
    enter(arena, block, budget);
    arena->at += rounded;
    return block->data;
}

void dari_arena_allow(dari_arena *arena, size_t budget)
{
    budget &= ~(size_t)(DARI_ARENA_ALIGNMENT - 1);
    uint8_t *block_end = arena->newest ? arena->newest->data + arena->newest->size : NULL;
    size_t here = arena->newest ? (size_t)(block_end - arena->at) : 0;
    here &= ~(size_t)(DARI_ARENA_ALIGNMENT - 1);
    if (here > budget)
        here = budget;
    arena->limited = true;
    arena->end = arena->newest ? arena->at + here : NULL;
    arena->room = budget - here;
}

/* Frees all blocks. Returns the bytes that they held. */
static size_t free_blocks(const dari_arena *arena)
{
    size_t total = 0;
    for (struct dari_arena_block *block = arena->newest, *older; block; block = older) {
        older = block->older;
        total += block->size;
        free(block);
    }
    return total;
}

void dari_arena_reset(dari_arena *arena)
{
    struct dari_arena_block *newest = arena->newest;
    if (!newest)
        return;
    arena->limited = false;
    if (!newest->older) {
        enter(arena, newest, SIZE_MAX);
        return;
    }
    /* Several blocks were needed: the next use gets one block that holds as much. */
    size_t total = free_blocks(arena);
    *arena = (dari_arena){.next_size = total};
}

void dari_arena_end(dari_arena *arena)
{
    if (!arena)
        return;
    free_blocks(arena);
    *arena = (dari_arena){0};
}
