/* SPDX-License-Identifier: MIT */
/* The front end as a library: a file in, a checked tree or diagnostics out. No globals, no output;
 * several compilations may run on several threads. */
#ifndef DI_IDL_COMPILE_H
#define DI_IDL_COMPILE_H

#include "idl/tree.h"

#include <stddef.h>

typedef enum di_severity { DI_ERROR, DI_WARNING, DI_NOTE } di_severity;

/* One message. A note belongs to the error or warning before it. */
typedef struct di_diagnostic {
    di_severity severity;
    di_position position; /* source NULL: about no place in a file */
    uint32_t length;      /* bytes that the caret and its tildes mark, at least 1 */
    const char *text;
    const struct di_diagnostic *next;
} di_diagnostic;

typedef struct di_idl_options {
    const char *const *include_directories; /* searched after the including file's own folder */
    size_t include_directory_count;
    const char *const *defines; /* "NAME" or "NAME=VALUE" */
    size_t define_count;
    const char *const *externs; /* names of types declared elsewhere */
    size_t extern_count;
} di_idl_options;

typedef struct di_idl di_idl;

/* Compiles the file at `path` (`text` NULL: read it; otherwise its `size` bytes, which must outlive
 * the result). Returns 0 and a result also where the file has errors: di_idl_unit is NULL then. The
 * caller frees the result. Errors: DARI_NO_MEMORY. */
int di_idl_compile(const di_idl_options *options, const char *path, const char *text, size_t size,
                   di_idl **ret_idl);
void di_idl_free(di_idl *idl);

const di_unit *di_idl_unit(const di_idl *idl);
const di_diagnostic *di_idl_diagnostics(const di_idl *idl);

/* The files that were read, the compiled one first; NULL past the last. For dependency files. */
const char *di_idl_dependency(const di_idl *idl, size_t index);

/* Where a position's file is, and the text of its line (not terminated). */
const char *di_source_path(const struct di_source *source);
const char *di_source_line(const struct di_source *source, uint32_t line, size_t *ret_size);

/* A diagnostic as a C compiler prints it: place, text, line and caret, with a final newline.
 * Returns an allocated string that the caller frees, or NULL where memory is out. */
char *di_diagnostic_format(const di_diagnostic *diagnostic);

#endif
