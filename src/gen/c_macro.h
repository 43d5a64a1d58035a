/* SPDX-License-Identifier: MIT */
/* Names that the preprocessor of C takes away: in code that includes the header they are no names
 * at all, in whatever scope. */
#ifndef DI_GEN_C_MACRO_H
#define DI_GEN_C_MACRO_H

#include "idl/tree.h"

#include <stdbool.h>

/* Whether a header of C, or one of dari, has the name for a macro, or C keeps it for such ("__x",
 * "_X"): nothing in generated code can have it. Users include what they like before that, so the
 * headers that it does not include itself count too. */
bool di_c_is_macro(const char *name);

/* Whether a macro of the name stands for that very number everywhere, so that a constant of the
 * name may be had from either. */
bool di_c_says_the_same(const char *name, const di_number *number);

#endif
