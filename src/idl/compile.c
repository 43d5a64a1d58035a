/* SPDX-License-Identifier: MIT */
#include "idl/compile.h"

#include "idl/builtin.h"
#include "idl/check.h"
#include "idl/parse.h"
#include "idl/preprocess.h"

#include <dari/error.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct di_idl {
    di_compilation compilation;
    const di_unit *unit;
};

/* The file to compile as a source, or NULL after an error. */
static di_source *open_main(di_compilation *compilation, const char *path, const char *text,
                            size_t size)
{
    struct stat status;
    const char *reason = NULL;
    if (!text) {
        di_source *source = di_source_load(compilation, path, &reason);
        if (!source)
            di_error(compilation, (di_span){0}, "cannot read '%s': %s", path, reason);
        return source;
    }
    if (size > DI_SOURCE_LIMIT) {
        di_error(compilation, (di_span){0}, "'%s' is larger than an interface file may be", path);
        return NULL;
    }
    di_source *source = di_source_of_text(compilation, path, text, size);
    if (!stat(path, &status)) { /* so that including it is seen to lead back */
        source->device = status.st_dev;
        source->inode = status.st_ino;
    }
    di_source_list(compilation, source);
    return source;
}

static di_syntax_item *parse_built_in(di_compilation *compilation)
{
    di_source *source =
        di_source_of_text(compilation, "<built-in>", di_built_in_text, strlen(di_built_in_text));
    return di_parse(compilation, di_tokens_of(compilation, source));
}

/* All passes. May escape. */
static const di_unit *run(di_compilation *compilation, const char *path, const char *text,
                          size_t size)
{
    di_names_start(compilation);
    di_syntax_item *built_in = parse_built_in(compilation);
    di_source *source = open_main(compilation, path, text, size);
    if (!source)
        return NULL;
    di_syntax_item *items = di_parse(compilation, di_preprocess(compilation, source));
    return di_check(compilation, source, built_in, items);
}

int di_idl_compile(const di_idl_options *options, const char *path, const char *text, size_t size,
                   di_idl **ret_idl)
{
    static const di_idl_options none;
    di_idl *idl = calloc(1, sizeof *idl);
    if (!idl)
        return DARI_NO_MEMORY;
    idl->compilation.options = options ? options : &none;
    int escaped = setjmp(idl->compilation.escape);
    if (!escaped)
        idl->unit = run(&idl->compilation, path, text, size);
    if (escaped == DI_ESCAPE_NO_MEMORY) {
        di_idl_free(idl);
        return DARI_NO_MEMORY;
    }
    *ret_idl = idl;
    return 0;
}

void di_idl_free(di_idl *idl)
{
    if (!idl)
        return;
    dari_arena_end(&idl->compilation.arena);
    free(idl);
}

const di_unit *di_idl_unit(const di_idl *idl)
{
    return idl->unit;
}

const di_diagnostic *di_idl_diagnostics(const di_idl *idl)
{
    return idl->compilation.first_diagnostic;
}

const char *di_idl_dependency(const di_idl *idl, size_t index)
{
    const di_source *source = idl->compilation.sources;
    while (source && index--)
        source = source->next;
    return source ? source->path : NULL;
}
