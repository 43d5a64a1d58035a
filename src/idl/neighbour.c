/* SPDX-License-Identifier: MIT */
#include "idl/neighbour.h"

#include "idl/include.h"
#include "idl/parse.h"
#include "idl/preprocess.h"

#include <string.h>

static bool lacks_number(di_compilation *compilation, const di_syntax_value *value)
{
    return value && value->name && !value->name->symbol &&
           !di_number_symbol(compilation, value->name);
}

static bool lacks_part(di_compilation *compilation, const di_syntax_declaration *first)
{
    for (const di_syntax_declaration *d = first; d; d = d->next)
        if ((d->type.name && !d->type.name->symbol) || lacks_number(compilation, d->size))
            return true;
    return false;
}

static bool body_lacks(di_compilation *compilation, const di_syntax_body *body)
{
    for (const di_syntax_enumerator *e = body->enumerators; e; e = e->next)
        if (lacks_number(compilation, e->value))
            return true;
    for (const di_syntax_arm *arm = body->arms; arm; arm = arm->next) {
        if (lacks_part(compilation, arm->declaration))
            return true;
        for (const di_syntax_label *label = arm->labels; label; label = label->next)
            if (lacks_number(compilation, &label->value))
                return true;
    }
    return lacks_part(compilation, body->members) || lacks_part(compilation, body->discriminant);
}

static bool program_lacks(di_compilation *compilation, const di_syntax_item *item)
{
    for (const di_syntax_version *v = item->versions; v; v = v->next) {
        if (lacks_number(compilation, &v->number))
            return true;
        for (const di_syntax_procedure *p = v->procedures; p; p = p->next)
            if (lacks_part(compilation, p->arguments) || lacks_part(compilation, p->result) ||
                lacks_number(compilation, &p->number))
                return true;
    }
    return lacks_number(compilation, &item->value);
}

static bool item_lacks(di_compilation *compilation, const di_syntax_item *item)
{
    switch (item->kind) {
    case DI_SYNTAX_CONSTANT:
        return lacks_number(compilation, &item->value);
    case DI_SYNTAX_TYPEDEF:
        return lacks_part(compilation, item->declaration);
    case DI_SYNTAX_BODY:
        return body_lacks(compilation, item->body);
    case DI_SYNTAX_PROGRAM:
        return program_lacks(compilation, item);
    default:
        return false;
    }
}

static bool items_lack(di_compilation *compilation, const di_syntax_item *items)
{
    for (const di_syntax_item *item = items; item; item = item->next)
        if (item_lacks(compilation, item))
            return true;
    return false;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* The path of the interface file that the header of a `%` line would be made from, NULL where the
 * line is no #include of a header. */
static const char *interface_of(di_compilation *compilation, const char *line)
{
    static const char word[] = "include";
    line = skip_blanks(line);
    if (*line != '#')
        return NULL;
    line = skip_blanks(line + 1);
    if (strncmp(line, word, sizeof word - 1) != 0)
        return NULL;
    line = skip_blanks(line + sizeof word - 1);
    if (*line != '"' && *line != '<')
        return NULL;
    size_t size = strcspn(line + 1, "\">");
    if (size < 3 || strncmp(line + 1 + size - 2, ".h", 2) != 0)
        return NULL;
    char *path = di_copy(compilation, line + 1, size);
    path[size - 1] = 'x';
    return path;
}

/* The file, looked for as an included one, or by its name alone beside the one that needs it. NULL:
 * there is none, or it was read already. */
static di_source *find(di_compilation *compilation, const di_source *needing, const char *path)
{
    const di_source *last = compilation->last_source;
    const char *reason, *slash = strrchr(path, '/');
    di_source *found = di_find_include(compilation, needing, path, true, &reason);
    if (!found && slash)
        found = di_find_include(compilation, needing, slash + 1, true, &reason);
    return compilation->last_source == last ? NULL : found;
}

static void declare_neighbour(di_checker *checker, di_syntax_item *item, const char *path)
{
    di_compilation *compilation = checker->compilation;
    di_source *found = find(compilation, item->span.position.source, path);
    if (!found)
        return;
    found->included_at = item->span;
    di_syntax_item *added = di_parse(compilation, di_tokens_of(compilation, found)), *last = item;
    di_declare_items(checker, added);
    item->kind = DI_SYNTAX_INCLUDE;
    item->text = path;
    di_syntax_item *rest = item->next;
    item->next = added;
    while (last->next)
        last = last->next;
    last->next = rest;
}

void di_declare_neighbours(di_checker *checker, di_syntax_item *items)
{
    di_compilation *compilation = checker->compilation;
    for (di_syntax_item *item = items; item; item = item->next) {
        bool is_pass = item->kind == DI_SYNTAX_PASS;
        const char *path = is_pass ? interface_of(compilation, item->text) : NULL;
        if (!path)
            continue;
        if (compilation->incomplete || !items_lack(compilation, items))
            return;
        declare_neighbour(checker, item, path);
    }
}
