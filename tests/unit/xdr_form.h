/* SPDX-License-Identifier: MIT */
/* The pieces of codecs that come in two forms, called and inline, and tests that try both. */
#ifndef DARI_TEST_XDR_FORM_H
#define DARI_TEST_XDR_FORM_H

#include <dari/xdr_inline.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The functions that come in two forms. */
typedef struct xdr_form {
    uint8_t *(*put_bytes)(uint8_t *, const void *, uint32_t);
    uint8_t *(*put_opaque)(dari_encoder *, uint8_t *, dari_opaque);
    uint8_t *(*put_string)(uint8_t *, const char *);
    uint8_t *(*put_text)(uint8_t *, dari_text);
    const uint8_t *(*get_opaque)(dari_decoder *, const uint8_t *, uint32_t, uint32_t, dari_opaque *,
                                 const char *);
    const uint8_t *(*get_string)(dari_decoder *, const uint8_t *, uint32_t, uint32_t, char **,
                                 const char *);
    const uint8_t *(*get_text)(dari_decoder *, const uint8_t *, uint32_t, uint32_t, dari_text *,
                               const char *);
} xdr_form;

static const xdr_form called = {dari_put_bytes,  dari_put_opaque, dari_put_string, dari_put_text,
                                dari_get_opaque, dari_get_string, dari_get_text};
static const xdr_form inlined = {
    dari_inline_put_bytes,  dari_inline_put_opaque, dari_inline_put_string, dari_inline_put_text,
    dari_inline_get_opaque, dari_inline_get_string, dari_inline_get_text};

/* The form under test: every such test begins with choosing it. */
static const xdr_form *form;

/* One test for each form. */
#define IN_BOTH_FORMS(test)                                            \
    {#test, test, NULL, NULL, (void *)(uintptr_t)&called},             \
    {                                                                  \
#test "_inline", test, NULL, NULL, (void *)(uintptr_t)&inlined \
    }

#endif
