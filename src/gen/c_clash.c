/* SPDX-License-Identifier: MIT */
/* The numbers of programs, versions and procedures are not looked at: where their names are taken
 * they get no constants (c_program.c). */
#include "gen/c_clash.h"

#include "gen/c_inline.h"
#include "gen/c_program.h"
#include "gen/c_taken.h"

#include <dari/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name of the file's scope in C, and where it comes from. */
typedef struct c_name {
    const char *name;
    uint32_t hash; /* of the name */
    di_position position;
    const char *what;
} c_name;

typedef struct name_list {
    di_c_writer *writer;
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
    list->items[list->count++] = (c_name){
        .name = name,
        .hash = di_text_hash(name, strlen(name)),
        .position = position,
        .what = what,
    };
}

static void add_type(name_list *list, const di_type *type, const char *what)
{
    static const char *const codecs[] = {"xdr_size", "xdr_encode", "xdr_decode", "xdr_is"};
    const char *codec = di_c_codec_name(list->writer, type);
    add(list, di_c_type_name(list->writer, type), type->position, what);
    for (size_t i = 0; i < (type->kind == DI_ENUM ? 4 : 3); i++)
        add(list, di_c_string(list->writer, "%s_%s", codecs[i], codec), type->position,
            "codec of this type");
    for (size_t i = 0; di_c_is_inline(list->writer, type) && i < 3; i++)
        add(list, di_c_string(list->writer, "inline%s_%s", codecs[i] + 3, codec), type->position,
            "codec of this type");
    for (const di_enumerator *e = type->enumerators; e; e = e->next)
        add(list, di_c_name(list->writer, e->name), e->position, "enumerator");
}

/* The codecs of a value without a type of its own, which may be shared. */
static const char plain_codec[] = "codec of a procedure's value";

static void add_plain(name_list *list, const di_declaration *d)
{
    static const char *const verbs[] = {"size", "encode", "decode"};
    if (di_c_is_void(d) || d->next)
        return;
    di_c_value_codec codec = di_c_codec_of(list->writer, d);
    for (size_t i = 0; !strcmp(codec.verb_prefix, "plain_") && i < 3; i++)
        add(list, di_c_string(list->writer, "plain_%s_%s", verbs[i], codec.name), d->position,
            plain_codec);
}

static void add_version(name_list *list, const di_program *program, const di_version *version)
{
    static const char *const parts[] = {"interface", "handlers", "serve", "procedures"};
    static const char *const stub_parts[] = {"start", "done", "oneway"};
    const char *name = di_c_version_name(list->writer, program, version);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        add(list, di_c_string(list->writer, "%s_%s", name, parts[i]), version->position,
            "version of a program");
    for (const di_procedure *p = version->procedures; p; p = p->next) {
        const char *stub = di_c_stub_name(list->writer, p, version);
        add(list, stub, p->position, "procedure's stub");
        for (size_t i = 0; i < (di_c_is_void(p->result) ? 3 : 2); i++)
            add(list, di_c_string(list->writer, "%s_%s", stub, stub_parts[i]), p->position,
                "procedure's stub");
        add(list, di_c_string(list->writer, "finish_%s", stub), p->position, "procedure's stub");
        if (!di_c_is_void(p->arguments))
            add(list, di_c_string(list->writer, "put_%s", stub), p->position, "procedure's stub");
        add(list, di_c_string(list->writer, "serve_%s", stub), p->position, "procedure's server");
        add(list, di_c_string(list->writer, "%s_reply", stub), p->position, "procedure's reply");
        if (p->arguments && p->arguments->next)
            add_type(list, di_c_argument(list->writer, p, version)->type,
                     "struct of a procedure's arguments");
        add_plain(list, p->arguments);
        add_plain(list, p->result);
    }
}

static void collect(name_list *list, const di_unit *unit)
{
    for (const di_definition *d = unit->definitions; d; d = d->next) {
        if (d->included)
            continue;
        if (d->kind == DI_DEFINE_CONSTANT || d->kind == DI_DEFINE_STRING)
            add(list, di_c_name(list->writer, d->name), d->position, "constant");
        if (d->kind == DI_DEFINE_TYPE)
            add_type(list, d->type, "type");
        if (d->kind != DI_DEFINE_PROGRAM)
            continue;
        for (const di_version *v = d->program->versions; v; v = v->next)
            add_version(list, d->program, v);
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

static void describe(di_clash *clash, const c_name *first, const c_name *second)
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
static int find_pair(name_list *list, di_clash *ret_clash)
{
    qsort(list->items, list->count, sizeof *list->items, compare);
    for (size_t i = 1; i < list->count; i++) {
        const c_name *first = &list->items[i - 1], *second = &list->items[i];
        bool shared = first->what == plain_codec && second->what == plain_codec;
        if (shared || strcmp(first->name, second->name))
            continue;
        describe(ret_clash, first, second);
        return DARI_INVALID;
    }
    return 0;
}

/* Members whose names C has as keywords get another name, which a second one may have. */
static int find_member_pair(di_c_writer *writer, const di_type *type, di_clash *ret_clash)
{
    for (const di_declaration *one = type->members; one; one = one->next) {
        const char *name = one->name ? di_c_member(writer, one->name) : NULL;
        if (!name || name == one->name)
            continue;
        for (const di_declaration *other = type->members; other; other = other->next)
            if (other->name && !strcmp(other->name, name)) {
                describe(ret_clash, &(c_name){.position = one->position, .what = "member"},
                         &(c_name){.name = name, .position = other->position, .what = "member"});
                return DARI_INVALID;
            }
    }
    return 0;
}

/* Whether two of the names have the same hash, which is rare where no names are the same: a table
 * is made faster than an order. */
static bool may_clash(const name_list *list)
{
    size_t size = 64;
    while (size < 2 * list->count)
        size *= 2;
    const c_name **slots = calloc(size, sizeof *slots);
    bool found = !slots;
    for (size_t i = 0; i < list->count && !found; i++) {
        const c_name *name = &list->items[i];
        size_t at = name->hash & (size - 1);
        bool shared = false;
        for (; slots[at] && !found && !shared; at = (at + 1) & (size - 1)) {
            bool same = slots[at]->hash == name->hash;
            shared = same && name->what == plain_codec && slots[at]->what == plain_codec;
            found = same && !shared;
        }
        if (!shared && !found)
            slots[at] = name;
    }
    free(slots);
    return found;
}

int di_c_find_clash(di_c_writer *writer, const di_unit *unit, di_clash *ret_clash)
{
    name_list list = {.writer = writer};
    int status = 0;
    collect(&list, unit);
    if (list.failed || writer->failed)
        status = DARI_NO_MEMORY;
    else if (may_clash(&list))
        status = find_pair(&list, ret_clash);
    for (const di_definition *d = unit->definitions; d && !status; d = d->next)
        if (!d->included) {
            status = di_c_find_taken(writer, d, ret_clash);
            if (!status && d->kind == DI_DEFINE_TYPE)
                status = find_member_pair(writer, d->type, ret_clash);
        }
    free(list.items);
    di_c_forget(writer);
    return status;
}
