/* SPDX-License-Identifier: MIT */
/* Values, types and declarations. */
#include "idl/cursor.h"
#include "idl/number.h"

#include <string.h>

/* constant: [ "-" ] number */
static bool parse_number(di_parser *p, di_syntax_value *value)
{
    bool negative = di_accept(p, '-');
    const di_token *token = di_peek(p);
    size_t suffix;
    if (token->kind != DI_TOKEN_NUMBER)
        return di_expected(p, "a number");
    di_number_fault fault =
        di_number_read(token->text, token->length, false, &value->magnitude, &suffix);
    value->text = di_copy(p->compilation, token->text, token->length);
    value->broken = fault != DI_NUMBER_FINE;
    if (fault)
        di_error(p->compilation, token->span, "%s", di_number_fault_text(fault));
    di_take_token(p);
    if (!negative)
        return true;
    value->negative = value->magnitude != 0;
    char *text = di_take(p->compilation, token->length + 2, 1);
    text[0] = '-';
    memcpy(text + 1, token->text, token->length);
    value->text = text;
    if (!value->broken && value->magnitude > (uint64_t)INT64_MAX + 1) {
        di_error(p->compilation, token->span, "the number does not fit 64 bits");
        value->broken = true;
    }
    return true;
}

/* value: constant | name */
bool di_parse_value(di_parser *p, di_syntax_value *ret_value)
{
    const di_token *token = di_peek(p);
    di_syntax_value value = {.span = token->span};
    if (token->kind == DI_TOKEN_NAME && !di_name_reserved(token->name)) {
        value.name = token->name;
        value.text = token->name->text;
        di_take_token(p);
    } else if (token->kind == '-' || token->kind == DI_TOKEN_NUMBER) {
        if (!parse_number(p, &value))
            return false;
        if (p->last.position.line == value.span.position.line)
            value.span.length =
                p->last.position.column + p->last.length - value.span.position.column;
    } else {
        return di_expected(p, "a number or the name of one");
    }
    *ret_value = value;
    return true;
}

/* enum-body: "{" name [ "=" value ] { "," name [ "=" value ] } "}" */
static bool parse_enumerators(di_parser *p, di_syntax_body *body)
{
    di_syntax_enumerator **tail = &body->enumerators;
    if (!di_expect(p, '{'))
        return false;
    do {
        di_syntax_enumerator *added = di_take(p->compilation, 1, sizeof *added);
        if (body->enumerators && di_peek(p)->kind == '}') {
            di_error(p->compilation, p->last, "a comma must be followed by another enumerator");
            break;
        }
        added->name = di_parse_name(p, "an enumerator", &added->span);
        if (!added->name)
            return false;
        if (di_accept(p, '=')) {
            added->value = di_take(p->compilation, 1, sizeof *added->value);
            if (!di_parse_value(p, added->value))
                return false;
        }
        *tail = added;
        tail = &added->next;
    } while (di_accept(p, ','));
    return di_expect(p, '}');
}

/* struct-body: "{" declaration ";" { declaration ";" } "}" */
static bool parse_members(di_parser *p, di_syntax_body *body)
{
    di_syntax_declaration **tail = &body->members;
    if (!di_expect(p, '{'))
        return false;
    if (di_peek(p)->kind == '}') {
        di_error(p->compilation, di_peek(p)->span, "a struct needs at least one member");
        body->broken = true;
    }
    unsigned inside = p->braces;
    while (di_list_continues(p)) {
        di_syntax_declaration *member;
        bool parsed = di_parse_declaration(p, &member);
        if (parsed && member->type.kind == DI_VOID) {
            di_error(p->compilation, member->span,
                     "void can only be an arm, an argument or a result");
        } else if (parsed) {
            *tail = member;
            tail = &member->next;
            if (di_expect(p, ';'))
                continue;
        }
        body->broken = true;
        di_skip_element(p, inside);
    }
    return di_expect(p, '}');
}

/* { "case" value ":" } or "default" ":" */
static bool parse_labels(di_parser *p, di_syntax_arm *arm)
{
    di_syntax_label **tail = &arm->labels;
    arm->span = di_peek(p)->span;
    if (di_accept_word(p, DI_WORD_DEFAULT))
        return di_expect(p, ':');
    if (di_word_at(p) != DI_WORD_CASE)
        return di_expected(p, "'case' or 'default'");
    while (di_accept_word(p, DI_WORD_CASE)) {
        di_syntax_label *label = di_take(p->compilation, 1, sizeof *label);
        if (!di_parse_value(p, &label->value) || !di_expect(p, ':'))
            return false;
        *tail = label;
        tail = &label->next;
    }
    if (di_word_at(p) == DI_WORD_DEFAULT)
        return di_expected(p, "a declaration");
    return true;
}

