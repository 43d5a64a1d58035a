/* SPDX-License-Identifier: MIT */
/* The expressions of #if and #elif, as C has them. */
#ifndef DI_IDL_CONDITION_H
#define DI_IDL_CONDITION_H

#include "idl/lex.h"

/* How deep an expression may be nested. */
#define DI_EXPRESSION_DEPTH 64u

/* Evaluates the tokens of a line in one environment. False where they are no expression: an error
 * at `directive` or one of the tokens then says why. */
bool di_condition_evaluate(di_compilation *compilation, const di_token_list *line,
                           unsigned environment, di_span directive, bool *ret_value);

/* Evaluates the macro `name` among those of `%` lines. False where it is none, or no number. */
bool di_condition_evaluate_pass(di_compilation *compilation, di_name *name, bool *ret_negative,
                                uint64_t *ret_magnitude);

#endif
