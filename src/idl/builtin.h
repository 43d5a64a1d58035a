/* SPDX-License-Identifier: MIT */
/* What a file may use without defining it: names that C's headers for RPC declare. */
#ifndef DI_IDL_BUILTIN_H
#define DI_IDL_BUILTIN_H

/* Definitions in the RPC language. A file may define the same names; its definition then counts. */
extern const char di_built_in_text[];

#endif
