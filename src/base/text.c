/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for `size` more bytes and the terminator. */
static bool grow(di_text *text, size_t size)
{
    if (text->failed || size >= SIZE_MAX / 2 - text->size) {
        text->failed = true;
        return false;
    }
    size_t needed = text->size + size + 1;
    if (needed <= text->room)
        return true;
    size_t room = needed < 256 ? 256 : needed + needed / 2;
    char *data = realloc(text->data, room);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->room = room;
    return true;
}

void di_text_append(di_text *text, const char *data, size_t size)
{
    if (!grow(text, size))
        return;
    if (size)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void di_text_vformat(di_text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size < 0)
        text->failed = true;
    else if (grow(text, (size_t)size)) {
        vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
        text->size += (size_t)size;
    }
    va_end(again);
}

void di_text_format(di_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    di_text_vformat(text, format, arguments);
    va_end(arguments);
}

void di_text_free(di_text *text)
{
    free(text->data);
    *text = (di_text){0};
}
