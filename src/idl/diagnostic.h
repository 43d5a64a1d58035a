/* SPDX-License-Identifier: MIT */
/* Messages about the input: collected in the order in which they are found, and formatted as a C
 * compiler prints them. */
#ifndef DI_IDL_DIAGNOSTIC_H
#define DI_IDL_DIAGNOSTIC_H

#include "idl/compilation.h"

/* After so many errors a compilation ends with one more that says so. */
#define DI_ERROR_LIMIT 50u

/* Further warnings are dropped. */
#define DI_WARNING_LIMIT 50u

/* The most bytes of a source line that a formatted diagnostic shows. */
#define DI_LINE_SHOWN 160u

/* Of macros that stand for one another, so many are shown, and the one that is used in the text. */
#define DI_EXPANSIONS_SHOWN 3u

struct di_expansion;

/* A place in the input and how many bytes it covers. */
typedef struct di_span {
    di_position position;
    uint32_t length;
    const struct di_expansion *expansion; /* NULL: the text there is what is meant */
} di_span;

/* What stands for the name of a macro that is written at a place, the macro being defined at
 * another. */
typedef struct di_expansion {
    const char *name;
    di_span definition;               /* of the name; without a source: not in a file */
    const struct di_expansion *outer; /* the macro by which this one is used; NULL: none */
} di_expansion;

/* Behind an error or warning come notes by themselves: how its text came from macros, and how its
 * file came to be included, where that was not said at the one before. */
void di_error(di_compilation *compilation, di_span span, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void di_warning(di_compilation *compilation, di_span span, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Belongs to the error or warning before it. */
void di_note(di_compilation *compilation, di_span span, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An error after which nothing can be done. */
_Noreturn void di_fatal(di_compilation *compilation, di_span span, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
