/* SPDX-License-Identifier: MIT */
/* Tokens to definitions: RFC 4506 section 6.3, RFC 5531 section 12.2, and the dialect. */
#ifndef DI_IDL_PARSE_H
#define DI_IDL_PARSE_H

#include "idl/lex.h"
#include "idl/syntax.h"

/* How deep definitions of types may be nested. */
#define DI_NESTING_LIMIT 32u

/* The definitions of a file, NULL where there are none. Reports what is wrong, and goes on behind
 * it. The tokens end with a DI_TOKEN_END. */
di_syntax_item *di_parse(di_compilation *compilation, const di_token *tokens);

#endif
