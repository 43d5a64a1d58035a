/* SPDX-License-Identifier: MIT */
/* The worst ratio of memory to wire bytes.
 *
 * Every piece of memory that decoding takes is charged to wire bytes of its own: an array's element to
 * the fewest bytes that it can take, an optional value to the same, a string to its length word. Two
 * figures of a type are enough beside its size in C: the memory that its smallest value takes (rest)
 * and the steepest rise of memory over the bytes beyond that (slope). */
#include "gen/sizes.h"

#include "gen/type_set.h"

#include <dari/error.h>
#include <dari/xdr.h>

#include <inttypes.h>
#include <string.h>

typedef struct type_layout {
    uint64_t size;
    uint64_t alignment;
} type_layout;

typedef struct type_cost {
    double rest;
    double slope;
} type_cost;

/* What is known of a definition. */
typedef struct known_type {
    type_layout layout;
    type_cost cost;
    bool has_layout;
    bool has_cost; /* from the moment that it is looked for: a type inside itself adds nothing */
} known_type;

typedef struct type_table {
    const di_emit_c_options *options;
    di_type_set set;
    known_type *types; /* like the set */
} type_table;

static type_layout layout_of(type_table *table, const di_declaration *declaration);
static type_cost cost_of(type_table *table, const di_declaration *declaration);

/* NULL for the types that the language has by itself, and those of --extern. */
static known_type *find(const type_table *table, const di_type *type)
{
    size_t index = di_type_set_find(&table->set, type);
    return index == SIZE_MAX ? NULL : &table->types[index];
}

static uint64_t round_up(uint64_t size, uint64_t alignment)
{
    return (size + alignment - 1) / alignment * alignment;
}

/* Puts a member behind those before it. */
static void append(type_layout *sum, type_layout member)
{
    sum->size = round_up(sum->size, member.alignment) + member.size;
    if (member.alignment > sum->alignment)
        sum->alignment = member.alignment;
}

/* Lays a member over the others. */
static void overlay(type_layout *sum, type_layout member)
{
    if (member.size > sum->size)
        sum->size = member.size;
    if (member.alignment > sum->alignment)
        sum->alignment = member.alignment;
}

static type_layout struct_layout(type_table *table, const di_type *type)
{
    type_layout sum = {0, 1};
    for (const di_declaration *member = type->members; member; member = member->next)
        append(&sum, layout_of(table, member));
    return sum;
}

static type_layout union_layout(type_table *table, const di_type *type)
{
    type_layout sum = layout_of(table, type->discriminant);
    type_layout arms = {0, 1};
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        overlay(&arms, layout_of(table, arm->declaration));
    if (type->default_arm)
        overlay(&arms, layout_of(table, type->default_arm->declaration));
    append(&sum, arms);
    return sum;
}

static type_layout plain_layout(type_table *table, const di_type *type)
{
    switch (type->kind) {
    case DI_VOID:
        return (type_layout){0, 1};
    case DI_BOOL:
    case DI_CHAR:
    case DI_UNSIGNED_CHAR:
    case DI_OPAQUE:
        return (type_layout){1, 1};
    case DI_SHORT:
    case DI_UNSIGNED_SHORT:
        return (type_layout){2, 2};
    case DI_INT:
    case DI_UNSIGNED_INT:
    case DI_FLOAT:
    case DI_ENUM:
        return (type_layout){4, 4};
    case DI_QUADRUPLE:
        return (type_layout){16, 8};
    case DI_STRUCT:
    case DI_UNION:
    case DI_TYPEDEF:
        break;
    default:
        return (type_layout){8, 8};
    }
    known_type *known = find(table, type);
    if (known && known->has_layout)
        return known->layout;
    type_layout found = type->kind == DI_STRUCT  ? struct_layout(table, type)
                   : type->kind == DI_UNION ? union_layout(table, type)
                                            : layout_of(table, type->declaration);
    found.size = round_up(found.size, found.alignment);
    if (known) {
        known->layout = found;
        known->has_layout = true;
    }
    return found;
}

