/* SPDX-License-Identifier: MIT */
#include "gen/c_clash.h"

#include "gen/c_taken.h"

#include <dari/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
    const di_c_global *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    if (order)
        return order;
    if (a->position.source != b->position.source)
        return a->place < b->place ? -1 : 1;
    if (a->position.line != b->position.line)
        return a->position.line < b->position.line ? -1 : 1;
    return (a->position.column > b->position.column) - (a->position.column < b->position.column);
}

static void describe(di_clash *clash, const di_c_global *first, const di_c_global *second)
{
    *clash = (di_clash){
        .error = {.severity = DI_ERROR, .position = second->position, .length = 1},
        .note = {.severity = DI_NOTE, .position = first->position, .length = 1},
    };
    snprintf(clash->error_text, sizeof clash->error_text,
             "in C, '%.255s' would be the name of this %s and of another definition; rename one",
             second->name, second->what);
    snprintf(clash->note_text, sizeof clash->note_text, "it is the name of this %s too",
             first->what);
    clash->error.text = clash->error_text;
    clash->note.text = clash->note_text;
}

/* The first two definitions that share a name. */
static int find_pair(di_c_names *names, di_clash *ret_clash)
{
    qsort(names->items, names->count, sizeof *names->items, compare);
    for (size_t i = 1; i < names->count; i++) {
        const di_c_global *first = &names->items[i - 1], *second = &names->items[i];
        if ((first->shared && second->shared) || strcmp(first->name, second->name))
            continue;
        describe(ret_clash, first, second);
        return DARI_INVALID;
    }
    return 0;
}

/* The members of something in C. */
typedef struct member_list {
    di_c_global *items; /* NULL while they are counted only */
    size_t count;
} member_list;

static void add_member(member_list *list, const char *name, di_position position)
{
    if (!name)
        return;
    if (list->items)
        list->items[list->count] =
            (di_c_global){.name = name, .position = position, .what = "member"};
    list->count++;
}

static void add_declarations(member_list *list, const di_declaration *first)
{
    for (const di_declaration *d = first; d; d = d->next)
        add_member(list, d->name, d->position);
}

static void add_parts(member_list *list, const di_type *type)
{
    list->count = 0;
    add_declarations(list, type->members);
    for (const di_arm *arm = type->arms; arm; arm = arm->next)
        add_declarations(list, arm->declaration);
    if (type->default_arm)
        add_declarations(list, type->default_arm->declaration);
}

/* Members whose names C has for something else get another, which a second one may have. */
static int find_member_pair(di_c_writer *writer, const member_list *list, di_clash *ret_clash)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *name = di_c_member(writer, list->items[i].name);
        if (name == list->items[i].name)
            continue;
        for (size_t k = 0; k < list->count; k++) {
            di_c_global second = list->items[i > k ? i : k];
            if (strcmp(list->items[k].name, name) != 0)
                continue;
            second.name = name;
            describe(ret_clash, &list->items[i < k ? i : k], &second);
            return DARI_INVALID;
        }
    }
    return 0;
}

static bool make_room(di_c_writer *writer, member_list *list)
{
    list->items = dari_arena_take(writer->arena, list->count * sizeof *list->items);
    list->count = 0;
    writer->failed |= !list->items;
    return list->items;
}

static int find_in_type(di_c_writer *writer, const di_type *type, di_clash *ret_clash)
{
    member_list list = {0};
    add_parts(&list, type);
    if (!list.count || !make_room(writer, &list))
        return 0;
    add_parts(&list, type);
    return find_member_pair(writer, &list, ret_clash);
}

static void add_handlers(di_c_writer *writer, member_list *list, const di_version *version)
{
    list->count = 0;
    for (const di_procedure *p = version->procedures; p; p = p->next)
        add_member(list, di_c_lower(writer, p->name), p->position);
}

static int find_in_version(di_c_writer *writer, const di_version *version, di_clash *ret_clash)
{
    member_list list = {0};
    int status = 0;
    for (const di_procedure *p = version->procedures; p && !status; p = p->next)
        if (p->arguments && p->arguments->next)
            status = find_in_type(writer, &(di_type){.members = p->arguments}, ret_clash);
    add_handlers(writer, &list, version);
    if (status || !list.count || !make_room(writer, &list))
        return status;
    add_handlers(writer, &list, version);
    return find_member_pair(writer, &list, ret_clash);
}

static int find_in_definition(di_c_writer *writer, const di_definition *d, di_clash *ret_clash)
{
    int status = di_c_find_taken(writer, d, ret_clash);
    if (!status && d->kind == DI_DEFINE_TYPE)
        return find_in_type(writer, d->type, ret_clash);
    if (status || d->kind != DI_DEFINE_PROGRAM)
        return status;
    for (const di_version *v = d->program->versions; v && !status; v = v->next)
        status = find_in_version(writer, v, ret_clash);
    return status;
}

int di_c_find_clash(di_c_writer *writer, const di_unit *unit, di_c_names *names,
                    di_clash *ret_clash)
{
    int status = names->repeated ? find_pair(names, ret_clash) : 0;
    for (const di_definition *d = unit->definitions; d && !status; d = d->next)
        if (!d->included)
            status = find_in_definition(writer, d, ret_clash);
    return !status && writer->failed ? DARI_NO_MEMORY : status;
}
