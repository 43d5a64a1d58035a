/* SPDX-License-Identifier: MIT */
/* The C emitter: a checked tree in, the text of STEM.h and STEM.c out. No globals, no files. */
#ifndef DI_GEN_EMIT_C_H
#define DI_GEN_EMIT_C_H

#include "base/text.h"
#include "idl/compile.h"

#include <stdbool.h>

typedef struct di_emit_c_options {
    const char *stem;      /* the base name of the files: "calc" */
    const char *prefix;    /* put before every name; "" for none */
    bool strings_as_spans; /* string is dari_text instead of char * */
} di_emit_c_options;

/* Where the text of STEM.c goes, part by part, as it is made: it is long. */
typedef struct di_emit_sink {
    /* Returns false where it can take no more. */
    bool (*write)(void *context, const char *data, size_t size);
    void *context;
} di_emit_sink;

/* Two definitions that would have the same name in C, where the RPC language tells them apart: an
 * error at the second, and a note at the first; or one whose name C has already: the note then has
 * no text. */
typedef struct di_clash {
    di_diagnostic error;
    di_diagnostic note;
    char error_text[640];
    char note_text[640];
} di_clash;

/* Appends the header, then gives the source to the sink. Returns 0, DARI_NO_MEMORY, which stands
 * for a sink that is full too, or DARI_INVALID where names clash: `ret_clash` then says which, and
 * nothing was written. */
int di_emit_c(const di_unit *unit, const di_emit_c_options *options, di_text *header,
              const di_emit_sink *source, di_clash *ret_clash);

#endif
