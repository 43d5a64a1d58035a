/* SPDX-License-Identifier: MIT */
#include "gen/c_inline.h"

#include "gen/c_atoms.h"

#include <string.h>

/* The steps that an inline codec may take, those of what it holds by value included: this bounds
 * what the C compiler has to expand. */
#define STEPS_MAX 64u

static unsigned steps_of(const di_declaration *declaration, unsigned limit);

static unsigned steps_of_type(const di_type *type, unsigned limit)
{
    unsigned steps = 0;
    for (const di_declaration *m = type->members; m && steps <= limit; m = m->next)
        steps += steps_of(m, limit - steps);
    for (const di_arm *arm = type->arms; arm && steps <= limit; arm = arm->next)
        steps += 1 + steps_of(arm->declaration, limit - steps);
    if (type->default_arm && steps <= limit)
        steps += 1 + steps_of(type->default_arm->declaration, limit - steps);
    return steps;
}

/* How many steps a value takes; more than `limit` where it is more. */
static unsigned steps_of(const di_declaration *declaration, unsigned limit)
{
    di_declaration d = di_c_resolve(declaration);
    if (d.shape == DI_PLAIN && (d.type->kind == DI_STRUCT || d.type->kind == DI_UNION))
        return 1 + steps_of_type(d.type, limit ? limit - 1 : 0);
    return d.shape == DI_PLAIN ? 1 : 4;
}

static bool is_small(const di_type *type)
{
    bool composed = type->kind == DI_STRUCT || type->kind == DI_UNION;
    return composed && !type->recursive && !type->tail && !di_struct_is_opened(type) &&
           steps_of_type(type, STEPS_MAX) <= STEPS_MAX;
}

/* The choice while it is made. */
typedef struct inline_set {
    di_type_set own; /* the types of this file */
    bool *chosen;
} inline_set;

static void choose_parts(inline_set *set, const di_type *type);

/* Chooses a type that is held by value, or is an element, and what it holds. The depth is bounded
 * by STEPS_MAX: each level is a step. */
static void choose(inline_set *set, const di_declaration *declaration, bool element)
{
    di_declaration d = di_c_resolve(declaration);
    if (!d.type->name || (d.shape != DI_PLAIN && !element))
        return;
    const di_type *type = di_resolve(d.type);
    size_t index = di_type_set_find(&set->own, type);
    if (index == SIZE_MAX || set->chosen[index] || !is_small(type))
        return;
    set->chosen[index] = true;
    choose_parts(set, type);
}

static void choose_parts(inline_set *set, const di_type *type)
{
    for (const di_declaration *m = type->members; m; m = m->next)
        choose(set, m, false);
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        choose(set, arm->declaration, false);
    if (type->default_arm)
        choose(set, type->default_arm->declaration, false);
}

/* Chooses what a declaration holds an array of. */
static void choose_elements(inline_set *set, const di_declaration *declaration)
{
    di_declaration d = di_c_resolve(declaration);
    if (d.shape == DI_VARIABLE || d.shape == DI_FIXED)
        choose(set, &d, true);
}

static void choose_from(inline_set *set, const di_type *type)
{
    if (type->tail)
        choose_parts(set, type);
    for (const di_declaration *m = type->members; m; m = m->next)
        choose_elements(set, m);
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        choose_elements(set, arm->declaration);
    if (type->default_arm)
        choose_elements(set, type->default_arm->declaration);
    if (type->declaration)
        choose_elements(set, type->declaration);
}

static bool is_own(const di_definition *d)
{
    return d->kind == DI_DEFINE_TYPE && !d->included;
}

void di_c_find_inline(di_c_writer *writer, const di_unit *unit)
{
    inline_set set = {0};
    if (di_type_set_make(writer->tables, unit, is_own, &set.own) == 0)
        set.chosen = dari_arena_take(writer->tables, set.own.count * sizeof *set.chosen);
    if (!set.chosen) {
        writer->failed = true;
        return;
    }
    memset(set.chosen, 0, set.own.count * sizeof *set.chosen);
    for (size_t i = 0; i < set.own.count; i++)
        choose_from(&set, set.own.types[i]);
    writer->inlined.types = set.own.types;
    for (size_t i = 0; i < set.own.count; i++)
        if (set.chosen[i])
            set.own.types[writer->inlined.count++] = set.own.types[i];
}

bool di_c_is_inline(const di_c_writer *writer, const di_type *type)
{
    return di_type_set_find(&writer->inlined, type) != SIZE_MAX;
}

const char *di_c_codec_prefix(const di_c_writer *writer, const di_type *type)
{
    return di_c_is_inline(writer, type) ? "inline_" : "xdr_";
}
