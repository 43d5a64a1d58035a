/* SPDX-License-Identifier: MIT */
/* Names of numbers to numbers. */
#ifndef DI_IDL_EVALUATE_H
#define DI_IDL_EVALUATE_H

#include "idl/scope.h"

/* Evaluates a symbol that has a number, once. False after an error, reported where it arose. */
bool di_evaluate_symbol(di_compilation *compilation, di_symbol *symbol);

/* Evaluates a number as written. */
bool di_evaluate(di_compilation *compilation, const di_syntax_value *value, di_number *ret_number);

/* The same for one that must lie within 0 and 2^32-1; `what` says in a message what it is for. */
bool di_evaluate_unsigned(di_compilation *compilation, const di_syntax_value *value,
                          const char *what, uint32_t *ret_number);

/* The symbol that a name of a number stands for, NULL where it is none. A name that only a `%` line
 * defines as a macro gets one. */
di_symbol *di_number_symbol(di_compilation *compilation, di_name *name);

#endif
