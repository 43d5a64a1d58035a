/* SPDX-License-Identifier: MIT */
#include "gen/c_clash.h"

#include "gen/c_program.h"
#include "idl/compile.h"

#include <dari/error.h>

#include <stdlib.h>
#include <string.h>

/* A name of the file's scope in C, and where it comes from. */
typedef struct c_name {
    const char *name;
    di_position position;
    const char *what;
} c_name;

typedef struct name_list {
    c_name *items;
    size_t count;
    size_t room;
    bool failed;
} name_list;

static void add(name_list *list, const char *name, di_position position, const char *what)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 256;
        c_name *items = realloc(list->items, room * sizeof *items);
        if (!items) {
            list->failed = true;
            return;
        }
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = (c_name){name, position, what};
}

static void add_type(di_c_writer *writer, name_list *list, const di_type *type)
{
    add(list, di_c_type_name(writer, type), type->position, "type");
    for (const di_enumerator *e = type->enumerators; e; e = e->next)
        add(list, di_c_name(writer, e->name), e->position, "enumerator");
}

static void add_version(di_c_writer *writer, name_list *list, const di_program *program,
                        const di_version *version)
{
    const char *name = di_c_version_name(writer, program, version);
    add(list, di_c_name(writer, version->name), version->position, "version");
    add(list, di_c_string(writer, "%s_interface", name), version->position, "version");
    add(list, di_c_string(writer, "%s_handlers", name), version->position, "version");
    add(list, di_c_string(writer, "%s_serve", name), version->position, "version");
    for (const di_procedure *p = version->procedures; p; p = p->next) {
        add(list, di_c_stub_name(writer, p, version), p->position, "stub");
        if (p->arguments && p->arguments->next)
            add(list, di_c_type_name(writer, di_c_argument(writer, p, version)->type), p->position,
                "arguments");
    }
}

/* Procedures of several versions share a name and, as a rule, a number: one constant. */
static void add_procedures(di_c_writer *writer, name_list *list, const di_program *program)
{
    for (const di_version *v = program->versions; v; v = v->next)
        for (const di_procedure *p = v->procedures; p; p = p->next)
            add(list, di_c_name(writer, p->name), p->position,
                di_c_string(writer, "procedure %u", p->number));
}

static void collect(di_c_writer *writer, const di_unit *unit, name_list *list)
{
    for (const di_definition *d = unit->definitions; d; d = d->next) {
        if (d->included)
            continue;
        if (d->kind == DI_DEFINE_CONSTANT)
            add(list, di_c_name(writer, d->name), d->position, "constant");
        if (d->kind == DI_DEFINE_TYPE)
            add_type(writer, list, d->type);
        if (d->kind != DI_DEFINE_PROGRAM)
            continue;
        add(list, di_c_name(writer, d->name), d->position, "program");
        add_procedures(writer, list, d->program);
        for (const di_version *v = d->program->versions; v; v = v->next)
            add_version(writer, list, d->program, v);
    }
}

static int compare(const void *left, const void *right)
{
    const c_name *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    if (order)
        return order;
    if (a->position.line != b->position.line)
        return a->position.line < b->position.line ? -1 : 1;
    return (a->position.column > b->position.column) - (a->position.column < b->position.column);
}

/* The same constant twice is no clash: "procedure 1" and "procedure 1". */
static bool clashes(const c_name *a, const c_name *b)
{
    if (strcmp(a->name, b->name))
        return false;
    bool procedures = !strncmp(a->what, "procedure ", 10);
    return !procedures || strcmp(a->what, b->what);
}

int di_c_find_clash(di_c_writer *writer, const di_unit *unit, di_text *clash)
{
    name_list list = {0};
    int status = 0;
    collect(writer, unit, &list);
    if (list.failed)
        status = DARI_NO_MEMORY;
    else if (list.count)
        qsort(list.items, list.count, sizeof *list.items, compare);
    for (size_t i = 1; !status && i < list.count; i++) {
        const c_name *first = &list.items[i - 1], *second = &list.items[i];
        if (!clashes(first, second))
            continue;
        status = DARI_INVALID;
        di_text_format(clash,
                       "%s:%u:%u: error: in C, '%s' would be both this %s and the %s of line %u; "
                       "rename one",
                       di_source_path(second->position.source), second->position.line,
                       second->position.column, second->name, second->what, first->what,
                       first->position.line);
    }
    free(list.items);
    return status;
}
