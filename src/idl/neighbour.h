/* SPDX-License-Identifier: MIT */
/* Interface files that a file needs without including them. Other compilers take C's word for
 * types:
 * `%#include "b.h"` brings those of b.x, from which b.h was made. */
#ifndef DI_IDL_NEIGHBOUR_H
#define DI_IDL_NEIGHBOUR_H

#include "idl/check.h"

/* Where items use a type or number that nothing declares: reads the interface files beside the
 * headers that `%` lines include, those of files that were read so too, one after the other, until
 * nothing is lacking. Each becomes an include in the place of its `%` line, followed by its
 * definitions, which are declared. */
void di_declare_neighbours(di_checker *checker, di_syntax_item *items);

#endif
