/* SPDX-License-Identifier: MIT */
/* The first pass: every name gets its symbol, so that what comes later in the file can be used. */
#include "idl/check.h"
#include "idl/parse.h"

#include <string.h>

di_node *di_node_of(const di_type *type)
{
    /* All types of these kinds were made here, as the first member of their node. */
    if (type->kind < DI_ENUM || type->kind > DI_TYPEDEF)
        return NULL;
    return (di_node *)(uintptr_t)type;
}

static di_node *add_node(di_checker *checker, di_kind kind, const di_name *name, di_span span)
{
    di_node *node = di_take(checker->compilation, 1, sizeof *node);
    node->type.kind = kind;
    node->type.name = name->text;
    node->type.position = span.position;
    node->span = span;
    node->built_in = checker->built_in;
    if (checker->last_node)
        checker->last_node->next = node;
    else
        checker->nodes = node;
    checker->last_node = node;
    return node;
}

/* Names a definition after what is around it. NULL: that has no name, after an error. */
static di_name *name_of_body(di_checker *checker, const di_syntax_body *body)
{
    di_compilation *compilation = checker->compilation;
    const di_syntax_body *path[DI_NESTING_LIMIT];
    size_t depth = 0;
    const di_name *outermost = NULL;
    if (body->name)
        return body->name;
    for (; body; body = body->outer) {
        outermost = body->name ? body->name : body->outer_name;
        if (body->name)
            break;
        if (!body->member)
            return NULL;
        path[depth++] = body;
        if (outermost)
            break;
    }
    if (!outermost)
        return NULL;
    size_t size = outermost->length;
    for (size_t i = 0; i < depth; i++)
        size += 1 + strlen(path[i]->member);
    char *text = di_take(compilation, size + 1, 1), *end = text + outermost->length;
    memcpy(text, outermost->text, outermost->length);
    while (depth--) {
        *end++ = '_';
        end = stpcpy(end, path[depth]->member);
    }
    return di_name_of(compilation, text, size);
}

/* Whether the definition, or one around it, had an error: where a brace is missing, what follows is
 * read as a part of it. */
static bool is_doubtful(const di_syntax_body *body)
{
    while (body && !body->broken)
        body = body->outer;
    return body != NULL;
}

static void declare_enumerators(di_checker *checker, di_syntax_body *body, di_node *node)
{
    di_symbol *previous = NULL;
    for (di_syntax_enumerator *e = body->enumerators; e; e = e->next) {
        e->symbol = di_declare(checker->compilation, (di_symbol){.kind = DI_SYMBOL_ENUMERATOR,
                                                                 .name = e->name,
                                                                 .span = e->span,
                                                                 .doubtful = is_doubtful(body),
                                                                 .node = node,
                                                                 .value = e->value,
                                                                 .previous = previous});
        previous = e->symbol;
    }
}

/* Whether two kinds are the same on the wire. */
static bool same_kind(di_kind one, di_kind other)
{
    one = one == DI_LONG ? DI_INT : one == DI_UNSIGNED_LONG ? DI_UNSIGNED_INT : one;
    other = other == DI_LONG ? DI_INT : other == DI_UNSIGNED_LONG ? DI_UNSIGNED_INT : other;
    return one == other;
}

/* The kind of the built-in type that a declaration only gives another name, DI_VOID for others. */
static di_kind alias_kind(const di_syntax_declaration *declaration)
{
    if (declaration->shape != DI_PLAIN || declaration->type.body)
        return DI_VOID;
    if (!declaration->type.name)
        return declaration->type.kind;
    const di_symbol *symbol = declaration->type.name->symbol;
    if (!symbol || !symbol->built_in || !symbol->node || !symbol->node->declaration)
        return DI_VOID;
    const di_syntax_declaration *built_in = symbol->node->declaration;
    return built_in->shape == DI_PLAIN ? built_in->type.kind : DI_VOID;
}

/* Whether a typedef says nothing new: it names itself, or repeats what is built in. */
static bool is_redundant(const di_syntax_item *item)
{
    const di_syntax_declaration *declaration = item->declaration;
    const di_symbol *known = item->name->symbol;
    if (declaration->shape == DI_PLAIN && declaration->type.name == item->name)
        return true;
    if (!known || !known->built_in || !known->node || !known->node->declaration)
        return false;
    di_kind kind = alias_kind(declaration);
    return kind != DI_VOID && same_kind(kind, alias_kind(known->node->declaration));
}

