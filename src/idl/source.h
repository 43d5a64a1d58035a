/* SPDX-License-Identifier: MIT */
/* Input files: their text and where their lines start. They live in the compilation's arena and are
 * constant once made. */
#ifndef DI_IDL_SOURCE_H
#define DI_IDL_SOURCE_H

#include "idl/diagnostic.h"

#include <sys/types.h>

/* The largest input file, in bytes. */
#define DI_SOURCE_LIMIT (16u << 20)

typedef struct di_source {
    const char *path;
    const char *text; /* without a byte order mark; not terminated */
    size_t size;
    const uint32_t *lines;  /* the offset of each line */
    uint32_t line_count;    /* at least 1 */
    dev_t device;           /* the two say whether a path leads to the same file again; */
    ino_t inode;            /* 0 for a text that is no file */
    bool open;              /* it, or a file it includes, is being read */
    di_span included_at;    /* where for the first time; no source: nowhere */
    struct di_source *next; /* compilation.h: sources */
} di_source;

/* A source from a text in memory, which must outlive the compilation. */
di_source *di_source_of_text(di_compilation *compilation, const char *path, const char *text,
                             size_t size);

/* Reads the regular file at `path`, or finds it among those already read. NULL where that fails:
 * *ret_reason then says why, in words that last as long as the compilation. */
di_source *di_source_load(di_compilation *compilation, const char *path, const char **ret_reason);

/* Adds a source to those that di_idl_dependency lists. */
void di_source_list(di_compilation *compilation, di_source *source);

#endif
