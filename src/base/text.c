/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for `size` more bytes and the terminator, where there is not enough. */
static bool enlarge(di_text *text, size_t size)
{
    if (text->failed || size >= SIZE_MAX / 2 - text->size) {
        text->failed = true;
        return false;
    }
    size_t needed = text->size + size + 1;
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

static inline bool has_room(const di_text *text, size_t size)
{
    return !text->failed && size < text->room - text->size;
}

/* Appends without a terminator. */
static inline void append(di_text *text, const char *data, size_t size)
{
    if (!has_room(text, size) && !enlarge(text, size))
        return;
    if (size)
        memcpy(text->data + text->size, data, size);
    text->size += size;
}

static void terminate(di_text *text)
{
    if (text->data)
        text->data[text->size] = '\0';
}

void di_text_append(di_text *text, const char *data, size_t size)
{
    append(text, data, size);
    terminate(text);
}

static void append_number(di_text *text, uint64_t number)
{
    char digits[20]; /* as many as UINT64_MAX has */
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    append(text, digits + at, sizeof digits - at);
}

/* Appends what a directive stands for; `at` is behind its `%`. Returns what follows it, or NULL
 * where printf has to be asked. */
static const char *append_directive(di_text *text, const char *at, va_list *arguments)
{
    const char *string;
    int number;
    switch (*at++) {
    case 's':
        string = va_arg(*arguments, const char *);
        if (!string)
            return NULL;
        append(text, string, strlen(string));
        return at;
    case 'u':
        append_number(text, va_arg(*arguments, unsigned));
        return at;
    case 'd':
        number = va_arg(*arguments, int);
        if (number < 0)
            append(text, "-", 1);
        append_number(text, number < 0 ? -(uint64_t)number : (uint64_t)number);
        return at;
    case 'l':
        if (*at != 'u')
            return NULL;
        append_number(text, va_arg(*arguments, unsigned long));
        return at + 1;
    default:
        return NULL;
    }
}

/* Generated code is formatted by little more than `%s`, `%u` and `%d`, for which printf is slow.
 * Returns whether there was nothing else in the format. */
static bool format_plainly(di_text *text, const char *format, va_list *arguments)
{
    while (format) {
        const char *end = strchrnul(format, '%');
        append(text, format, (size_t)(end - format));
        if (!*end)
            return true;
        format = append_directive(text, end + 1, arguments);
    }
    return false;
}

static void format_by_printf(di_text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size < 0)
        text->failed = true;
    else if (has_room(text, (size_t)size) || enlarge(text, (size_t)size))
        text->size += (size_t)vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
    va_end(again);
}

void di_text_vformat(di_text *text, const char *format, va_list arguments)
{
    size_t before = text->size;
    va_list plain;
    va_copy(plain, arguments);
    if (!format_plainly(text, format, &plain)) {
        text->size = before;
        format_by_printf(text, format, arguments);
    }
    va_end(plain);
    if (text->failed)
        text->size = before;
    terminate(text);
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

uint32_t di_text_hash(const char *data, size_t size)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)data[i]) * 16777619u;
    return hash;
}
