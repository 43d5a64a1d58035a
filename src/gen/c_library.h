/* SPDX-License-Identifier: MIT */
/* Names that C has already where generated code is compiled: what the headers that it includes
 * declare. */
#ifndef DI_GEN_C_LIBRARY_H
#define DI_GEN_C_LIBRARY_H

#include <stdbool.h>

/* Whether a header has the name for a function, or any of C's headers for a macro, or dari keeps it
 * for itself ("dari_…"): nothing at file scope can have it. */
bool di_c_is_library_name(const char *name);

/* Whether a header has the name for a type: only a typedef of the same type can have it. */
bool di_c_is_library_type(const char *name);

#endif
