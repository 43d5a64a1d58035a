/* SPDX-License-Identifier: MIT */
/* Numbers are as in C's preprocessor: 64 bits, signed or unsigned. */
#include "idl/condition.h"

#include "idl/macro.h"
#include "idl/number.h"

#include <string.h>

typedef struct number {
    uint64_t bits;
    bool is_unsigned;
} number;

typedef struct evaluator {
    di_compilation *compilation;
    const di_token *at; /* the list ends with DI_TOKEN_END */
    unsigned depth;
    bool quiet; /* failures are not reported, and names without a macro fail */
    bool failed;
} evaluator;

static number evaluate_choice(evaluator *e, bool wanted);

static number fail(evaluator *e, di_span span, const char *what)
{
    if (!e->failed && !e->quiet)
        di_error(e->compilation, span, "%s", what);
    e->failed = true;
    return (number){0};
}

static bool accept(evaluator *e, int kind)
{
    if (e->at->kind != kind)
        return false;
    e->at++;
    return true;
}

static number from_bool(bool value)
{
    return (number){.bits = value};
}

static number evaluate_number(evaluator *e)
{
    number value = {0};
    size_t suffix = 0;
    const di_token *token = e->at++;
    di_number_fault fault = di_number_read(token->text, token->length, true, &value.bits, &suffix);
    if (fault)
        return fail(e, token->span, di_number_fault_text(fault));
    const char *letters = token->text + token->length - suffix;
    value.is_unsigned =
        memchr(letters, 'u', suffix) || memchr(letters, 'U', suffix) || value.bits > INT64_MAX;
    return value;
}

static number evaluate_character(evaluator *e)
{
    const di_token *token = e->at++;
    if (token->length != 3)
        return fail(e, token->span, "a character in a condition must be a single one");
    return (number){.bits = (uint64_t)(int64_t)(signed char)token->text[1]};
}

/* primary: number | character | name | "(" choice ")" */
static number evaluate_primary(evaluator *e, bool wanted)
{
    switch (e->at->kind) {
    case DI_TOKEN_NUMBER:
        return evaluate_number(e);
    case DI_TOKEN_CHARACTER:
        return evaluate_character(e);
    case DI_TOKEN_NAME: /* one that no macro defines */
        if (e->quiet)
            return fail(e, e->at->span, "");
        e->at++;
        return (number){0};
    case '(': {
        di_span open = e->at++->span;
        number value = evaluate_choice(e, wanted);
        if (!accept(e, ')'))
            return fail(e, open, "this '(' has no ')'");
        return value;
    }
    case DI_TOKEN_END:
        return fail(e, e->at->span, "the condition ends where a value is expected");
    default:
        return fail(e, e->at->span, "this cannot stand in a condition");
    }
}

/* unary: ("+" | "-" | "!" | "~") unary | primary */
static number evaluate_unary(evaluator *e, bool wanted)
{
    if (e->depth >= DI_EXPRESSION_DEPTH)
        return fail(e, e->at->span, "the condition is nested too deeply");
    e->depth++;
    number value;
    if (accept(e, '+')) {
        value = evaluate_unary(e, wanted);
    } else if (accept(e, '-')) {
        value = evaluate_unary(e, wanted);
        value.bits = -value.bits;
    } else if (accept(e, '~')) {
        value = evaluate_unary(e, wanted);
        value.bits = ~value.bits;
    } else if (accept(e, '!')) {
        value = from_bool(!evaluate_unary(e, wanted).bits);
    } else {
        value = evaluate_primary(e, wanted);
    }
    e->depth--;
    return value;
}

/* How strongly a binary operator binds, 0 for other tokens. */
static unsigned strength(int kind)
{
    switch (kind) {
    case DI_TOKEN_OR:
        return 1;
    case DI_TOKEN_AND:
        return 2;
    case '|':
        return 3;
    case '^':
        return 4;
    case '&':
        return 5;
    case DI_TOKEN_EQUAL:
    case DI_TOKEN_UNEQUAL:
        return 6;
    case '<':
    case '>':
    case DI_TOKEN_LESS_EQUAL:
    case DI_TOKEN_GREATER_EQUAL:
        return 7;
    case DI_TOKEN_SHIFT_LEFT:
    case DI_TOKEN_SHIFT_RIGHT:
        return 8;
    case '+':
    case '-':
        return 9;
    case '*':
    case '/':
    case '%':
        return 10;
    default:
        return 0;
    }
}

