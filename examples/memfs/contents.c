/* SPDX-License-Identifier: MIT */
#include "contents.h"

#include <string.h>

/* The room of a block is a multiple of this. */
#define ROOM_STEP 64u

/* A part of a file that is in one block. */
typedef struct block_part {
    uint64_t block;
    uint32_t start, size;
} block_part;

/* The first part of what is from `offset` on. */
static block_part first_part(uint64_t offset, size_t size)
{
    uint32_t start = (uint32_t)(offset % CONTENTS_BLOCK_SIZE);
    uint32_t room = CONTENTS_BLOCK_SIZE - start;
    return (block_part){.block = offset / CONTENTS_BLOCK_SIZE,
                        .start = start,
                        .size = size < room ? (uint32_t)size : room};
}

static bool grow_table(file_contents *contents, file_memory *memory, uint64_t block)
{
    if (block < contents->block_count)
        return true;
    uint32_t wanted = (uint32_t)block + 1, twice = 2 * contents->block_count;
    uint32_t count = wanted < twice ? twice : wanted;
    contents_block *grown = memory_grow(
        memory, contents->blocks, contents->block_count * sizeof *grown, count * sizeof *grown);
    if (!grown)
        return false;
    contents->blocks = grown;
    contents->block_count = count;
    return true;
}

/* Room for `wanted` bytes, and half as much again as there was, where there is memory for that. */
static bool grow_block(file_contents *contents, file_memory *memory, contents_block *block,
                       uint32_t wanted)
{
    uint32_t least = (wanted + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
    uint32_t room = (block->room + block->room / 2) / ROOM_STEP * ROOM_STEP;
    room = room < least ? least : room < CONTENTS_BLOCK_SIZE ? room : CONTENTS_BLOCK_SIZE;
    uint8_t *grown = memory_grow(memory, block->bytes, block->room, room);
    if (!grown) {
        room = least;
        grown = memory_grow(memory, block->bytes, block->room, room);
    }
    if (!grown)
        return false;
    contents->used += room - block->room;
    *block = (contents_block){.bytes = grown, .room = room};
    return true;
}

static bool make_room(file_contents *contents, file_memory *memory, const block_part *part)
{
    uint32_t end = part->start + part->size;
    if (!grow_table(contents, memory, part->block))
        return false;
    contents_block *block = &contents->blocks[part->block];
    return end <= block->room || grow_block(contents, memory, block, end);
}

bool contents_write(file_contents *contents, file_memory *memory, uint64_t offset,
                    const uint8_t *bytes, size_t size)
{
    block_part part;
    for (size_t done = 0; done < size; done += part.size) {
        part = first_part(offset + done, size - done);
        if (!make_room(contents, memory, &part))
            return false;
    }
    for (size_t done = 0; done < size; done += part.size) {
        part = first_part(offset + done, size - done);
        memcpy(contents->blocks[part.block].bytes + part.start, bytes + done, part.size);
    }
    return true;
}

/* How much of the part is there. */
static uint32_t stored(const file_contents *contents, const block_part *part)
{
    uint32_t room = part->block < contents->block_count ? contents->blocks[part->block].room : 0;
    uint32_t left = part->start < room ? room - part->start : 0;
    return left < part->size ? left : part->size;
}

const uint8_t *contents_at(const file_contents *contents, uint64_t offset, size_t size)
{
    block_part part = first_part(offset, size);
    bool together = part.size == size && stored(contents, &part) == size;
    return size && together ? contents->blocks[part.block].bytes + part.start : NULL;
}

void contents_read(const file_contents *contents, uint64_t offset, uint8_t *ret_bytes, size_t size)
{
    block_part part;
    for (size_t done = 0; done < size; done += part.size) {
        part = first_part(offset + done, size - done);
        uint32_t there = stored(contents, &part);
        if (there)
            memcpy(ret_bytes + done, contents->blocks[part.block].bytes + part.start, there);
        memset(ret_bytes + done + there, 0, part.size - there);
    }
}

static void free_block(file_contents *contents, file_memory *memory, contents_block *block)
{
    contents->used -= block->room;
    memory_free(memory, block->bytes, block->room);
    *block = (contents_block){0};
}

void contents_cut(file_contents *contents, file_memory *memory, uint64_t size)
{
    block_part rest = first_part(size, CONTENTS_BLOCK_SIZE);
    uint32_t there = rest.start ? stored(contents, &rest) : 0;
    if (there)
        memset(contents->blocks[rest.block].bytes + rest.start, 0, there);
    for (uint64_t i = rest.block + (rest.start > 0); i < contents->block_count; i++)
        free_block(contents, memory, &contents->blocks[i]);
}

void contents_free(file_contents *contents, file_memory *memory)
{
    contents_cut(contents, memory, 0);
    memory_free(memory, contents->blocks, contents->block_count * sizeof *contents->blocks);
    *contents = (file_contents){0};
}
