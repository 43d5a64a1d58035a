/* SPDX-License-Identifier: MIT */
/* Names in C live in one scope for the whole file; in the RPC language they do not. */
#ifndef DI_GEN_C_CLASH_H
#define DI_GEN_C_CLASH_H

#include "gen/c_names.h"

/* Returns 0, DARI_NO_MEMORY, or DARI_INVALID where two definitions of the unit get the same name in
 * C, or one gets a name that C has; `ret_clash` then tells the first such pair or name. `names` are
 * the unit's, and are put in another order. */
int di_c_find_clash(di_c_writer *writer, const di_unit *unit, di_c_names *names,
                    di_clash *ret_clash);

#endif
