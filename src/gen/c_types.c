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

/* Whether a name that a member's type is spelled with is also the name of a member, which hides it
 * in C++. */
static bool is_shadowed(const di_declaration *members, const di_declaration *member)
{
    if (!member->type->name)
        return false;
    for (const di_declaration *other = members; other; other = other->next)
        if (other->name && !strcmp(other->name, member->type->name))
            return true;
    return false;
}

static void define_struct(di_c_writer *writer, const di_type *type)
{
    unsigned members = 0;
    di_c_line(writer, "struct %s {", di_c_type_name(writer, type));
    for (const di_declaration *member = type->members; member; member = member->next) {
        if (member->type->kind == DI_VOID)
            continue;
        members++;
        di_c_line(writer, "%s;",
                  di_c_declare(writer, member, di_c_member(writer, member->name),
                               is_shadowed(type->members, member)));
    }
    if (!members)
        di_c_line(writer, "char empty; /* C has no structs without members */");
    di_c_line(writer, "};");
}

/* The same for the arms of a union. */
static bool has_arm_called(const di_type *type, const char *name)
{
    if (!name)
        return false;
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        if (arm->declaration->name && !strcmp(arm->declaration->name, name))
            return true;
    const di_arm *last = type->default_arm;
    return last && last->declaration->name && !strcmp(last->declaration->name, name);
}

static void define_arm(di_c_writer *writer, const di_arm *arm, const di_type *type)
{
    const di_declaration *d = arm->declaration;
    if (d->type->kind == DI_VOID)
        return;
    bool shadowed = has_arm_called(type, d->type->name);
    di_c_line(writer, "%s;", di_c_declare(writer, d, di_c_member(writer, d->name), shadowed));
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
    di_c_line(writer, "struct %s {", di_c_type_name(writer, type));
    const di_declaration *d = type->discriminant;
    bool shadowed = d->type->name && !strcmp(d->type->name, d->name);
    di_c_line(writer, "%s;", di_c_declare(writer, d, di_c_discriminant(writer, type), shadowed));
    if (has_arm_with_value(type)) {
        di_c_line(writer, "union {");
        for (const di_arm *arm = type->arms; arm; arm = arm->next)
            define_arm(writer, arm, type);
        if (type->default_arm)
            define_arm(writer, type->default_arm, type);
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
        di_c_line(writer, "typedef struct %s {", name);
        di_c_line(writer, "uint32_t count;");
        di_c_line(writer, "%s;", di_c_declare(writer, &pointer, "items", false));
        di_c_line(writer, "} %s;", name);
        return;
    }
    di_c_line(writer, "typedef %s;", di_c_declare(writer, d, name, false));
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
