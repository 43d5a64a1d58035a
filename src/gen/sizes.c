/* SPDX-License-Identifier: MIT */
/* The worst ratio of memory to wire bytes.
 *
 * Every piece of memory that decoding takes is charged to wire bytes of its own: an array's element
 * to the fewest bytes that it can take, an optional value to the same, a string to its length word.
 * Two figures of a type are enough beside its size in C: the memory that its smallest value takes
 * (rest) and the steepest rise of memory over the bytes beyond that (slope). */
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

/* What is known of a definition. */
typedef struct known_type {
    type_layout layout;
    double rest;
    double slope;
    bool has_layout;
    bool has_rest;
} known_type;

typedef struct type_table {
    const di_emit_c_options *options;
    di_type_set set;
    known_type *types; /* like the set */
} type_table;

static type_layout layout_of(type_table *table, const di_declaration *declaration);
static double rest_of(type_table *table, const di_declaration *declaration);

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

/* The rest of a struct is the sum of its members', that of a union the largest of its arms'. What
 * an array or a pointer holds is not there in the smallest value, so there are no circles. */
static double rest_of_type(type_table *table, const di_type *type)
{
    known_type *known = find(table, type);
    if (!known)
        return 0;
    if (known->has_rest)
        return known->rest;
    double rest = 0;
    for (const di_declaration *member = type->members; member; member = member->next)
        rest += rest_of(table, member);
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        rest = larger(rest, rest_of(table, arm->declaration));
    if (type->default_arm)
        rest = larger(rest, rest_of(table, type->default_arm->declaration));
    if (type->declaration)
        rest = rest_of(table, type->declaration);
    known->rest = rest;
    known->has_rest = true;
    return rest;
}

/* The memory of an element or optional value: its own, and the rest of what it points to. */
static double element_memory(type_table *table, const di_declaration *d)
{
    const di_declaration element = {.type = d->type, .shape = DI_PLAIN};
    uint64_t size = round_up(layout_of(table, &element).size, DARI_ARENA_ALIGNMENT);
    return (double)size + rest_of(table, &element);
}

static uint64_t element_width(const di_declaration *d)
{
    const di_declaration element = {.type = d->type, .shape = DI_PLAIN};
    return di_measure_declaration(&element).minimum;
}

static bool is_string(const type_table *table, const di_declaration *d)
{
    return d->type->kind == DI_STRING && !table->options->strings_as_spans;
}

static bool is_bytes(const di_declaration *d)
{
    return d->type->kind == DI_STRING || d->type->kind == DI_OPAQUE;
}

static double rest_of(type_table *table, const di_declaration *d)
{
    if (is_string(table, d))
        return DARI_ARENA_ALIGNMENT;
    if (d->shape == DI_PLAIN)
        return rest_of_type(table, d->type);
    if (d->shape == DI_FIXED)
        return d->size * rest_of_type(table, d->type);
    /* Elements without bytes are charged to the length word, up to their limit. */
    if (d->shape == DI_VARIABLE && !is_bytes(d) && !element_width(d))
        return DARI_ZERO_WIDTH_MAX * element_memory(table, d);
    return 0;
}

/* The steepest rise that a declaration itself causes, or that its type is known to cause. */
static double slope_of(type_table *table, const di_declaration *d)
{
    if (is_string(table, d))
        return 1;
    if (is_bytes(d))
        return d->shape == DI_VARIABLE ? DARI_ARENA_ALIGNMENT / 4 : 0;
    const known_type *known = find(table, d->type);
    double slope = known ? known->slope : 0;
    if (d->shape != DI_VARIABLE && d->shape != DI_OPTIONAL)
        return slope;
    uint64_t width = element_width(d);
    /* An optional value without bytes is charged to its boolean. */
    if (!width && d->shape == DI_OPTIONAL)
        width = 4;
    return width ? larger(slope, element_memory(table, d) / (double)width) : slope;
}

static double slope_of_type(type_table *table, const di_type *type)
{
    double slope = 0;
    for (const di_declaration *member = type->members; member; member = member->next)
        slope = larger(slope, slope_of(table, member));
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        slope = larger(slope, slope_of(table, arm->declaration));
    if (type->default_arm)
        slope = larger(slope, slope_of(table, type->default_arm->declaration));
    return type->declaration ? slope_of(table, type->declaration) : slope;
}

/* Types contain each other in circles: what one causes is passed on until nothing changes. */
static void find_slopes(type_table *table)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < table->set.count; i++) {
            double slope = slope_of_type(table, table->set.types[i]);
            changed |= slope > table->types[i].slope;
            table->types[i].slope = slope;
        }
    }
}

static void write_type(type_table *table, const di_type *type, di_text *out)
{
    di_measure measure = type->measure;
    double least = measure.minimum ? (double)measure.minimum : 1;
    double ratio = larger(rest_of_type(table, type) / least, slope_of_type(table, type));
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
    if (!status)
        find_slopes(&table);
    for (const di_definition *d = unit->definitions; d && !status; d = d->next)
        if (is_type(d) && !d->included)
            write_type(&table, d->type, out);
    dari_arena_end(&arena);
    return out->failed ? DARI_NO_MEMORY : status;
}
