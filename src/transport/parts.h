/* SPDX-License-Identifier: MIT */
/* Messages of which parts lie elsewhere (di_part, transport.h), in an output buffer. */
#ifndef DI_TRANSPORT_PARTS_H
#define DI_TRANSPORT_PARTS_H

#include "base/buffer.h"
#include "transport/transport.h"

#include <sys/uio.h>

/* The most pieces that a buffer with parts is in. */
#define DI_PIECES_MAX (2 * DI_PARTS_MAX + 1)

/* Lists all that is in the buffer, with the parts in their places. Returns how many pieces it is
 * in. */
size_t di_parts_list(const di_buffer *out, const di_part *parts, size_t count,
                     struct iovec *ret_pieces);

/* Writes the bytes of the parts whose place is `begin` or after. */
void di_parts_write(const uint8_t *begin, const di_part *parts, size_t count);

#endif