static bool is_less(number left, number right)
{
    if (left.is_unsigned || right.is_unsigned)
        return left.bits < right.bits;
    return (int64_t)left.bits < (int64_t)right.bits;
}

static number divide(evaluator *e, const di_token *operator, number left, number right, bool wanted)
{
    number result = {.is_unsigned = left.is_unsigned || right.is_unsigned};
    if (!right.bits)
        return wanted ? fail(e, operator->span, "division by zero") : result;
    bool remainder = operator->kind == '%';
    if (result.is_unsigned)
        result.bits = remainder ? left.bits % right.bits : left.bits / right.bits;
    else if (right.bits == UINT64_MAX) /* -1: where C's division may overflow */
        result.bits = remainder ? 0 : -left.bits;
    else
        result.bits = remainder ? (uint64_t)((int64_t)left.bits % (int64_t)right.bits)
                                : (uint64_t)((int64_t)left.bits / (int64_t)right.bits);
    return result;
}

static number shift(int kind, number left, number right)
{
    number result = {.is_unsigned = left.is_unsigned};
    bool negative = !left.is_unsigned && left.bits > INT64_MAX;
    if (kind == DI_TOKEN_SHIFT_LEFT)
        result.bits = right.bits < 64 ? left.bits << right.bits : 0;
    else if (right.bits >= 64)
        result.bits = negative ? UINT64_MAX : 0;
    else if (negative && right.bits)
        result.bits = left.bits >> right.bits | UINT64_MAX << (64 - right.bits);
    else
        result.bits = left.bits >> right.bits;
    return result;
}

static number combine(evaluator *e, const di_token *operator, number left, number right,
                      bool wanted)
{
    number result = {.is_unsigned = left.is_unsigned || right.is_unsigned};
    switch (operator->kind) {
    case '/':
    case '%':
        return divide(e, operator, left, right, wanted);
    case DI_TOKEN_SHIFT_LEFT:
    case DI_TOKEN_SHIFT_RIGHT:
        return shift(operator->kind, left, right);
    case DI_TOKEN_EQUAL:
        return from_bool(left.bits == right.bits);
    case DI_TOKEN_UNEQUAL:
        return from_bool(left.bits != right.bits);
    case '<':
        return from_bool(is_less(left, right));
    case '>':
        return from_bool(is_less(right, left));
    case DI_TOKEN_LESS_EQUAL:
        return from_bool(!is_less(right, left));
    case DI_TOKEN_GREATER_EQUAL:
        return from_bool(!is_less(left, right));
    case '|':
        result.bits = left.bits | right.bits;
        break;
    case '^':
        result.bits = left.bits ^ right.bits;
        break;
    case '&':
        result.bits = left.bits & right.bits;
        break;
    case '+':
        result.bits = left.bits + right.bits;
        break;
    case '-':
        result.bits = left.bits - right.bits;
        break;
    default:
        result.bits = left.bits * right.bits;
        break;
    }
    return result;
}

/* binary: unary { operator binary }, operators at least as strong as `weakest`. */
static number evaluate_binary(evaluator *e, unsigned weakest, bool wanted)
{
    number left = evaluate_unary(e, wanted);
    for (;;) {
        const di_token *operator= e->at;
        unsigned binds = strength(operator->kind);
        if (!binds || binds < weakest || e->failed)
            return left;
        e->at++;
        bool decided = (operator->kind == DI_TOKEN_OR && left.bits) ||
                       (operator->kind == DI_TOKEN_AND && !left.bits);
        number right = evaluate_binary(e, binds + 1, wanted && !decided);
        if (operator->kind == DI_TOKEN_OR)
            left = from_bool(left.bits || right.bits);
        else if (operator->kind == DI_TOKEN_AND)
            left = from_bool(left.bits && right.bits);
        else
            left = combine(e, operator, left, right, wanted);
    }
}

