/* SPDX-License-Identifier: MIT */
/* Which codecs are also written inline: those of the elements of arrays and lists, and of what
 * these hold by value, where they are small. A call for each element would cost more than its work.
 */
#ifndef DI_GEN_C_INLINE_H
#define DI_GEN_C_INLINE_H

#include "gen/c_writer.h"

/* Finds the unit's types that have inline codecs, for di_c_is_inline. */
void di_c_find_inline(di_c_writer *writer, const di_unit *unit);

bool di_c_is_inline(const di_c_writer *writer, const di_type *type);

/* "xdr_" or "inline_", which stands before `size_`, `encode_` and `decode_` where a type's codec is
 * called. */
const char *di_c_codec_prefix(const di_c_writer *writer, const di_type *type);

#endif