/* union-body: "switch" "(" declaration ")" "{" labels declaration ";" { … } "}" */
static bool parse_arms(di_parser *p, di_syntax_body *body)
{
    di_syntax_arm **tail = &body->arms;
    if (!di_accept_word(p, DI_WORD_SWITCH))
        return di_expected(p, "'switch'");
    if (!di_expect(p, '(') || !di_parse_declaration(p, &body->discriminant) || !di_expect(p, ')'))
        return false;
    if (!di_expect(p, '{'))
        return false;
    unsigned inside = p->braces;
    while (di_list_continues(p)) {
        di_syntax_arm *arm = di_take(p->compilation, 1, sizeof *arm);
        if (parse_labels(p, arm) && di_parse_declaration(p, &arm->declaration)) {
            *tail = arm;
            tail = &arm->next;
            if (di_expect(p, ';'))
                continue;
        }
        body->broken = true;
        di_skip_element(p, inside);
    }
    return di_expect(p, '}');
}

/* The body of an enum, struct or union. It becomes an item: before the one around it. */
bool di_parse_body(di_parser *p, di_syntax_body *body)
{
    bool parsed;
    if (p->depth >= DI_NESTING_LIMIT)
        di_fatal(p->compilation, di_peek(p)->span, "types are nested deeper than %u",
                 DI_NESTING_LIMIT);
    p->depth++;
    body->outer = p->outer;
    p->outer = body;
    if (body->kind == DI_ENUM)
        parsed = parse_enumerators(p, body);
    else if (body->kind == DI_STRUCT)
        parsed = parse_members(p, body);
    else
        parsed = parse_arms(p, body);
    p->outer = body->outer;
    p->depth--;
    body->broken |= !parsed;
    p->compilation->incomplete |= !parsed && body->kind == DI_ENUM;
    di_add_item(p, (di_syntax_item){.kind = DI_SYNTAX_BODY, .span = body->span, .body = body});
    return parsed;
}

/* ("struct" | "union" | "enum") [ name ] [ body ] */
static bool parse_tagged_type(di_parser *p, di_kind kind, di_syntax_type *type)
{
    di_span keyword = di_take_token(p)->span;
    const di_token *token = di_peek(p);
    *type = (di_syntax_type){.span = token->span, .kind = kind};
    di_name *name = NULL;
    if (token->kind == DI_TOKEN_NAME && !di_name_reserved(token->name)) {
        name = token->name;
        di_take_token(p);
    }
    bool has_body =
        di_peek(p)->kind == '{' || (kind == DI_UNION && di_word_at(p) == DI_WORD_SWITCH);
    if (!has_body && !name)
        return di_expected(p, kind == DI_UNION ? "a name or 'switch'" : "a name or '{'");
    if (!has_body) {
        type->name = name;
        return true;
    }
    type->body = di_take(p->compilation, 1, sizeof *type->body);
    *type->body = (di_syntax_body){.kind = kind, .span = name ? type->span : keyword, .name = name};
    return di_parse_body(p, type->body);
}

/* "unsigned" [ "int" | "hyper" | "char" | "short" | "long" ] [ "int" ] */
static bool parse_unsigned(di_parser *p, di_syntax_type *type)
{
    di_take_token(p);
    type->kind = DI_UNSIGNED_INT;
    if (di_accept_word(p, DI_WORD_INT))
        return true;
    if (di_accept_word(p, DI_WORD_HYPER))
        type->kind = DI_UNSIGNED_HYPER;
    else if (di_accept_word(p, DI_WORD_CHAR))
        type->kind = DI_UNSIGNED_CHAR;
    else if (di_accept_word(p, DI_WORD_SHORT))
        type->kind = DI_UNSIGNED_SHORT;
    else if (di_accept_word(p, DI_WORD_LONG))
        type->kind = DI_UNSIGNED_LONG;
    else
        return true;
    di_accept_word(p, DI_WORD_INT);
    return true;
}

/* The built-in type that a word begins, DI_TYPEDEF where it begins none. */
static di_kind built_in(di_word word)
{
    switch (word) {
    case DI_WORD_VOID:
        return DI_VOID;
    case DI_WORD_BOOL:
        return DI_BOOL;
    case DI_WORD_CHAR:
        return DI_CHAR;
    case DI_WORD_SHORT:
        return DI_SHORT;
    case DI_WORD_INT:
        return DI_INT;
    case DI_WORD_LONG:
        return DI_LONG;
    case DI_WORD_HYPER:
        return DI_HYPER;
    case DI_WORD_FLOAT:
        return DI_FLOAT;
    case DI_WORD_DOUBLE:
        return DI_DOUBLE;
    case DI_WORD_QUADRUPLE:
        return DI_QUADRUPLE;
    case DI_WORD_OPAQUE:
        return DI_OPAQUE;
    case DI_WORD_STRING:
        return DI_STRING;
    default:
        return DI_TYPEDEF;
    }
}

