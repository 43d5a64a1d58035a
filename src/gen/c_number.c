/* SPDX-License-Identifier: MIT */
#include "gen/c_number.h"

#include "gen/c_library.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A name that somebody wants in C's one scope. */
typedef struct wanted_name {
    const char *name;
    uint32_t hash;     /* of the name */
    const void *owner; /* the program, version or procedure; NULL where it cannot be had */
    size_t place;      /* in the file */
    uint32_t number;
} wanted_name;

typedef struct name_list {
    wanted_name *items; /* NULL while they are counted only */
    size_t count;
} name_list;

static void add(name_list *list, const char *name, const void *owner, uint32_t number)
{
    if (list->items)
        list->items[list->count] =
            (wanted_name){name, di_text_hash(name, strlen(name)), owner, list->count, number};
    list->count++;
}

/* An included file's header has the numbers of its programs. */
static void add_program(name_list *list, const di_program *program, bool included)
{
    add(list, program->name, included ? NULL : program, program->number);
    for (const di_version *v = program->versions; v; v = v->next) {
        add(list, v->name, included ? NULL : v, v->number);
        for (const di_procedure *p = v->procedures; p; p = p->next)
            add(list, p->name, included ? NULL : p, p->number);
    }
}

static void collect(name_list *list, const di_unit *unit)
{
    list->count = 0;
    for (const di_definition *d = unit->definitions; d; d = d->next)
        if (d->kind == DI_DEFINE_PROGRAM)
            add_program(list, d->program, d->included);
}

/* Equal names together, in the order of their places. */
static int compare_names(const void *left, const void *right)
{
    const wanted_name *a = left, *b = right;
    int order = (a->hash > b->hash) - (a->hash < b->hash);
    if (!order)
        order = strcmp(a->name, b->name);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

static int compare_owners(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t) * (const void *const *)left;
    uintptr_t b = (uintptr_t) * (const void *const *)right;
    return (a > b) - (a < b);
}

/* Who gets the name that all the items have, the earliest being first: NULL for nobody. */
static const void *settle(di_c_writer *writer, const di_c_names *names, const wanted_name *items,
                          size_t count)
{
    const char *name = di_c_name(writer, items->name);
    if (di_c_is_library_name(name) || di_c_is_library_type(name) || di_c_names_have(names, name))
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!items[i].owner || items[i].number != items->number)
            return NULL;
    return items->owner;
}

di_c_numbers di_c_numbers_make(di_c_writer *writer, const di_unit *unit, const di_c_names *names)
{
    di_c_numbers numbers = {0};
    name_list list = {0};
    collect(&list, unit);
    list.items = dari_arena_take(writer->tables, list.count * sizeof *list.items);
    numbers.owners = dari_arena_take(writer->tables, list.count * sizeof *numbers.owners);
    if (!list.items || !numbers.owners) {
        writer->failed = true;
        return numbers;
    }
    collect(&list, unit);
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, compare_names);
    for (size_t first = 0, next; first < list.count; first = next) {
        for (next = first + 1; next < list.count; next++)
            if (strcmp(list.items[next].name, list.items[first].name))
                break;
        const void *owner = settle(writer, names, &list.items[first], next - first);
        if (owner)
            numbers.owners[numbers.count++] = owner;
    }
    if (numbers.count)
        qsort(numbers.owners, numbers.count, sizeof *numbers.owners, compare_owners);
    return numbers;
}

static void write_number(di_c_writer *writer, const di_c_numbers *numbers, const void *owner,
                         const char *name, uint32_t number)
{
    if (!numbers->count ||
        !bsearch(&owner, numbers->owners, numbers->count, sizeof *numbers->owners, compare_owners))
        return;
    name = di_c_name(writer, name);
    if (number <= INT32_MAX)
        di_c_line(writer, number > UINT16_MAX ? "enum { %s = 0x%x };" : "enum { %s = %u };", name,
                  number);
    else
        di_c_line(writer, "__extension__ enum { %s = 0x%xu };", name, number);
}

void di_c_program_numbers(di_c_writer *writer, const di_c_numbers *numbers,
                          const di_program *program)
{
    write_number(writer, numbers, program, program->name, program->number);
    for (const di_version *v = program->versions; v; v = v->next) {
        write_number(writer, numbers, v, v->name, v->number);
        for (const di_procedure *p = v->procedures; p; p = p->next)
            write_number(writer, numbers, p, p->name, p->number);
    }
}
