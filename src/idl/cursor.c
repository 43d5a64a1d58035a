/* SPDX-License-Identifier: MIT */
#include "idl/cursor.h"

void di_add_item(di_parser *p, di_syntax_item item)
{
    di_syntax_item *added = di_take(p->compilation, 1, sizeof *added);
    *added = item;
    *p->tail = added;
    p->tail = &added->next;
}

/* A `%` line or an include as an item. */
static void add_aside(di_parser *p, const di_token *token)
{
    bool pass = token->kind == DI_TOKEN_PASS;
    di_add_item(p, (di_syntax_item){.span = token->span,
                                    .kind = pass ? DI_SYNTAX_PASS : DI_SYNTAX_INCLUDE,
                                    .text = token->text,
                                    .environments = pass ? token->environments : 0});
}

/* Goes over `%` lines and includes, which are items wherever they stand. An include within a
 * definition is part of that definition. */
static void settle(di_parser *p)
{
    for (;; p->at++) {
        p->at = di_token_follow(p->at);
        if (p->at->kind != DI_TOKEN_PASS && p->at->kind != DI_TOKEN_INCLUDE)
            return;
        if (p->at->kind == DI_TOKEN_PASS || !p->inside)
            add_aside(p, p->at);
    }
}

const di_token *di_peek(di_parser *p)
{
    settle(p);
    return p->at;
}

const di_token *di_take_token(di_parser *p)
{
    const di_token *token = di_peek(p);
    if (token->kind == DI_TOKEN_END)
        return token;
    if (token->kind == '{')
        p->braces++;
    else if (token->kind == '}' && p->braces)
        p->braces--;
    p->last = token->span;
    p->at++;
    return token;
}

di_word di_word_at(di_parser *p)
{
    const di_token *token = di_peek(p);
    return token->kind == DI_TOKEN_NAME ? token->name->word : DI_WORD_NONE;
}

bool di_accept(di_parser *p, int kind)
{
    if (di_peek(p)->kind != kind)
        return false;
    di_take_token(p);
    return true;
}

bool di_accept_word(di_parser *p, di_word word)
{
    if (di_word_at(p) != word)
        return false;
    di_take_token(p);
    return true;
}

/* Reports that `what` is missing at `span`, before the next token; not where something is missing
 * because it was wrong. */
static void report_missing(di_parser *p, di_span span, const char *what)
{
    const di_token *token = di_peek(p);
    if (token == p->reported || token->damaged)
        return;
    p->reported = token;
    di_error(p->compilation, span, "expected %s before %s", what,
             di_token_text(p->compilation, token));
}

bool di_expected(di_parser *p, const char *what)
{
    report_missing(p, di_peek(p)->span, what);
    return false;
}

bool di_expect(di_parser *p, int kind)
{
    const char what[] = {'\'', (char)kind, '\'', '\0'};
    if (di_accept(p, kind))
        return true;
    const di_token *token = di_peek(p);
    di_span span = p->last;
    span.position.column += span.length;
    span.length = 1;
    if (span.position.source != token->span.position.source)
        span = token->span;
    report_missing(p, span, what);
    return false;
}

di_name *di_parse_name(di_parser *p, const char *what, di_span *ret_span)
{
    const di_token *token = di_peek(p);
    if (token->kind != DI_TOKEN_NAME) {
        di_expected(p, what);
        return NULL;
    }
    if (di_name_reserved(token->name))
        di_error(p->compilation, token->span, "'%s' is a keyword and cannot be %s",
                 token->name->text, what);
    *ret_span = di_take_token(p)->span;
    return token->name;
}

/* Whether the next token can only begin a definition: at the very start of a line there is a
 * keyword, and for those that may also stand within a definition a name and a body behind it. */
static bool begins_definition(di_parser *p)
{
    const di_token *token = di_peek(p);
    if (token->kind != DI_TOKEN_NAME || !token->first || token->span.position.column != 1)
        return false;
    switch (token->name->word) {
    case DI_WORD_CONST:
    case DI_WORD_TYPEDEF:
    case DI_WORD_PROGRAM:
        return true;
    case DI_WORD_ENUM:
    case DI_WORD_STRUCT:
        return di_token_behind(token)->kind == DI_TOKEN_NAME &&
               di_token_behind(di_token_behind(token))->kind == '{';
    case DI_WORD_UNION:
        token = di_token_behind(di_token_behind(token));
        return token->kind == DI_TOKEN_NAME && token->name->word == DI_WORD_SWITCH;
    default:
        return false;
    }
}

bool di_list_continues(di_parser *p)
{
    int kind = di_peek(p)->kind;
    return kind != '}' && kind != DI_TOKEN_END && !begins_definition(p);
}

void di_skip_element(di_parser *p, unsigned inside)
{
    while (p->braces > inside || di_list_continues(p)) {
        int kind = di_take_token(p)->kind;
        if (kind == DI_TOKEN_END || begins_definition(p) || (kind == ';' && p->braces <= inside))
            return;
    }
}

void di_skip_definition(di_parser *p)
{
    while (di_peek(p)->kind != DI_TOKEN_END && !begins_definition(p)) {
        if (di_take_token(p)->kind == ';' && !p->braces)
            break;
    }
    p->braces = 0;
}

void di_end_definition(di_parser *p)
{
    if (di_expect(p, ';'))
        return;
    switch (di_word_at(p)) {
    case DI_WORD_CONST:
    case DI_WORD_TYPEDEF:
    case DI_WORD_PROGRAM:
    case DI_WORD_ENUM:
    case DI_WORD_STRUCT:
    case DI_WORD_UNION:
        return; /* the next definition: nothing else is missing */
    default:
        di_skip_definition(p);
    }
}
