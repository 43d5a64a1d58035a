/* SPDX-License-Identifier: MIT */
/* Fuzzes the interface compiler: the input is an interface file. Whatever it is, compiling it ends,
 * gives a tree or an error, and gives back all memory; a tree gives C, or names that clash.
 *
 * With DI_FUZZ_MAIN defined it is a program that runs the files given as arguments instead. */
#include "gen/emit_c.h"
#include "idl/compile.h"

#include <dari/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_declaration(const di_declaration *declaration)
{
    di_measure measure = di_measure_declaration(declaration);
    check(measure.minimum <= measure.maximum);
    check(!measure.fixed || measure.minimum == measure.maximum);
    check(declaration->shape != DI_OPTIONAL || measure.holds_memory);
    check(declaration->type->kind != DI_VOID || !declaration->name);
    check(declaration->type->kind != DI_STRING || declaration->shape == DI_VARIABLE);
    check(declaration->type->kind != DI_OPAQUE || declaration->shape == DI_FIXED ||
          declaration->shape == DI_VARIABLE);
}

static void check_type(const di_type *type)
{
    check(type->name && *type->name);
    check(type->measure.minimum <= type->measure.maximum);
    for (const di_enumerator *e = type->enumerators; e; e = e->next)
        check(e->name && *e->name);
    for (const di_declaration *m = type->members; m; m = m->next) {
        check_declaration(m);
        check(m->name && m->type->kind != DI_VOID);
        check(m != type->tail || !m->next);
    }
    for (const di_arm *a = type->arms; a; a = a->next) {
        check(a->labels != NULL);
        check_declaration(a->declaration);
    }
    if (type->kind == DI_UNION)
        check_declaration(type->discriminant);
    if (type->default_arm)
        check_declaration(type->default_arm->declaration);
    if (type->kind == DI_TYPEDEF)
        check_declaration(type->declaration);
    check(di_resolve(type) != NULL);
}

static void check_program(const di_program *program)
{
    for (const di_version *v = program->versions; v; v = v->next) {
        for (const di_procedure *p = v->procedures; p; p = p->next) {
            check_declaration(p->result);
            for (const di_declaration *a = p->arguments; a; a = a->next)
                check_declaration(a);
        }
    }
}

static void check_unit(const di_unit *unit)
{
    for (const di_definition *d = unit->definitions; d; d = d->next) {
        size_t size;
        check(d->position.line > 0 && d->position.column > 0);
        di_source_line(d->position.source, d->position.line, &size);
        if (d->kind == DI_DEFINE_TYPE)
            check_type(d->type);
        else if (d->kind == DI_DEFINE_PROGRAM)
            check_program(d->program);
        else if (d->kind != DI_DEFINE_CONSTANT)
            check(d->text != NULL);
    }
}

/* Formats all messages. Returns how many errors are among them. */
static size_t check_diagnostics(const di_idl *idl)
{
    size_t errors = 0;
    for (const di_diagnostic *d = di_idl_diagnostics(idl); d; d = d->next) {
        char *text = di_diagnostic_format(d);
        check(text && *text);
        for (const char *at = text; *at; at++)
            check((unsigned char)*at >= ' ' || *at == '\t' || *at == '\n');
        free(text);
        errors += d->severity == DI_ERROR;
    }
    return errors;
}

static bool drop(void *context, const char *data, size_t size)
{
    *(size_t *)context += size;
    return data || !size;
}

static void check_emission(const di_unit *unit)
{
    static const di_emit_c_options options = {.stem = "fuzz", .prefix = ""};
    di_text header = {0};
    di_clash clash;
    size_t written = 0;
    int status = di_emit_c(unit, &options, &header, &(di_emit_sink){drop, &written}, &clash);
    check(status == 0 || status == DARI_INVALID);
    check((status == 0) == (written > 0) && (status == 0) == (header.size > 0));
    if (status) {
        char *text = di_diagnostic_format(&clash.error);
        check(text && clash.error.position.line > 0);
        free(text);
    }
    di_text_free(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const externs[] = {"outside", "elsewhere"};
    static const char *const defines[] = {"DEFINED", "VALUE=7"};
    const di_idl_options options = {
        .defines = defines, .define_count = 2, .externs = externs, .extern_count = 2};
    /* Memory of exactly its size, so that the sanitizer sees who reads beyond. */
    char *text = malloc(size ? size : 1);
    di_idl *idl;
    check(text != NULL);
    if (size)
        memcpy(text, data, size);
    if (di_idl_compile(&options, "/nowhere/fuzz.x", text, size, &idl) < 0)
        abort();
    check((check_diagnostics(idl) == 0) == (di_idl_unit(idl) != NULL));
    if (di_idl_unit(idl)) {
        check_unit(di_idl_unit(idl));
        check_emission(di_idl_unit(idl));
    }
    di_idl_free(idl);
    free(text);
    return 0;
}

#ifdef DI_FUZZ_MAIN
static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc((size_t)1 << 20);
    size_t size = file && data ? fread(data, 1, (size_t)1 << 20, file) : 0;
    if (file && data)
        LLVMFuzzerTestOneInput(data, size);
    printf("%sok %s\n", file && data ? "" : "not ", path);
    if (file)
        fclose(file);
    free(data);
    return !file;
}

int main(int count, char **arguments)
{
    int failed = 0;
    for (int i = 1; i < count; i++)
        failed |= run_file(arguments[i]);
    return failed;
}
#endif
