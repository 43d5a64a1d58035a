/* SPDX-License-Identifier: MIT */
#include "gen/type_set.h"

#include <dari/error.h>

#include <stdint.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t) * (const di_type *const *)left;
    uintptr_t b = (uintptr_t) * (const di_type *const *)right;
    return (a > b) - (a < b);
}

int di_type_set_make(dari_arena *arena, const di_unit *unit, di_type_filter *filter,
                     di_type_set *ret_set)
{
    di_type_set set = {0};
    size_t room = 0;
    for (const di_definition *d = unit->definitions; d; d = d->next)
        room += filter(d);
    set.types = dari_arena_take(arena, room * sizeof *set.types);
    if (!set.types)
        return DARI_NO_MEMORY;
    for (const di_definition *d = unit->definitions; d; d = d->next)
        if (filter(d))
            set.types[set.count++] = d->type;
    if (set.count)
        qsort(set.types, set.count, sizeof *set.types, compare);
    *ret_set = set;
    return 0;
}

size_t di_type_set_find(const di_type_set *set, const di_type *type)
{
    const di_type **found = NULL;
    if (set->count)
        found = bsearch(&type, set->types, set->count, sizeof *set->types, compare);
    return found ? (size_t)(found - set->types) : SIZE_MAX;
}
