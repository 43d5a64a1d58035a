/* SPDX-License-Identifier: MIT */
#include "transport/parts.h"

#include <string.h>

size_t di_parts_list(const di_buffer *out, const di_part *parts, size_t count,
                     struct iovec *ret_pieces)
{
    size_t pieces = 0, size;
    uint8_t *at = di_buffer_peek(out, &size);
    uint8_t *end = at + size;
    for (size_t i = 0; i < count; i++) {
        ret_pieces[pieces++] = (struct iovec){at, (size_t)(parts[i].at - at)};
        ret_pieces[pieces++] = (struct iovec){(void *)(uintptr_t)parts[i].data, parts[i].size};
        at = parts[i].at + parts[i].size;
    }
    ret_pieces[pieces++] = (struct iovec){at, (size_t)(end - at)};
    return pieces;
}

void di_parts_write(const uint8_t *begin, const di_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t done = begin <= parts[i].at ? 0 : (size_t)(begin - parts[i].at);
        if (done < parts[i].size)
            memcpy(parts[i].at + done, parts[i].data + done, parts[i].size - done);
    }
}