/* type-specifier, and the three words that only some declarations take: void, opaque, string */
bool di_parse_type(di_parser *p, di_syntax_type *ret_type)
{
    const di_token *token = di_peek(p);
    *ret_type = (di_syntax_type){.span = token->span, .kind = DI_TYPEDEF};
    if (token->kind != DI_TOKEN_NAME)
        return di_expected(p, "a type");
    switch (token->name->word) {
    case DI_WORD_STRUCT:
        return parse_tagged_type(p, DI_STRUCT, ret_type);
    case DI_WORD_UNION:
        return parse_tagged_type(p, DI_UNION, ret_type);
    case DI_WORD_ENUM:
        return parse_tagged_type(p, DI_ENUM, ret_type);
    case DI_WORD_UNSIGNED:
        return parse_unsigned(p, ret_type);
    default:
        break;
    }
    ret_type->kind = built_in(token->name->word);
    if (ret_type->kind == DI_TYPEDEF && di_name_reserved(token->name))
        return di_expected(p, "a type");
    if (ret_type->kind == DI_TYPEDEF)
        ret_type->name = token->name;
    di_take_token(p);
    if (ret_type->kind == DI_LONG && di_word_at(p) == DI_WORD_LONG &&
        di_token_behind(p->at)->kind == DI_TOKEN_NAME)
        di_error(p->compilation, di_take_token(p)->span, "'long long' is no type: use hyper");
    if (ret_type->kind == DI_LONG || ret_type->kind == DI_SHORT)
        di_accept_word(p, DI_WORD_INT);
    return true;
}

bool di_parse_size(di_parser *p, di_syntax_declaration *declaration)
{
    bool fixed = di_peek(p)->kind == '[';
    const di_token *open = di_take_token(p);
    if (declaration->shape == DI_OPTIONAL) {
        di_error(p->compilation, open->span,
                 "a pointer to an array, or an array of pointers, needs a typedef in between");
        return false;
    }
    declaration->shape = fixed ? DI_FIXED : DI_VARIABLE;
    if (fixed || di_peek(p)->kind != '>') {
        declaration->size = di_take(p->compilation, 1, sizeof *declaration->size);
        if (!di_parse_value(p, declaration->size))
            return false;
    }
    if (!di_expect(p, fixed ? ']' : '>'))
        return false;
    if (di_peek(p)->kind == '[' || di_peek(p)->kind == '<') {
        di_error(p->compilation, di_peek(p)->span, "an array of arrays needs a typedef in between");
        return false;
    }
    return true;
}

bool di_check_bytes(di_parser *p, di_syntax_declaration *declaration)
{
    di_kind kind = declaration->type.kind;
    const char *word = kind == DI_STRING ? "string" : "opaque";
    if (kind != DI_STRING && kind != DI_OPAQUE)
        return true;
    if (declaration->shape == DI_OPTIONAL) {
        di_error(p->compilation, declaration->span, "a pointer to %s needs a typedef in between",
                 word);
        return false;
    }
    if (kind == DI_STRING && declaration->shape == DI_FIXED) {
        di_error(p->compilation, declaration->span, "a string has a bound in '<' and '>' only");
        return false;
    }
    if (kind == DI_OPAQUE && declaration->shape == DI_PLAIN)
        di_warning(p->compilation, declaration->span,
                   "opaque without a size is taken for opaque<>");
    if (declaration->shape == DI_PLAIN)
        declaration->shape = DI_VARIABLE;
    return true;
}

void di_name_body(di_name *around, const di_syntax_declaration *declaration, const char *otherwise)
{
    di_syntax_body *body = declaration->type.body;
    if (!body || body->name)
        return;
    body->outer_name = around;
    body->member = declaration->name ? declaration->name->text : otherwise;
}

/* declaration: "void" | type [ "*" ] name [ size ]. */
bool di_parse_declaration(di_parser *p, di_syntax_declaration **ret_declaration)
{
    di_syntax_declaration *declaration = di_take(p->compilation, 1, sizeof *declaration);
    if (!di_parse_type(p, &declaration->type))
        return false;
    declaration->span = declaration->type.span;
    *ret_declaration = declaration;
    if (declaration->type.kind == DI_VOID)
        return true;
    if (di_accept(p, '*'))
        declaration->shape = DI_OPTIONAL;
    declaration->name = di_parse_name(p, "a name", &declaration->span);
    if (!declaration->name) {
        if (declaration->type.body)
            declaration->type.body->broken = true;
        return false;
    }
    di_name_body(NULL, declaration, "");
    if ((di_peek(p)->kind == '[' || di_peek(p)->kind == '<') && !di_parse_size(p, declaration))
        return false;
    return di_check_bytes(p, declaration);
}
