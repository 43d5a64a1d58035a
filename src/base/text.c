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
    size_t room = needed < 256 ? 256 : 2 * needed;
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

/* Writes into the room that is there, and says how much was needed; negative where the format is
 * wrong. */
static int format_once(di_text *text, const char *format, va_list arguments)
{
    size_t room = text->room ? text->room - text->size : 0;
    return vsnprintf(text->data ? text->data + text->size : NULL, room, format, arguments);
}

void di_text_vformat(di_text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = text->failed ? -1 : format_once(text, format, arguments);
    size_t room = text->room ? text->room - text->size : 0;
    if (size < 0)
        text->failed = true;
    else if ((size_t)size < room)
        text->size += (size_t)size;
    else if (grow(text, (size_t)size))
        text->size += (size_t)format_once(text, format, again);
    else if (text->data)
        text->data[text->size] = '\0';
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
