/* SPDX-License-Identifier: MIT */
/* The types that a unit defines, to be found by their addresses: whoever needs to remember
 * something of each keeps an array of its own, indexed like the set. */
#ifndef DI_GEN_TYPE_SET_H
#define DI_GEN_TYPE_SET_H

#include "idl/tree.h"

#include <dari/arena.h>

#include <stddef.h>

typedef struct di_type_set {
    const di_type **types; /* ascending by address */
    size_t count;
} di_type_set;

/* Which definitions are meant. */
typedef bool di_type_filter(const di_definition *definition);

/* Makes the set of a unit's types that the filter lets pass, in the arena. Returns 0 or
 * DARI_NO_MEMORY. */
int di_type_set_make(dari_arena *arena, const di_unit *unit, di_type_filter *filter,
                     di_type_set *ret_set);

/* The index of a type, or SIZE_MAX where it is not in the set. */
size_t di_type_set_find(const di_type_set *set, const di_type *type);

#endif
