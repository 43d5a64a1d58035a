/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* What the allocator itself takes for each piece. */
#define OVERHEAD 16u

static uint64_t cost(size_t size)
{
    return size ? (uint64_t)size + OVERHEAD : 0;
}

void *memory_grow(file_memory *memory, void *old, size_t old_size, size_t size)
{
    uint64_t more = cost(size) - cost(old_size);
    if (more > memory->limit - memory->used)
        return NULL;
    /* Large memory is zero when it comes from the system, and calloc knows that. */
    uint8_t *grown = old ? realloc(old, size) : calloc(1, size);
    if (!grown)
        return NULL;
    if (old)
        memset(grown + old_size, 0, size - old_size);
    memory->used += more;
    return grown;
}

void memory_free(file_memory *memory, void *bytes, size_t size)
{
    memory->used -= cost(size);
    free(bytes);
}
