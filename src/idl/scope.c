/* SPDX-License-Identifier: MIT */
#include "idl/scope.h"

const char *di_symbol_text(const di_symbol *symbol)
{
    static const char *const texts[] = {"constant", "enumerator", "type",
                                        "program",  "version",    "procedure"};
    return texts[symbol->kind];
}

static di_symbol *add(di_compilation *compilation, const di_symbol *symbol)
{
    di_symbol *added = di_take(compilation, 1, sizeof *added);
    *added = *symbol;
    return added;
}

di_symbol *di_declare(di_compilation *compilation, di_symbol symbol)
{
    di_symbol *added = add(compilation, &symbol);
    di_name *name = symbol.name;
    if (symbol.kind == DI_SYMBOL_VERSION || symbol.kind == DI_SYMBOL_PROCEDURE) {
        name->number = added;
        return added;
    }
    const di_symbol *earlier = name->symbol;
    if (!earlier || earlier->built_in) {
        name->symbol = added;
        return added;
    }
    if (earlier->doubtful || symbol.doubtful)
        return added;
    if (earlier->kind == symbol.kind)
        di_error(compilation, symbol.span, "duplicate %s '%s'", di_symbol_text(&symbol),
                 name->text);
    else
        di_error(compilation, symbol.span, "duplicate name '%s': it is the name of a%s %s too",
                 name->text, earlier->kind == DI_SYMBOL_ENUMERATOR ? "n" : "",
                 di_symbol_text(earlier));
    di_note(compilation, earlier->span, "'%s' was first defined here", name->text);
    return added;
}

bool di_scope_enter(di_compilation *compilation, uint32_t scope, di_name *name, const di_span *span,
                    const char *what)
{
    if (name->scope != scope) {
        name->scope = scope;
        name->declared = span;
        return true;
    }
    di_error(compilation, *span, "duplicate %s '%s'", what, name->text);
    di_note(compilation, *name->declared, "'%s' was first declared here", name->text);
    return false;
}

di_number_set di_number_set_of(di_compilation *compilation, size_t count)
{
    di_number_set set = {.size = 8};
    while (set.size < 2 * count)
        set.size *= 2;
    set.slots = di_take(compilation, set.size, sizeof *set.slots);
    return set;
}

/* The slot of a number, or the free one that it would take. */
static size_t slot_of(const di_number_set *set, uint32_t number)
{
    size_t at = (number * UINT32_C(2654435769) >> 7) & (set->size - 1);
    while (set->slots[at].span && set->slots[at].number != number)
        at = (at + 1) & (set->size - 1);
    return at;
}

const di_span *di_number_set_add(di_number_set *set, uint32_t number, const di_span *span)
{
    size_t at = slot_of(set, number);
    if (set->slots[at].span)
        return set->slots[at].span;
    set->slots[at].number = number;
    set->slots[at].span = span;
    return NULL;
}

bool di_number_set_has(const di_number_set *set, uint32_t number)
{
    return set->slots[slot_of(set, number)].span != NULL;
}
