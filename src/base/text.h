/* SPDX-License-Identifier: MIT */
/* A growing string. Appending to one that has failed does nothing, so that a writer checks once, at
 * the end. One thread at a time. */
#ifndef DI_BASE_TEXT_H
#define DI_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed di_text is empty and ready. */
typedef struct di_text {
    char *data;  /* terminated; NULL while nothing was appended */
    size_t size; /* without the terminator */
    size_t room;
    bool failed; /* memory ran out */
} di_text;

void di_text_append(di_text *text, const char *data, size_t size);
void di_text_format(di_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void di_text_vformat(di_text *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
void di_text_free(di_text *text);

/* A number that tells most texts apart. Who chooses texts can choose such that it does not. */
uint32_t di_text_hash(const char *data, size_t size);

#endif
