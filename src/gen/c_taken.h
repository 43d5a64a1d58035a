/* SPDX-License-Identifier: MIT */
/* Names that C has for something else already where generated code is compiled. */
#ifndef DI_GEN_C_TAKEN_H
#define DI_GEN_C_TAKEN_H

#include "gen/c_writer.h"

/* Returns 0, or DARI_INVALID where the definition, or something that it declares, has a name that
 * is not to be had in C; `ret_clash` then tells the first. */
int di_c_find_taken(di_c_writer *writer, const di_definition *definition, di_clash *ret_clash);

#endif
