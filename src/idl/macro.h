/* SPDX-License-Identifier: MIT */
/* Object-like macros: `#define NAME value`. A macro with parameters is known, but using it is an
 * error. */
#ifndef DI_IDL_MACRO_H
#define DI_IDL_MACRO_H

#include "idl/lex.h"

/* How deep macros may expand to macros. */
#define DI_MACRO_DEPTH 64u

/* How many tokens and expansions all macros of a compilation may make. */
#define DI_EXPANSION_LIMIT (1u << 18)

typedef struct di_macro {
    const char *name;
    di_span span; /* of the name, where it is defined; no source: not in a file */
    const di_token *body;
    size_t count;
    bool has_parameters;
    bool busy; /* being expanded */
} di_macro;

/* Defines the name at `token` in some environments; what was defined otherwise gets a warning. The
 * tokens are copied. */
void di_macro_define(di_compilation *compilation, const di_token *token, const di_token *body,
                     size_t count, bool has_parameters, unsigned environments);

void di_macro_undefine(di_name *name, unsigned environments);

/* Appends what a token stands for in an environment: itself, where it is no macro's name. False
 * where that cannot be had: reported, but for macros of `%` lines. */
bool di_macro_expand(di_compilation *compilation, const di_token *token, unsigned environment,
                     di_token_list *out);

#endif
