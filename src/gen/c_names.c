/* SPDX-License-Identifier: MIT */
#include "gen/c_names.h"

#include "gen/c_inline.h"
#include "gen/c_program.h"

#include <stdlib.h>
#include <string.h>

static void add(di_c_names *names, const char *name, di_position position, const char *what)
{
    if (names->count == names->room) {
        size_t room = names->room ? 2 * names->room : 256;
        di_c_global *items = realloc(names->items, room * sizeof *items);
        if (!items) {
            names->failed = true;
            return;
        }
        names->items = items;
        names->room = room;
    }
    names->items[names->count] = (di_c_global){
        .name = name,
        .hash = di_text_hash(name, strlen(name)),
        .position = position,
        .place = names->count,
        .what = what,
    };
    names->count++;
}

static void add_type(di_c_names *names, const di_type *type, bool included, const char *what)
{
    static const char *const codecs[] = {"xdr_size", "xdr_encode", "xdr_decode", "xdr_is"};
    const char *codec = di_c_codec_name(names->writer, type);
    add(names, di_c_type_name(names->writer, type), type->position, what);
    if (di_c_is_builtin(type))
        return;
    for (size_t i = 0; i < (type->kind == DI_ENUM ? 4 : 3); i++)
        add(names, di_c_string(names->writer, "%s_%s", codecs[i], codec), type->position,
            "codec of this type");
    for (size_t i = 0; !included && di_c_is_inline(names->writer, type) && i < 3; i++)
        add(names, di_c_string(names->writer, "inline%s_%s", codecs[i] + 3, codec), type->position,
            "codec of this type");
    for (const di_enumerator *e = type->enumerators; e; e = e->next)
        add(names, di_c_name(names->writer, e->name), e->position, "enumerator");
}

static void add_plain(di_c_names *names, const di_declaration *d)
{
    static const char *const verbs[] = {"size", "encode", "decode"};
    if (di_c_is_void(d) || d->next)
        return;
    size_t before = names->count;
    di_c_value_codec codec = di_c_codec_of(names->writer, d);
    for (size_t i = 0; !strcmp(codec.verb_prefix, "plain_") && i < 3; i++)
        add(names, di_c_string(names->writer, "plain_%s_%s", verbs[i], codec.name), d->position,
            "codec of a procedure's value");
    for (size_t i = before; i < names->count; i++)
        names->items[i].shared = true;
}

/* The functions of a procedure that its own file alone has. */
static void add_static(di_c_names *names, const di_procedure *p, const char *stub)
{
    add(names, di_c_string(names->writer, "finish_%s", stub), p->position, "procedure's stub");
    if (!di_c_is_void(p->arguments))
        add(names, di_c_string(names->writer, "put_%s", stub), p->position, "procedure's stub");
    add(names, di_c_string(names->writer, "serve_%s", stub), p->position, "procedure's server");
    add_plain(names, p->arguments);
    add_plain(names, p->result);
}

static void add_procedure(di_c_names *names, const di_version *version, const di_procedure *p,
                          bool included)
{
    static const char *const parts[] = {"start", "done", "oneway"};
    const char *stub = di_c_stub_name(names->writer, p, version);
    add(names, stub, p->position, "procedure's stub");
    for (size_t i = 0; i < (di_c_is_void(p->result) ? 3 : 2); i++)
        add(names, di_c_string(names->writer, "%s_%s", stub, parts[i]), p->position,
            "procedure's stub");
    add(names, di_c_string(names->writer, "%s_reply", stub), p->position, "procedure's reply");
    if (p->arguments && p->arguments->next)
        add_type(names, di_c_argument(names->writer, p, version)->type, included,
                 "struct of a procedure's arguments");
    if (!included)
        add_static(names, p, stub);
}

static void add_version(di_c_names *names, const di_program *program, const di_version *version,
                        bool included)
{
    static const char *const parts[] = {"interface", "handlers", "serve", "procedures"};
    const char *name = di_c_version_name(names->writer, program, version);
    for (size_t i = 0; i < sizeof parts / sizeof *parts - included; i++)
        add(names, di_c_string(names->writer, "%s_%s", name, parts[i]), version->position,
            "version of a program");
    for (const di_procedure *p = version->procedures; p; p = p->next)
        add_procedure(names, version, p, included);
}

static void add_definition(di_c_names *names, const di_definition *d)
{
    switch (d->kind) {
    case DI_DEFINE_CONSTANT:
    case DI_DEFINE_STRING:
        add(names, di_c_name(names->writer, d->name), d->position, "constant");
        break;
    case DI_DEFINE_TYPE:
        add_type(names, d->type, d->included, "type");
        break;
    case DI_DEFINE_PROGRAM:
        for (const di_version *v = d->program->versions; v; v = v->next)
            add_version(names, d->program, v, d->included);
        break;
    default:
        break;
    }
}

/* The slot of a name, or the free one that it would take. */
static size_t slot_of(const di_c_names *names, const char *name, uint32_t hash)
{
    size_t at = hash & (names->size - 1);
    while (names->slots[at] && (names->items[names->slots[at] - 1].hash != hash ||
                                strcmp(names->items[names->slots[at] - 1].name, name) != 0))
        at = (at + 1) & (names->size - 1);
    return at;
}

static void make_table(di_c_names *names)
{
    names->size = 64;
    while (names->size < 2 * names->count)
        names->size *= 2;
    names->slots = calloc(names->size, sizeof *names->slots);
    if (!names->slots) {
        names->failed = true;
        return;
    }
    for (size_t i = 0; i < names->count; i++) {
        di_c_global *item = &names->items[i];
        size_t at = slot_of(names, item->name, item->hash);
        const di_c_global *first = names->slots[at] ? &names->items[names->slots[at] - 1] : NULL;
        names->repeated |= first && !(first->shared && item->shared);
        if (!first)
            names->slots[at] = i + 1;
    }
}

di_c_names di_c_names_of(di_c_writer *writer, const di_unit *unit)
{
    di_c_names names = {.writer = writer};
    for (const di_definition *d = unit->definitions; d; d = d->next)
        add_definition(&names, d);
    if (!names.failed)
        make_table(&names);
    writer->failed |= names.failed;
    return names;
}

bool di_c_names_have(const di_c_names *names, const char *name)
{
    return names->slots[slot_of(names, name, di_text_hash(name, strlen(name)))] != 0;
}

void di_c_names_free(di_c_names *names)
{
    free(names->items);
    free(names->slots);
}
