/* SPDX-License-Identifier: MIT */
/* What is in a file: blocks, of which only those are there that were written to. The rest is zero,
 * and takes no memory however far the file goes. */
#ifndef MEMFS_CONTENTS_H
#define MEMFS_CONTENTS_H

#include "memory.h"

#include <stdbool.h>

#define CONTENTS_BLOCK_SIZE (1u << 20)

/* The first `room` bytes of a block. */
typedef struct contents_block {
    uint8_t *bytes;
    uint32_t room;
} contents_block;

/* Zeroed: an empty file. What of a block is behind the file's end is zero. */
typedef struct file_contents {
    contents_block *blocks;
    uint32_t block_count; /* that the table has room for */
    uint64_t used;        /* the bytes of all blocks */
} file_contents;

/* All or nothing. False: there is no memory; what room was made behind the file's end is to be cut
 * off. */
bool contents_write(file_contents *contents, file_memory *memory, uint64_t offset,
                    const uint8_t *bytes, size_t size);
/* Where these bytes lie, or NULL where they do not lie together or are in part not there. */
const uint8_t *contents_at(const file_contents *contents, uint64_t offset, size_t size);
void contents_read(const file_contents *contents, uint64_t offset, uint8_t *ret_bytes, size_t size);
/* Nothing is left from `size` on. */
void contents_cut(file_contents *contents, file_memory *memory, uint64_t size);
void contents_free(file_contents *contents, file_memory *memory);

#endif
