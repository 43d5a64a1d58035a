/* SPDX-License-Identifier: MIT */
/* Programs, versions and procedures. */
#include "idl/cursor.h"

#include <stdio.h>

/* An argument: type [ "<" [ value ] ">" ] [ name [ "<" [ value ] ">" ] ] */
static bool parse_argument(di_parser *p, di_name *procedure, unsigned number,
                           di_syntax_declaration **ret_declaration)
{
    di_syntax_declaration *declaration = di_take(p->compilation, 1, sizeof *declaration);
    if (!di_parse_type(p, &declaration->type))
        return false;
    declaration->span = declaration->type.span;
    di_kind kind = declaration->type.kind;
    bool bytes = kind == DI_STRING || kind == DI_OPAQUE;
    if (bytes && di_peek(p)->kind == '<' && !di_parse_size(p, declaration))
        return false;
    if (kind != DI_VOID && di_peek(p)->kind == DI_TOKEN_NAME) {
        declaration->name = di_parse_name(p, "an argument", &declaration->span);
        if (bytes && declaration->shape == DI_PLAIN && di_peek(p)->kind == '<' &&
            !di_parse_size(p, declaration))
            return false;
    }
    int next = di_peek(p)->kind;
    if (next == '*' || next == '[' || next == '<') {
        di_error(p->compilation, di_peek(p)->span,
                 "a pointer or an array as an argument needs a typedef");
        return false;
    }
    const char *otherwise = "argument";
    if (number > 1) {
        char *text = di_take(p->compilation, 24, 1);
        snprintf(text, 24, "argument%u", number);
        otherwise = text;
    }
    di_name_body(procedure, declaration, otherwise);
    *ret_declaration = declaration;
    return di_check_bytes(p, declaration);
}

/* "(" [ "void" | argument { "," argument } ] ")" */
static bool parse_arguments(di_parser *p, di_syntax_procedure *procedure)
{
    di_syntax_declaration **tail = &procedure->arguments;
    if (!di_expect(p, '('))
        return false;
    if (di_accept(p, ')'))
        return true;
    unsigned number = 0;
    do {
        di_syntax_declaration *argument;
        if (!parse_argument(p, procedure->name, ++number, &argument))
            return false;
        bool is_void = argument->type.kind == DI_VOID;
        if (is_void && !procedure->arguments && di_peek(p)->kind != ',')
            break;
        if (is_void) {
            di_error(p->compilation, argument->span, "void must be the only argument");
            return false;
        }
        *tail = argument;
        tail = &argument->next;
    } while (di_accept(p, ','));
    return di_expect(p, ')');
}

/* procedure-def: result name "(" arguments ")" "=" value ";" */
static bool parse_procedure(di_parser *p, di_syntax_procedure **ret_procedure)
{
    di_syntax_procedure *procedure = di_take(p->compilation, 1, sizeof *procedure);
    di_syntax_declaration *result = di_take(p->compilation, 1, sizeof *result);
    if (!di_parse_type(p, &result->type))
        return false;
    result->span = result->type.span;
    procedure->result = result;
    bool bytes = result->type.kind == DI_STRING || result->type.kind == DI_OPAQUE;
    if (bytes && di_peek(p)->kind == '<' && !di_parse_size(p, result))
        return false;
    if (di_peek(p)->kind == '*' || di_peek(p)->kind == '<') {
        di_error(p->compilation, di_peek(p)->span,
                 "a pointer or an array as a result needs a typedef");
        return false;
    }
    procedure->name = di_parse_name(p, "the name of a procedure", &procedure->span);
    if (!procedure->name)
        return false;
    di_name_body(procedure->name, result, "result");
    if (!di_check_bytes(p, result) || !parse_arguments(p, procedure))
        return false;
    *ret_procedure = procedure;
    return di_expect(p, '=') && di_parse_value(p, &procedure->number);
}

/* version-def: "version" name "{" procedure { procedure } "}" "=" value ";" */
static bool parse_version(di_parser *p, di_syntax_version **ret_version)
{
    di_syntax_version *version = di_take(p->compilation, 1, sizeof *version);
    di_syntax_procedure **tail = &version->procedures;
    if (!di_accept_word(p, DI_WORD_VERSION))
        return di_expected(p, "'version'");
    version->name = di_parse_name(p, "the name of a version", &version->span);
    if (!version->name || !di_expect(p, '{'))
        return false;
    if (di_peek(p)->kind == '}')
        di_error(p->compilation, di_peek(p)->span, "a version needs at least one procedure");
    unsigned inside = p->braces;
    while (di_list_continues(p)) {
        di_syntax_procedure *procedure;
        if (parse_procedure(p, &procedure)) {
            *tail = procedure;
            tail = &procedure->next;
            if (di_expect(p, ';'))
                continue;
        }
        di_skip_element(p, inside);
    }
    if (!di_expect(p, '}') || !di_expect(p, '=') || !di_parse_value(p, &version->number) ||
        !di_expect(p, ';'))
        return false;
    *ret_version = version;
    return true;
}

/* program-def: "program" name "{" version { version } "}" "=" value ";" */
bool di_parse_program(di_parser *p)
{
    di_syntax_item item = {.kind = DI_SYNTAX_PROGRAM};
    di_syntax_version **tail = &item.versions;
    di_take_token(p);
    item.name = di_parse_name(p, "the name of a program", &item.span);
    if (!item.name || !di_expect(p, '{'))
        return false;
    if (di_peek(p)->kind == '}')
        di_error(p->compilation, di_peek(p)->span, "a program needs at least one version");
    unsigned inside = p->braces;
    while (di_list_continues(p)) {
        if (parse_version(p, tail))
            tail = &(*tail)->next;
        else
            di_skip_element(p, inside);
    }
    if (!di_expect(p, '}') || !di_expect(p, '=') || !di_parse_value(p, &item.value))
        return false;
    di_end_definition(p);
    di_add_item(p, item);
    return true;
}
