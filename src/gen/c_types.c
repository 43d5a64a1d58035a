/* SPDX-License-Identifier: MIT */
#include "gen/c_types.h"

#include <stdlib.h>
#include <string.h>

/* "-2147483648" is not a number in C but an operator and one that is too large. */
static const char *number_text(di_c_writer *writer, int32_t value)
{
    return value == INT32_MIN ? "INT32_MIN" : di_c_string(writer, "%d", value);
}

static void define_enum(di_c_writer *writer, const di_type *type)
{
    const char *name = di_c_type_name(writer, type);
    di_c_line(writer, "typedef enum %s {", name);
    for (const di_enumerator *e = type->enumerators; e; e = e->next)
        di_c_line(writer, "%s = %s%s", di_c_name(writer, e->name), number_text(writer, e->value),
                  e->next ? "," : "");
    di_c_line(writer, "} %s;", name);
}

static int compare_numbers(const void *left, const void *right)
{
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* The values of an enumeration, ascending, each once. Returns how many. */
static size_t sorted_values(di_c_writer *writer, const di_type *type, int32_t **ret_values)
{
    size_t count = 0, distinct = 0;
    for (const di_enumerator *e = type->enumerators; e; e = e->next)
        count++;
    int32_t *values = dari_arena_take(writer->arena, count * sizeof *values);
    if (!values) {
        writer->failed = true;
        return 0;
    }
    count = 0;
    for (const di_enumerator *e = type->enumerators; e; e = e->next)
        values[count++] = e->value;
    qsort(values, count, sizeof *values, compare_numbers);
    for (size_t i = 0; i < count; i++)
        if (!i || values[i] != values[i - 1])
            values[distinct++] = values[i];
    *ret_values = values;
    return distinct;
}

void di_c_define_enum_check(di_c_writer *writer, const di_type *type)
{
    int32_t *values = NULL;
    size_t count = sorted_values(writer, type, &values);
    di_c_line(writer, "%s", "");
    di_c_line(writer, "static inline bool xdr_is_%s(int32_t number)",
              di_c_codec_name(writer, type));
    di_c_line(writer, "{");
    bool contiguous = count && (int64_t)values[count - 1] - values[0] == (int64_t)count - 1;
    if (contiguous) {
        di_c_line(writer, "return number >= %s && number <= %s;", number_text(writer, values[0]),
                  number_text(writer, values[count - 1]));
    } else {
        di_c_line(writer, "switch (number) {");
        writer->indent--;
        for (size_t i = 0; i < count; i++)
            di_c_line(writer, "case %s:", number_text(writer, values[i]));
        writer->indent++;
        di_c_line(writer, "return true;");
        writer->indent--;
        di_c_line(writer, "default:");
        writer->indent++;
        di_c_line(writer, "return false;");
        di_c_line(writer, "}");
    }
    di_c_line(writer, "}");
}

/* C++ does not allow that a struct uses a name for a type and for a member. */

/* The names that the members of a struct in C have in the interface file, and those of a union's
 * struct; sorted. */
typedef struct part_names {
    const char **items;
    size_t count;
} part_names;

static int compare(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void add_part(part_names *parts, const char *name)
{
    if (name)
        parts->items[parts->count++] = name;
}

static part_names parts_of(di_c_writer *writer, const di_type *type)
{
    size_t room = 3;
    for (const di_declaration *m = type->members; m; m = m->next)
        room++;
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        room++;
    part_names parts = {.items = dari_arena_take(writer->arena, room * sizeof *parts.items)};
    if (!parts.items) {
        writer->failed = true;
        return parts;
    }
    for (const di_declaration *m = type->members; m; m = m->next)
        add_part(&parts, m->name);
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        add_part(&parts, arm->declaration->name);
    if (type->default_arm)
        add_part(&parts, type->default_arm->declaration->name);
    if (type->kind == DI_UNION) {
        add_part(&parts, "u");
        add_part(&parts, di_c_discriminant(writer, type));
    }
    qsort(parts.items, parts.count, sizeof *parts.items, compare);
    return parts;
}

static bool has_part(const part_names *parts, const char *name)
{
    return parts->count && bsearch(&name, parts->items, parts->count, sizeof name, compare);
}

/* Whether a member is called like a type. */
static bool is_shadowed(di_c_writer *writer, const part_names *parts, const di_type *type)
{
    if (!type->name)
        return false;
    /* Both get the same `_` where the name is a keyword. */
    bool same = !*writer->options->prefix && has_part(parts, type->name);
    return same || has_part(parts, di_c_type_name(writer, type));
}

void di_c_define_alias(di_c_writer *writer, const di_type *type)
{
    const char *name = di_c_type_name(writer, type);
    di_c_line(writer, "typedef %s dari_type_%s;", name, name);
}

/* What a declaration needs before the struct in which its type's name may be a member's. */
static void alias_of_part(di_c_writer *writer, const di_declaration *d, bool shadowed)
{
    if (di_c_has_alias(d->type) && (shadowed || di_c_is_shadowed_within(writer, d)))
        di_c_define_alias(writer, d->type);
}

static void define_struct(di_c_writer *writer, const di_type *type)
{
    unsigned members = 0;
    part_names parts = parts_of(writer, type);
    for (const di_declaration *m = type->members; m; m = m->next)
        alias_of_part(writer, m, is_shadowed(writer, &parts, m->type));
    di_c_line(writer, "struct %s {", di_c_type_name(writer, type));
    for (const di_declaration *member = type->members; member; member = member->next) {
        if (member->type->kind == DI_VOID)
            continue;
        members++;
        di_c_line(writer, "%s;",
                  di_c_declare(writer, member, di_c_member(writer, member->name),
                               is_shadowed(writer, &parts, member->type)));
    }
    if (!members)
        di_c_line(writer, "char empty; /* C has no structs without members */");
    di_c_line(writer, "};");
}

static void define_arm(di_c_writer *writer, const di_arm *arm, const part_names *parts)
{
    const di_declaration *d = arm->declaration;
    if (d->type->kind == DI_VOID)
        return;
    di_c_line(
        writer, "%s;",
        di_c_declare(writer, d, di_c_member(writer, d->name), is_shadowed(writer, parts, d->type)));
}

static void aliases_of_union(di_c_writer *writer, const di_type *type, const part_names *parts)
{
    alias_of_part(writer, type->discriminant, is_shadowed(writer, parts, type->discriminant->type));
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        alias_of_part(writer, arm->declaration, is_shadowed(writer, parts, arm->declaration->type));
    const di_declaration *last = type->default_arm ? type->default_arm->declaration : NULL;
    if (last)
        alias_of_part(writer, last, is_shadowed(writer, parts, last->type));
}

static bool has_arm_with_value(const di_type *type)
{
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        if (arm->declaration->type->kind != DI_VOID)
            return true;
    return type->default_arm && type->default_arm->declaration->type->kind != DI_VOID;
}

static void define_union(di_c_writer *writer, const di_type *type)
{
    const di_declaration *d = type->discriminant;
    part_names parts = parts_of(writer, type);
    bool shadowed = is_shadowed(writer, &parts, d->type);
    aliases_of_union(writer, type, &parts);
    di_c_line(writer, "struct %s {", di_c_type_name(writer, type));
    di_c_line(writer, "%s;", di_c_declare(writer, d, di_c_discriminant(writer, type), shadowed));
    if (has_arm_with_value(type)) {
        di_c_line(writer, "union {");
        for (const di_arm *arm = type->arms; arm; arm = arm->next)
            define_arm(writer, arm, &parts);
        if (type->default_arm)
            define_arm(writer, type->default_arm, &parts);
        di_c_line(writer, "} u;");
    }
    di_c_line(writer, "};");
}

/* An array gets a tag, so that messages of the C compiler name it. */
static void define_typedef(di_c_writer *writer, const di_type *type)
{
    const di_declaration *d = type->declaration;
    const char *name = di_c_type_name(writer, type);
    if (d->shape == DI_VARIABLE && d->type->kind != DI_OPAQUE && d->type->kind != DI_STRING) {
        di_declaration pointer = *d;
        pointer.shape = DI_OPTIONAL;
        bool shadowed = di_c_is_shadowed_within(writer, d);
        alias_of_part(writer, d, false);
        di_c_line(writer, "typedef struct %s {", name);
        di_c_line(writer, "uint32_t count;");
        di_c_line(writer, "%s;", di_c_declare(writer, &pointer, "items", shadowed));
        di_c_line(writer, "} %s;", name);
        return;
    }
    di_c_line(writer, "typedef %s;", di_c_declare(writer, d, name, false));
    if (di_c_is_hidden(writer, name))
        di_c_define_alias(writer, type);
}

void di_c_declare_type(di_c_writer *writer, const di_type *type)
{
    if (type->kind != DI_STRUCT && type->kind != DI_UNION)
        return;
    const char *name = di_c_type_name(writer, type);
    di_c_line(writer, "typedef struct %s %s;", name, name);
}

void di_c_define_type(di_c_writer *writer, const di_type *type)
{
    di_c_line(writer, "%s", "");
    di_c_line(writer, "/* %s */", di_c_place(writer, type->position));
    switch (type->kind) {
    case DI_ENUM:
        define_enum(writer, type);
        di_c_define_enum_check(writer, type);
        break;
    case DI_STRUCT:
        define_struct(writer, type);
        break;
    case DI_UNION:
        define_union(writer, type);
        break;
    default:
        define_typedef(writer, type);
        break;
    }
}