static type_layout layout_of(type_table *table, const di_declaration *d)
{
    type_layout element = {8, 8};
    switch (d->shape) {
    case DI_PLAIN:
        return plain_layout(table, d->type);
    case DI_FIXED:
        element = plain_layout(table, d->type);
        element.size *= d->size ? d->size : 1;
        return element;
    case DI_VARIABLE:
        if (d->type->kind == DI_STRING && !table->options->strings_as_spans)
            return element;
        return (type_layout){16, 8};
    case DI_OPTIONAL:
        break;
    }
    return element;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static void add_member(type_cost *sum, type_cost member)
{
    sum->rest += member.rest;
    sum->slope = larger(sum->slope, member.slope);
}

static void add_arm(type_cost *sum, type_cost arm)
{
    sum->rest = larger(sum->rest, arm.rest);
    sum->slope = larger(sum->slope, arm.slope);
}

static type_cost plain_cost(type_table *table, const di_type *type)
{
    known_type *known = find(table, type);
    if (!known)
        return (type_cost){0, 0};
    if (known->has_cost)
        return known->cost;
    known->has_cost = true;
    type_cost sum = {0, 0};
    for (const di_declaration *member = type->members; member; member = member->next)
        add_member(&sum, cost_of(table, member));
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        add_arm(&sum, cost_of(table, arm->declaration));
    if (type->default_arm)
        add_arm(&sum, cost_of(table, type->default_arm->declaration));
    if (type->declaration)
        add_member(&sum, cost_of(table, type->declaration));
    known->cost = sum;
    return sum;
}

/* Elements that are there or not, each in memory of its own or beside the others. */
static type_cost elements_cost(type_table *table, const di_declaration *d)
{
    const di_declaration element = {.type = d->type, .shape = DI_PLAIN};
    type_cost inner = cost_of(table, &element);
    double memory =
        (double)round_up(layout_of(table, &element).size, DARI_ARENA_ALIGNMENT) + inner.rest;
    uint64_t width = di_measure_declaration(&element).minimum;
    if (width)
        return (type_cost){0, larger(memory / (double)width, inner.slope)};
    /* Without bytes of its own: an optional value is charged to its boolean, an array's elements to
     * the length word, up to their limit. */
    double count = d->shape == DI_VARIABLE ? DARI_ZERO_WIDTH_MAX : 1;
    return (type_cost){memory * count, inner.slope};
}

static type_cost cost_of(type_table *table, const di_declaration *d)
{
    if (d->type->kind == DI_STRING && !table->options->strings_as_spans)
        return (type_cost){DARI_ARENA_ALIGNMENT, 1};
    if (d->type->kind == DI_STRING || (d->type->kind == DI_OPAQUE && d->shape == DI_VARIABLE))
        return (type_cost){0, DARI_ARENA_ALIGNMENT / 4};
    if (d->shape == DI_VARIABLE || d->shape == DI_OPTIONAL)
        return elements_cost(table, d);
    type_cost element = plain_cost(table, d->type);
    if (d->shape == DI_FIXED)
        element.rest *= d->size;
    return element;
}

static void write_type(type_table *table, const di_type *type, di_text *out)
{
    const di_declaration value = {.type = type, .shape = DI_PLAIN};
    di_measure measure = type->measure;
    type_cost cost = cost_of(table, &value);
    double least = measure.minimum ? (double)measure.minimum : 1;
    double ratio = larger(cost.rest / least, cost.slope);
    uint64_t tenths = (uint64_t)(10 * ratio);
    if ((double)tenths < 10 * ratio)
        tenths++;
    di_text_format(out, "%s %" PRIu64 " ", type->name, measure.minimum);
    if (measure.maximum == UINT64_MAX)
        di_text_format(out, "unbounded");
    else
        di_text_format(out, "%" PRIu64, measure.maximum);
    di_text_format(out, " %" PRIu64 ".%" PRIu64 "\n", tenths / 10, tenths % 10);
}

static bool is_type(const di_definition *definition)
{
    return definition->kind == DI_DEFINE_TYPE;
}

int di_emit_sizes(const di_unit *unit, const di_emit_c_options *options, di_text *out)
{
    dari_arena arena = {0};
    type_table table = {.options = options};
    int status = di_type_set_make(&arena, unit, is_type, &table.set);
    if (!status) {
        size_t size = table.set.count * sizeof *table.types;
        table.types = dari_arena_take(&arena, size);
        if (table.types)
            memset(table.types, 0, size);
        else
            status = DARI_NO_MEMORY;
    }
    for (const di_definition *d = unit->definitions; d && !status; d = d->next)
        if (is_type(d) && !d->included)
            write_type(&table, d->type, out);
    dari_arena_end(&arena);
    return out->failed ? DARI_NO_MEMORY : status;
}
