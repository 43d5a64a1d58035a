/* SPDX-License-Identifier: MIT */
/* For tests of the compiler's front end: compile a text, look at the tree, expect messages. */
#ifndef IDL_SUPPORT_H
#define IDL_SUPPORT_H

#include "idl/compile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline di_idl *idl_compile_with(const di_idl_options *options, const char *text)
{
    di_idl *idl = NULL;
    assert_int_equal(di_idl_compile(options, "/nowhere/test.x", text, strlen(text), &idl), 0);
    return idl;
}

/* Compiles a text that must be right. The caller frees the result. */
static inline di_idl *idl_compile(const char *text)
{
    di_idl *idl = idl_compile_with(NULL, text);
    if (di_idl_diagnostics(idl)) {
        char *message = di_diagnostic_format(di_idl_diagnostics(idl));
        fail_msg("%s", message);
    }
    assert_non_null(di_idl_unit(idl));
    return idl;
}

/* Compiles a text of which the first message must be at that place and hold those words. */
static inline void idl_expect_with(const di_idl_options *options, const char *text, unsigned line,
                                   unsigned column, const char *words)
{
    di_idl *idl = idl_compile_with(options, text);
    const di_diagnostic *found = di_idl_diagnostics(idl);
    assert_non_null(found);
    if (!strstr(found->text, words))
        fail_msg("%s, not %s", found->text, words);
    assert_int_equal(found->position.line, line);
    assert_int_equal(found->position.column, column);
    di_idl_free(idl);
}

static inline void idl_expect(const char *text, unsigned line, unsigned column, const char *words)
{
    idl_expect_with(NULL, text, line, column, words);
}

static inline const di_definition *idl_find(const di_idl *idl, const char *name)
{
    const di_definition *d = di_idl_unit(idl)->definitions;
    while (d && !(d->name && !strcmp(d->name, name)))
        d = d->next;
    assert_non_null(d);
    return d;
}

static inline const di_type *idl_type(const di_idl *idl, const char *name)
{
    const di_definition *d = idl_find(idl, name);
    assert_int_equal(d->kind, DI_DEFINE_TYPE);
    return d->type;
}

static inline const di_declaration *idl_member(const di_type *type, const char *name)
{
    const di_declaration *m = type->members;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    assert_non_null(m);
    return m;
}

/* How many definitions there are of a kind. */
static inline size_t idl_count(const di_idl *idl, di_definition_kind kind)
{
    size_t count = 0;
    for (const di_definition *d = di_idl_unit(idl)->definitions; d; d = d->next)
        count += d->kind == kind;
    return count;
}

#endif
