/* SPDX-License-Identifier: MIT */
/* Memory that is mapped, and stays so until the last of those who hold it has left, from any
 * threads. */
#ifndef DI_BASE_REGION_H
#define DI_BASE_REGION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct di_region {
    atomic_uint holders;
    uint8_t *memory;
    size_t size;
} di_region;

/* Takes over a mapping of `size` bytes, with one holder. NULL: there is no memory, and the mapping
 * is still the caller's. */
di_region *di_region_create(void *memory, size_t size);

static inline di_region *di_region_add(di_region *region)
{
    atomic_fetch_add_explicit(&region->holders, 1, memory_order_relaxed);
    return region;
}

/* Takes NULL. */
void di_region_release(di_region *region);

/* Whether all of those bytes lie in the region. */
static inline bool di_region_has(const di_region *region, const void *data, size_t size)
{
    uintptr_t begin = (uintptr_t)region->memory, at = (uintptr_t)data;
    return at >= begin && at - begin <= region->size && size <= region->size - (at - begin);
}

#endif
