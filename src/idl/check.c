/* SPDX-License-Identifier: MIT */
/* The order of the passes: names, types, cycles, unions, sizes. Each pass relies on those before,
 * and reports what it alone can see. */
#include "idl/check.h"

#include "idl/measure.h"
#include "idl/neighbour.h"

#include <stdlib.h>
#include <string.h>

void di_list_definition(di_checker *checker, di_definition definition, di_span span)
{
    di_definition *added = di_take(checker->compilation, 1, sizeof *added);
    *added = definition;
    added->position = span.position;
    added->included = span.position.source != checker->main;
    *checker->tail = added;
    checker->tail = (di_definition **)(uintptr_t)&added->next;
}

/* Types that are declared elsewhere. A definition in the file replaces them. */
static void declare_externs(di_checker *checker)
{
    di_compilation *compilation = checker->compilation;
    const di_idl_options *options = compilation->options;
    for (size_t i = 0; i < options->extern_count; i++) {
        const char *text = options->externs[i];
        di_node *node = di_take(compilation, 1, sizeof *node);
        di_symbol *symbol = di_take(compilation, 1, sizeof *symbol);
        di_name *name = di_name_of(compilation, text, strlen(text));
        node->type.kind = DI_EXTERN;
        node->type.name = name->text;
        node->type.measure = (di_measure){.maximum = UINT64_MAX, .holds_memory = true};
        *symbol = (di_symbol){.kind = DI_SYMBOL_TYPE, .name = name, .built_in = true, .node = node};
        name->symbol = symbol;
    }
}

/* How many bytes behind a backslash are its escape in C, 0 where it is none. */
static size_t escape_length(const char *at)
{
    size_t digits;
    unsigned long number;
    if (*at && strchr("abfnrtv\\'\"?", *at))
        return 1;
    if (*at == 'x') {
        digits = strspn(at + 1, "0123456789abcdefABCDEF");
        number = strtoul(at + 1, NULL, 16);
        return digits && number <= UINT8_MAX ? 1 + digits : 0;
    }
    digits = strspn(at, "01234567");
    digits = digits > 3 ? 3 : digits;
    return digits < 3 || *at <= '3' ? digits : 0;
}

/* A string goes to C as it is written: it must be one there. */
static void check_string(di_checker *checker, const di_syntax_item *item)
{
    const char *text = item->value.text;
    for (const char *at = text; *at; at++) {
        di_span span = item->value.span;
        size_t length = *at == '\\' ? escape_length(at + 1) : 0;
        span.position.column += (uint32_t)(at - text);
        span.length = 2;
        if (*at == '\\' && !length) {
            di_error(checker->compilation, span, "this is no escape of C");
            return;
        }
        at += length;
    }
    di_list_definition(
        checker, (di_definition){.kind = DI_DEFINE_STRING, .name = item->name->text, .text = text},
        item->span);
}

static void check_constant(di_checker *checker, const di_syntax_item *item)
{
    if (item->value.is_string) {
        check_string(checker, item);
        return;
    }
    di_definition definition = {.kind = DI_DEFINE_CONSTANT, .name = item->name->text};
    if (di_evaluate_symbol(checker->compilation, item->symbol) &&
        di_evaluate(checker->compilation, &item->value, &definition.constant))
        di_list_definition(checker, definition, item->span);
}

static void check_type(di_checker *checker, const di_syntax_item *item)
{
    if (!item->symbol) {
        if (item->name && !item->name->symbol)
            di_error(checker->compilation, item->span, "undeclared type '%s'", item->name->text);
        return;
    }
    di_node *node = item->symbol->node;
    di_resolve_node(checker, node);
    if (checker->built_in)
        return;
    di_list_definition(
        checker,
        (di_definition){.kind = DI_DEFINE_TYPE, .name = node->type.name, .type = &node->type},
        item->span);
}

static void check_item(di_checker *checker, const di_syntax_item *item)
{
    switch (item->kind) {
    case DI_SYNTAX_CONSTANT:
        if (!checker->built_in)
            check_constant(checker, item);
        break;
    case DI_SYNTAX_TYPEDEF:
    case DI_SYNTAX_BODY:
        check_type(checker, item);
        break;
    case DI_SYNTAX_PROGRAM:
        di_list_definition(checker,
                           (di_definition){.kind = DI_DEFINE_PROGRAM,
                                           .name = item->name->text,
                                           .program = di_check_program(checker, item)},
                           item->span);
        break;
    case DI_SYNTAX_PASS:
        di_list_definition(checker,
                           (di_definition){.kind = DI_DEFINE_PASS,
                                           .text = item->text,
                                           .for_header = item->environments & 1u << DI_FOR_HEADER,
                                           .for_source = item->environments & 1u << DI_FOR_SOURCE},
                           item->span);
        break;
    case DI_SYNTAX_INCLUDE:
        di_list_definition(checker, (di_definition){.kind = DI_DEFINE_INCLUDE, .text = item->text},
                           item->span);
        break;
    }
}

static void check_items(di_checker *checker, const di_syntax_item *items)
{
    for (const di_syntax_item *item = items; item; item = item->next)
        check_item(checker, item);
}

static size_t count_programs(const di_syntax_item *items)
{
    size_t count = 0;
    for (const di_syntax_item *item = items; item; item = item->next)
        count += item->kind == DI_SYNTAX_PROGRAM;
    return count;
}

const di_unit *di_check(di_compilation *compilation, const struct di_source *main,
                        di_syntax_item *built_in, di_syntax_item *items)
{
    di_checker checker = {.compilation = compilation, .main = main};
    di_unit *unit = di_take(compilation, 1, sizeof *unit);
    checker.tail = (di_definition **)(uintptr_t)&unit->definitions;
    unit->path = di_source_path(main);

    checker.built_in = true;
    di_declare_items(&checker, built_in);
    declare_externs(&checker);
    checker.built_in = false;
    di_declare_items(&checker, items);
    di_declare_neighbours(&checker, items);

    checker.programs = di_number_set_of(compilation, count_programs(items));
    checker.built_in = true;
    check_items(&checker, built_in);
    checker.built_in = false;
    check_items(&checker, items);
    for (const di_syntax_item *item = items; item; item = item->next) {
        if (item->kind == DI_SYNTAX_PROGRAM)
            di_check_ambiguity(&checker, item);
    }

    if (!di_check_cycles(&checker))
        return NULL;
    di_check_c_names(&checker);
    for (di_node *node = checker.nodes; node; node = node->next) {
        if (node->type.kind == DI_UNION)
            di_check_union(&checker, node);
    }
    if (!compilation->error_count)
        di_measure_types(&checker);
    return compilation->error_count ? NULL : unit;
}
