/* SPDX-License-Identifier: MIT */
/* What the parts of one compilation share: memory, messages, names and files.
 *
 * All memory comes from one arena and is given back at once by di_idl_free. Where it runs out, and
 * after a fatal error, di_escape leaves the compilation by longjmp to di_idl_compile; nothing else
 * has to be undone, because no part holds anything outside the arena across a call that may escape.
 * One thread at a time. */
#ifndef DI_IDL_COMPILATION_H
#define DI_IDL_COMPILATION_H

#include "idl/compile.h"
#include "idl/name.h"

#include <dari/arena.h>
#include <setjmp.h>

/* What di_idl_compile finds after an escape. */
enum di_escape_reason { DI_ESCAPE_NO_MEMORY = 1, DI_ESCAPE_FATAL = 2 };

typedef struct di_compilation {
    dari_arena arena;
    jmp_buf escape;
    const di_idl_options *options;
    di_name_table names;
    di_diagnostic *first_diagnostic;
    di_diagnostic *last_diagnostic;
    uint32_t error_count;
    uint32_t warning_count;
    bool muted; /* the warning before was dropped: so are its notes */
    const struct di_source
        *explained;            /* the file of the message before: it was said how it came in */
    struct di_source *sources; /* the files that were read, the compiled one first */
    struct di_source *last_source;
    bool incomplete;          /* after a syntax error a definition may be missing */
    uint32_t expansion_steps; /* macro.c: against macros that grow without end */
} di_compilation;

_Noreturn void di_escape(di_compilation *compilation, enum di_escape_reason reason);

/* Takes `count` zeroed elements of `size` bytes. Never returns NULL: escapes instead. */
void *di_take(di_compilation *compilation, size_t count, size_t size);

/* Room for at least one more element behind the `count` that `items` holds; *room is kept up to
 * date. The old block stays in the arena. */
void *di_grow(di_compilation *compilation, void *items, size_t count, size_t *room, size_t size);

/* A terminated copy. */
char *di_copy(di_compilation *compilation, const char *text, size_t size);

#endif
