/* SPDX-License-Identifier: MIT */
/* At file scope nothing can be called like a function, type or macro of the headers that generated
 * code includes, nor anywhere like a macro of C. */
#include "gen/c_taken.h"

#include "gen/c_library.h"
#include "gen/c_macro.h"
#include "gen/c_program.h"

#include <dari/error.h>

#include <stdio.h>
#include <string.h>

static di_diagnostic error_at(di_position position, const char *name)
{
    return (di_diagnostic){
        .severity = DI_ERROR, .position = position, .length = (unsigned)strlen(name)};
}

/* `name` is the one in the file, `in_c` what it would be in C. */
static int refuse_global(di_clash *clash, const char *name, const char *in_c, di_position position)
{
    *clash = (di_clash){.error = error_at(position, name)};
    snprintf(clash->error_text, sizeof clash->error_text,
             "'%.255s' is a name of the C library or of dari already; choose another name, or a "
             "prefix for all of them with --prefix",
             in_c);
    clash->error.text = clash->error_text;
    return DARI_INVALID;
}

/* `name` is the one in the file, `member` what it would be in C. */
static int refuse_member(di_clash *clash, const char *name, const char *member,
                         di_position position)
{
    *clash = (di_clash){.error = error_at(position, name)};
    snprintf(clash->error_text, sizeof clash->error_text,
             "'%.100s' is a macro of C or of dari, and so no member can have the name; choose "
             "another one, or let -D %.100s=NAME choose it",
             member, name);
    clash->error.text = clash->error_text;
    return DARI_INVALID;
}

static int find_global(const char *name, const char *in_c, bool may_be_type, di_position position,
                       di_clash *ret_clash)
{
    bool taken = di_c_is_library_name(in_c) || (!may_be_type && di_c_is_library_type(in_c));
    return taken ? refuse_global(ret_clash, name, in_c, position) : 0;
}

static int find_member(di_c_writer *writer, const di_declaration *declaration, di_clash *ret_clash)
{
    const char *name = declaration->name;
    if (!name || !di_c_is_macro(di_c_member(writer, name)))
        return 0;
    return refuse_member(ret_clash, name, name, declaration->position);
}

static int find_members(di_c_writer *writer, const di_declaration *first, di_clash *ret_clash)
{
    int status = 0;
    for (const di_declaration *d = first; d && !status; d = d->next)
        status = find_member(writer, d, ret_clash);
    return status;
}

static int find_arms(di_c_writer *writer, const di_type *type, di_clash *ret_clash)
{
    int status = find_member(writer, type->discriminant, ret_clash);
    for (const di_arm *arm = type->arms; arm && !status; arm = arm->next)
        status = find_member(writer, arm->declaration, ret_clash);
    if (type->default_arm && !status)
        status = find_member(writer, type->default_arm->declaration, ret_clash);
    return status;
}

static int find_in_type(di_c_writer *writer, const di_type *type, di_clash *ret_clash)
{
    if (di_c_is_builtin(type))
        return 0;
    int status = find_global(type->name, di_c_type_name(writer, type), type->kind == DI_TYPEDEF,
                             type->position, ret_clash);
    for (const di_enumerator *e = type->enumerators; e && !status; e = e->next)
        status = find_global(e->name, di_c_name(writer, e->name), false, e->position, ret_clash);
    if (!status)
        status = find_members(writer, type->members, ret_clash);
    return status || type->kind != DI_UNION ? status : find_arms(writer, type, ret_clash);
}

/* A handler is a member of its table; the name of a single argument is not written. */
static int find_in_procedure(di_c_writer *writer, const di_procedure *procedure,
                             di_clash *ret_clash)
{
    const char *handler = di_c_handler_name(writer, procedure);
    if (di_c_is_macro(handler))
        return refuse_member(ret_clash, procedure->name, handler, procedure->position);
    bool several = procedure->arguments && procedure->arguments->next;
    return several ? find_members(writer, procedure->arguments, ret_clash) : 0;
}

static int find_in_program(di_c_writer *writer, const di_program *program, di_clash *ret_clash)
{
    int status = 0;
    for (const di_version *v = program->versions; v; v = v->next)
        for (const di_procedure *p = v->procedures; p && !status; p = p->next)
            status = find_in_procedure(writer, p, ret_clash);
    return status;
}

int di_c_find_taken(di_c_writer *writer, const di_definition *definition, di_clash *ret_clash)
{
    const char *name = definition->name;
    switch (definition->kind) {
    case DI_DEFINE_CONSTANT:
        if (di_c_says_the_same(di_c_name(writer, name), &definition->constant))
            return 0;
        return find_global(name, di_c_name(writer, name), false, definition->position, ret_clash);
    case DI_DEFINE_STRING:
        return find_global(name, di_c_name(writer, name), false, definition->position, ret_clash);
    case DI_DEFINE_TYPE:
        return find_in_type(writer, definition->type, ret_clash);
    case DI_DEFINE_PROGRAM:
        return find_in_program(writer, definition->program, ret_clash);
    default:
        return 0;
    }
}
