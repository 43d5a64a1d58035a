/* SPDX-License-Identifier: MIT */
/* Inside the parser: the place in the tokens, what every rule does there, and the rules that others
 * use.
 *
 * One rule of the grammar is one function. A rule that meets an error reports it and returns false;
 * lists (members, arms, procedures) then skip to their next element and go on. */
#ifndef DI_IDL_CURSOR_H
#define DI_IDL_CURSOR_H

#include "idl/parse.h"

typedef struct di_parser {
    di_compilation *compilation;
    const di_token *at;
    di_span last;    /* of the token before */
    bool inside;     /* a definition has begun */
    unsigned depth;  /* of nested bodies */
    unsigned braces; /* that are open */
    const di_token
        *reported;         /* before this one something was reported as missing: once is enough */
    di_syntax_body *outer; /* the innermost body being read */
    di_syntax_item *items;
    di_syntax_item **tail;
} di_parser;

void di_add_item(di_parser *p, di_syntax_item item);

/* The next token. `%` lines and includes become items on the way. */
const di_token *di_peek(di_parser *p);

/* The same, and goes over it. */
const di_token *di_take_token(di_parser *p);

/* The word that is next, DI_WORD_NONE for anything else. */
di_word di_word_at(di_parser *p);

/* Goes over a token, or a word, where it is next. */
bool di_accept(di_parser *p, int kind);
bool di_accept_word(di_parser *p, di_word word);

/* Takes a punctuator, or reports that it is missing behind the token before. */
bool di_expect(di_parser *p, int kind);

/* Reports that `what` is expected at the next token. Returns false. */
bool di_expected(di_parser *p, const char *what);

/* Whether a list in braces goes on: not at its '}', at the end, or where the '}' is missing. */
bool di_list_continues(di_parser *p);

/* Skips what is left of an element of a list in braces after an error: to behind its ';', or to
 * where the list ends. `inside` is how many braces are open there. */
void di_skip_element(di_parser *p, unsigned inside);

/* Skips to behind the definition that an error is in. */
void di_skip_definition(di_parser *p);

/* The ';' of a definition that is complete. */
void di_end_definition(di_parser *p);

/* name. A keyword is reported and taken for one. NULL: something else is there. */
di_name *di_parse_name(di_parser *p, const char *what, di_span *ret_span);

/* parse_type.c */
bool di_parse_value(di_parser *p, di_syntax_value *ret_value);
bool di_parse_type(di_parser *p, di_syntax_type *ret_type);
bool di_parse_declaration(di_parser *p, di_syntax_declaration **ret_declaration);
bool di_parse_body(di_parser *p, di_syntax_body *body);

/* "[" value "]" | "<" [ value ] ">" */
bool di_parse_size(di_parser *p, di_syntax_declaration *declaration);

/* Checks what `string` and `opaque` are declared as. A missing size means any. */
bool di_check_bytes(di_parser *p, di_syntax_declaration *declaration);

/* Says after what a definition without a name is called: `around` (NULL: the body around it), and
 * the declared name or, without one, `otherwise`. */
void di_name_body(di_name *around, const di_syntax_declaration *declaration, const char *otherwise);

/* parse_program.c */
bool di_parse_program(di_parser *p);

#endif
