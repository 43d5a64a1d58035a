/* SPDX-License-Identifier: MIT */
#include "base/region.h"

#include <stdlib.h>
#include <sys/mman.h>

di_region *di_region_create(void *memory, size_t size)
{
    di_region *region = malloc(sizeof *region);
    if (!region)
        return NULL;
    atomic_init(&region->holders, 1);
    region->memory = memory;
    region->size = size;
    return region;
}

void di_region_release(di_region *region)
{
    if (!region || atomic_fetch_sub_explicit(&region->holders, 1, memory_order_acq_rel) != 1)
        return;
    munmap(region->memory, region->size);
    free(region);
}