/* choice: binary [ "?" choice ":" choice ] */
static number evaluate_choice(evaluator *e, bool wanted)
{
    number chosen = evaluate_binary(e, 1, wanted);
    if (e->failed || !accept(e, '?'))
        return chosen;
    if (e->depth >= DI_EXPRESSION_DEPTH)
        return fail(e, e->at->span, "the condition is nested too deeply");
    e->depth++;
    number first = evaluate_choice(e, wanted && chosen.bits);
    if (!accept(e, ':'))
        return fail(e, e->at->span, "':' is expected here");
    number second = evaluate_choice(e, wanted && !chosen.bits);
    e->depth--;
    number value = chosen.bits ? first : second;
    value.is_unsigned = first.is_unsigned || second.is_unsigned;
    return value;
}

/* Evaluates expanded tokens, to the last. */
static number evaluate_all(evaluator *e, di_token_list *expanded, di_span directive)
{
    di_token end = {.kind = DI_TOKEN_END, .span = directive};
    di_token_append(e->compilation, expanded, end);
    e->at = expanded->items;
    number value = evaluate_choice(e, true);
    if (!e->failed && e->at->kind != DI_TOKEN_END)
        return fail(e, e->at->span, "the condition should end here");
    return value;
}

/* Appends 1 or 0 for `defined NAME` or `defined(NAME)` at `at`. Returns how many tokens it is. */
static size_t replace_defined(evaluator *e, const di_token_list *line, size_t at,
                              unsigned environment, di_token_list *out)
{
    const di_token *next = line->items + at + 1;
    size_t left = line->count - at - 1;
    bool parenthesis = left > 0 && next->kind == '(';
    size_t count = parenthesis ? 3 : 1;
    const di_token *name = next + parenthesis;
    if (left < count || name->kind != DI_TOKEN_NAME || (parenthesis && next[2].kind != ')')) {
        fail(e, line->items[at].span, "'defined' needs a name");
        return left + 1;
    }
    di_token value = {.kind = DI_TOKEN_NUMBER, .span = name->span, .length = 1};
    value.text = name->name->macros[environment] ? "1" : "0";
    di_token_append(e->compilation, out, value);
    return count + 1;
}

bool di_condition_evaluate(di_compilation *compilation, const di_token_list *line,
                           unsigned environment, di_span directive, bool *ret_value)
{
    evaluator e = {.compilation = compilation};
    di_token_list expanded = {0};
    for (size_t i = 0; i < line->count;) {
        const di_token *token = &line->items[i];
        bool is_name = token->kind == DI_TOKEN_NAME;
        if (is_name && !strcmp(token->name->text, "defined")) {
            i += replace_defined(&e, line, i, environment, &expanded);
            continue;
        }
        if (is_name && token->name->macros[environment])
            e.failed |= !di_macro_expand(compilation, token, environment, &expanded);
        else
            di_token_append(compilation, &expanded, *token);
        i++;
    }
    number value = {0};
    if (!e.failed)
        value = evaluate_all(&e, &expanded, directive);
    *ret_value = value.bits != 0;
    return !e.failed;
}

bool di_condition_evaluate_pass(di_compilation *compilation, di_name *name, bool *ret_negative,
                                uint64_t *ret_magnitude)
{
    const di_macro *macro = name->macros[DI_IN_PASS];
    evaluator e = {.compilation = compilation, .quiet = true};
    di_token_list expanded = {0};
    if (!macro || macro->has_parameters)
        return false;
    for (size_t i = 0; i < macro->count; i++)
        e.failed |= !di_macro_expand(compilation, &macro->body[i], DI_IN_PASS, &expanded);
    if (e.failed)
        return false;
    number value = evaluate_all(&e, &expanded, (di_span){0});
    *ret_negative = !value.is_unsigned && value.bits > INT64_MAX;
    *ret_magnitude = *ret_negative ? -value.bits : value.bits;
    return !e.failed;
}
