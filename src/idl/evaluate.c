/* SPDX-License-Identifier: MIT */
/* A number depends on at most one other: by its name, or as the enumerator before. So evaluating is
 * following a chain, without recursion. */
#include "idl/evaluate.h"

#include "idl/condition.h"

#include <inttypes.h>
#include <stdio.h>

di_symbol *di_number_symbol(di_compilation *compilation, di_name *name)
{
    di_symbol constant = {.kind = DI_SYMBOL_CONSTANT, .name = name, .state = DI_VALUE_KNOWN};
    di_symbol *symbol = name->symbol;
    if (symbol && symbol->kind != DI_SYMBOL_TYPE)
        return symbol;
    if (symbol || name->number)
        return name->number;
    if (!di_condition_evaluate_pass(compilation, name, &constant.negative, &constant.magnitude))
        return NULL;
    constant.built_in = true;
    return di_declare(compilation, constant);
}

/* What a symbol's number depends on, NULL for nothing, or for a name that means no number. */
static di_symbol *dependency(di_compilation *compilation, const di_symbol *symbol)
{
    if (!symbol->value)
        return symbol->previous;
    return symbol->value->name ? di_number_symbol(compilation, symbol->value->name) : NULL;
}

static bool is_string(const di_symbol *symbol)
{
    return symbol && symbol->value && symbol->value->is_string;
}

static void report_no_number(di_compilation *compilation, const di_syntax_value *value)
{
    const di_symbol *symbol = value->name->symbol;
    if (!symbol && value->name->reported)
        return;
    value->name->reported = true;
    if (!symbol && compilation->incomplete)
        return;
    if (!symbol) {
        di_error(compilation, value->span,
                 "undeclared constant '%s'; one that a C header defines needs -D %s=VALUE",
                 value->text, value->text);
        return;
    }
    di_error(compilation, value->span, "'%s' is a %s, not a number", value->text,
             is_string(symbol) ? "string" : "type");
    if (!symbol->built_in)
        di_note(compilation, symbol->span, "'%s' is defined here", value->text);
}

/* Whether the number is what an enumerator can be. */
static bool fits_enumerator(const di_symbol *symbol)
{
    return symbol->magnitude <= (uint64_t)INT32_MAX + symbol->negative;
}

/* Sets the number of a symbol from what it depends on, which is evaluated. */
static bool compute(di_compilation *compilation, di_symbol *symbol)
{
    const di_syntax_value *value = symbol->value;
    const di_symbol *other = dependency(compilation, symbol);
    if (value && (value->broken || value->is_string))
        return false;
    if (value && value->name && (!other || is_string(other))) {
        report_no_number(compilation, value);
        return false;
    }
    if (other && other->state != DI_VALUE_KNOWN)
        return false;
    if (other) {
        symbol->negative = other->negative;
        symbol->magnitude = other->magnitude;
    } else if (value) {
        symbol->negative = value->negative;
        symbol->magnitude = value->magnitude;
    }
    if (other && !value) { /* one more than the enumerator before */
        symbol->magnitude += symbol->negative ? UINT64_MAX : 1;
        symbol->negative = symbol->negative && symbol->magnitude;
    }
    if (symbol->kind == DI_SYMBOL_ENUMERATOR && !fits_enumerator(symbol)) {
        di_error(compilation, value ? value->span : symbol->span,
                 "the enumerator '%s' does not fit a 32-bit int", symbol->name->text);
        return false;
    }
    return true;
}

bool di_evaluate_symbol(di_compilation *compilation, di_symbol *symbol)
{
    di_symbol *chain = NULL, *at = symbol;
    while (at && at->state == DI_VALUE_UNKNOWN) {
        at->state = DI_VALUE_BUSY;
        at->waiting = chain;
        chain = at;
        at = dependency(compilation, at);
        if (at)
            at->used = true;
    }
    bool circle = at && at->state == DI_VALUE_BUSY;
    if (circle)
        di_error(compilation, at->span, "the value of '%s' depends on itself", at->name->text);
    for (; chain; chain = chain->waiting) {
        bool known = !circle && compute(compilation, chain);
        chain->state = known ? DI_VALUE_KNOWN : DI_VALUE_BROKEN;
    }
    return symbol->state == DI_VALUE_KNOWN;
}

static const char *digits_of(di_compilation *compilation, const di_symbol *symbol)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%s%" PRIu64, symbol->negative ? "-" : "",
                        symbol->magnitude);
    return di_copy(compilation, digits, (size_t)size);
}

bool di_evaluate(di_compilation *compilation, const di_syntax_value *value, di_number *ret_number)
{
    if (value->broken)
        return false;
    if (!value->name) {
        *ret_number = (di_number){value->negative, value->magnitude, value->text, false};
        return true;
    }
    di_symbol *symbol = di_number_symbol(compilation, value->name);
    if (!symbol || is_string(symbol)) {
        report_no_number(compilation, value);
        return false;
    }
    symbol->used = true;
    if (!di_evaluate_symbol(compilation, symbol))
        return false;
    *ret_number = (di_number){symbol->negative, symbol->magnitude, value->text, true};
    if (symbol->built_in) { /* no definition that an emitter could refer to */
        ret_number->text = digits_of(compilation, symbol);
        ret_number->symbolic = false;
    }
    return true;
}

bool di_evaluate_unsigned(di_compilation *compilation, const di_syntax_value *value,
                          const char *what, uint32_t *ret_number)
{
    di_number number;
    if (!di_evaluate(compilation, value, &number))
        return false;
    if (number.negative) {
        di_error(compilation, value->span, "%s cannot be negative", what);
        return false;
    }
    if (number.magnitude > UINT32_MAX) {
        di_error(compilation, value->span, "%s cannot be more than 4294967295", what);
        return false;
    }
    *ret_number = (uint32_t)number.magnitude;
    return true;
}
