/* SPDX-License-Identifier: MIT */
/* What values of each type can cost: bytes on the wire, and memory for each byte received. */
#ifndef DI_GEN_SIZES_H
#define DI_GEN_SIZES_H

#include "base/text.h"
#include "gen/emit_c.h"
#include "idl/tree.h"

/* Appends a table: one line a type, "NAME MINIMUM MAXIMUM RATIO", where MAXIMUM is a number or
 * "unbounded", and RATIO the most bytes of memory that decoding takes for each byte of the message,
 * rounded up to a tenth, with the sizes of 64-bit machines; opaque data is counted as copied.
 * Returns 0 or DARI_NO_MEMORY. */
int di_emit_sizes(const di_unit *unit, const di_emit_c_options *options, di_text *out);

#endif