static void declare_type(di_checker *checker, di_syntax_item *item, di_name *name, di_kind kind)
{
    if (name->word >= DI_WORD_CHAR && name->word != DI_WORD_NAMESPACE)
        di_error(checker->compilation, item->span, "'%s' is a built-in type", name->text);
    di_node *node = add_node(checker, kind, name, item->span);
    node->body = item->body;
    if (item->body)
        item->body->node = node;
    node->declaration = item->declaration;
    item->symbol = di_declare(checker->compilation, (di_symbol){.kind = DI_SYMBOL_TYPE,
                                                                .name = name,
                                                                .span = item->span,
                                                                .doubtful = is_doubtful(item->body),
                                                                .node = node});
    item->symbol->built_in = checker->built_in;
    if (kind == DI_ENUM)
        declare_enumerators(checker, item->body, node);
}

static void declare_program(di_checker *checker, di_syntax_item *item)
{
    di_compilation *compilation = checker->compilation;
    item->symbol = di_declare(compilation, (di_symbol){.kind = DI_SYMBOL_PROGRAM,
                                                       .name = item->name,
                                                       .span = item->span,
                                                       .value = &item->value});
    for (di_syntax_version *v = item->versions; v; v = v->next) {
        v->symbol = di_declare(compilation, (di_symbol){.kind = DI_SYMBOL_VERSION,
                                                        .name = v->name,
                                                        .span = v->span,
                                                        .value = &v->number});
        for (di_syntax_procedure *p = v->procedures; p; p = p->next)
            p->symbol = di_declare(compilation, (di_symbol){.kind = DI_SYMBOL_PROCEDURE,
                                                            .name = p->name,
                                                            .span = p->span,
                                                            .value = &p->number});
    }
}

static void declare_item(di_checker *checker, di_syntax_item *item)
{
    switch (item->kind) {
    case DI_SYNTAX_CONSTANT:
        item->symbol = di_declare(checker->compilation, (di_symbol){.kind = DI_SYMBOL_CONSTANT,
                                                                    .name = item->name,
                                                                    .span = item->span,
                                                                    .value = &item->value});
        item->symbol->built_in = checker->built_in;
        break;
    case DI_SYNTAX_BODY:
        item->name = name_of_body(checker, item->body);
        item->span = item->body->span;
        if (item->name)
            declare_type(checker, item, item->name, item->body->kind);
        break;
    case DI_SYNTAX_PROGRAM:
        declare_program(checker, item);
        break;
    case DI_SYNTAX_TYPEDEF:
        if (!is_redundant(item))
            declare_type(checker, item, item->name, DI_TYPEDEF);
        break;
    case DI_SYNTAX_PASS:
    case DI_SYNTAX_INCLUDE:
        break;
    }
}

void di_declare_items(di_checker *checker, di_syntax_item *items)
{
    for (di_syntax_item *item = items; item; item = item->next)
        declare_item(checker, item);
}

/* The kind that a name has in C for good, DI_VOID for other names. */
static di_kind kind_in_c(const char *name)
{
    static const struct {
        const char *name;
        di_kind kind;
    } types[] = {
        {"int8_t", DI_CHAR},   {"uint8_t", DI_UNSIGNED_CHAR},
        {"int16_t", DI_SHORT}, {"uint16_t", DI_UNSIGNED_SHORT},
        {"int32_t", DI_INT},   {"uint32_t", DI_UNSIGNED_INT},
        {"int64_t", DI_HYPER}, {"uint64_t", DI_UNSIGNED_HYPER},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!strcmp(name, types[i].name))
            return types[i].kind;
    }
    return DI_VOID;
}

void di_check_c_names(di_checker *checker)
{
    for (const di_node *node = checker->nodes; node; node = node->next) {
        di_kind kind = kind_in_c(node->type.name);
        if (node->built_in || kind == DI_VOID || same_kind(di_resolve(&node->type)->kind, kind))
            continue;
        di_error(checker->compilation, node->span, "'%s' is a type of C already, and another one",
                 node->type.name);
    }
}
