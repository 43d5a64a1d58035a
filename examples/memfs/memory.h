/* SPDX-License-Identifier: MIT */
/* The memory of all files together, which has a limit: whatever callers can make larger is taken
 * here. */
#ifndef MEMFS_MEMORY_H
#define MEMFS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

typedef struct file_memory {
    uint64_t limit, used;
} file_memory;

/* As realloc: `old` has `old_size` bytes (NULL and 0: none), and becomes larger. What is new is
 * zero. NULL: that would be beyond the limit, or the system has no more; `old` is as it was. */
void *memory_grow(file_memory *memory, void *old, size_t old_size, size_t size);
/* Takes NULL, of 0 bytes. */
void memory_free(file_memory *memory, void *bytes, size_t size);

#endif
