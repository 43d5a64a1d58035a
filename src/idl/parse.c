/* SPDX-License-Identifier: MIT */
/* The definitions of a file. */
#include "idl/cursor.h"

/* const-def: "const" name "=" ( value | string ) ";" */
static bool parse_constant(di_parser *p)
{
    di_syntax_item item = {.kind = DI_SYNTAX_CONSTANT};
    di_take_token(p);
    item.name = di_parse_name(p, "the name of a constant", &item.span);
    if (!item.name || !di_expect(p, '='))
        return false;
    const di_token *token = di_peek(p);
    if (token->kind == DI_TOKEN_STRING) {
        item.value = (di_syntax_value){.span = token->span, .is_string = true};
        item.value.text = di_copy(p->compilation, token->text, token->length);
        for (uint32_t i = 0; i < token->length; i++)
            if ((unsigned char)token->text[i] < ' ' && token->text[i] != '\t') {
                di_error(p->compilation, token->span, "byte 0x%02x cannot stand in a string",
                         (unsigned char)token->text[i]);
                break;
            }
        di_take_token(p);
    } else if (!di_parse_value(p, &item.value)) {
        return false;
    }
    di_end_definition(p);
    di_add_item(p, item);
    return true;
}

/* type-def: "typedef" declaration ";". A definition without a name of its own gets the typedef's.
 */
static bool parse_typedef(di_parser *p)
{
    di_syntax_declaration *declaration;
    di_take_token(p);
    if (!di_parse_declaration(p, &declaration))
        return false;
    di_syntax_body *body = declaration->type.body;
    if (declaration->type.kind == DI_VOID) {
        di_error(p->compilation, declaration->span, "void cannot have another name");
        return false;
    }
    di_end_definition(p);
    if (body && declaration->shape == DI_PLAIN &&
        (!body->name || body->name == declaration->name)) {
        body->name = declaration->name;
        body->span = declaration->span;
        return true;
    }
    if (body && !body->name) {
        body->outer_name = declaration->name;
        body->member = "element";
    }
    di_add_item(p, (di_syntax_item){.kind = DI_SYNTAX_TYPEDEF,
                                    .span = declaration->span,
                                    .name = declaration->name,
                                    .declaration = declaration});
    return true;
}

/* ("enum" | "struct" | "union") name body ";" */
static bool parse_type_definition(di_parser *p)
{
    di_kind kind = di_word_at(p) == DI_WORD_ENUM     ? DI_ENUM
                   : di_word_at(p) == DI_WORD_STRUCT ? DI_STRUCT
                                                     : DI_UNION;
    di_syntax_body *body = di_take(p->compilation, 1, sizeof *body);
    body->kind = kind;
    di_take_token(p);
    body->name = di_parse_name(p, "the name of a type", &body->span);
    if (!body->name)
        return false;
    if (di_parse_body(p, body))
        di_end_definition(p);
    else
        di_skip_definition(p);
    return true;
}

/* "namespace" name ";": of another dialect; dari's names have no such scope. */
static bool parse_namespace(di_parser *p)
{
    di_span span;
    di_take_token(p);
    if (!di_parse_name(p, "a name", &span))
        return false;
    di_end_definition(p);
    return true;
}

/* definition: const-def | type-def | program-def */
static bool parse_definition(di_parser *p)
{
    switch (di_word_at(p)) {
    case DI_WORD_CONST:
        return parse_constant(p);
    case DI_WORD_TYPEDEF:
        return parse_typedef(p);
    case DI_WORD_ENUM:
    case DI_WORD_STRUCT:
    case DI_WORD_UNION:
        return parse_type_definition(p);
    case DI_WORD_PROGRAM:
        return di_parse_program(p);
    case DI_WORD_NAMESPACE:
        return parse_namespace(p);
    default:
        return di_expected(p, "a definition");
    }
}

di_syntax_item *di_parse(di_compilation *compilation, const di_token *tokens)
{
    di_parser p = {.compilation = compilation, .at = tokens};
    p.tail = &p.items;
    while (di_peek(&p)->kind != DI_TOKEN_END) {
        const di_token *start = p.at;
        p.inside = true;
        if (!parse_definition(&p)) {
            compilation->incomplete = true;
            if (p.at == start)
                di_take_token(&p);
            di_skip_definition(&p);
        }
        p.inside = false;
    }
    return p.items;
}
