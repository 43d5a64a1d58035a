/* SPDX-License-Identifier: MIT */
#include "idl/macro.h"

#include <string.h>

static bool is_same(const di_macro *one, const di_macro *other)
{
    if (one->count != other->count || one->has_parameters != other->has_parameters)
        return false;
    for (size_t i = 0; i < one->count; i++) {
        const di_token *a = &one->body[i], *b = &other->body[i];
        if (a->length != b->length || memcmp(a->text, b->text, a->length) != 0)
            return false;
    }
    return true;
}

/* Warns where a name had another meaning in one of the environments. What `%` lines define is told
 * by the C compiler. */
static void compare_with_earlier(di_compilation *compilation, const di_name *name,
                                 const di_macro *macro, unsigned environments)
{
    for (unsigned i = 0; i < DI_ENVIRONMENTS; i++) {
        const di_macro *earlier = environments & 1u << i ? name->macros[i] : NULL;
        if (!earlier || is_same(earlier, macro))
            continue;
        di_warning(compilation, macro->span, "the macro '%s' was defined otherwise before",
                   name->text);
        if (earlier->span.position.source)
            di_note(compilation, earlier->span, "it is defined here, and #undef would end that");
        return;
    }
}

void di_macro_define(di_compilation *compilation, const di_token *token, const di_token *body,
                     size_t count, bool has_parameters, unsigned environments)
{
    di_name *name = token->name;
    di_macro *macro = di_take(compilation, 1, sizeof *macro);
    di_token *copy = di_take(compilation, count, sizeof *copy);
    if (count)
        memcpy(copy, body, count * sizeof *copy);
    *macro = (di_macro){.name = name->text,
                        .span = token->span,
                        .body = copy,
                        .count = count,
                        .has_parameters = has_parameters};
    compare_with_earlier(compilation, name, macro, environments);
    for (unsigned i = 0; i < DI_MACRO_SPACES; i++) {
        if (environments & 1u << i)
            name->macros[i] = macro;
    }
}

void di_macro_undefine(di_name *name, unsigned environments)
{
    for (unsigned i = 0; i < DI_MACRO_SPACES; i++) {
        if (environments & 1u << i)
            name->macros[i] = NULL;
    }
}

static bool expand(di_compilation *compilation, const di_token *token, di_span use,
                   unsigned environment, unsigned depth, di_token_list *out)
{
    if (compilation->expansion_steps++ > DI_EXPANSION_LIMIT)
        di_fatal(compilation, use, "macros expand to more than %u tokens", DI_EXPANSION_LIMIT);
    di_macro *macro = token->kind == DI_TOKEN_NAME ? token->name->macros[environment] : NULL;
    if (!macro || macro->busy) {
        di_token copy = *token;
        copy.span = use;
        copy.first = false;
        di_token_append(compilation, out, copy);
        return true;
    }
    if (depth >= DI_MACRO_DEPTH)
        di_fatal(compilation, use, "macros are nested deeper than %u", DI_MACRO_DEPTH);
    if (macro->has_parameters) {
        if (environment != DI_IN_PASS) {
            di_error(compilation, use, "'%s' is a macro with parameters: these are not supported",
                     macro->name);
            di_note(compilation, macro->span, "'%s' is defined here", macro->name);
        }
        return false;
    }
    di_expansion *expansion = di_take(compilation, 1, sizeof *expansion);
    *expansion = (di_expansion){macro->name, macro->span, use.expansion};
    use.expansion = expansion;
    bool fine = true;
    macro->busy = true;
    for (size_t i = 0; i < macro->count; i++)
        fine &= expand(compilation, &macro->body[i], use, environment, depth + 1, out);
    macro->busy = false;
    return fine;
}

bool di_macro_expand(di_compilation *compilation, const di_token *token, unsigned environment,
                     di_token_list *out)
{
    size_t start = out->count;
    bool fine = expand(compilation, token, token->span, environment, 0, out);
    if (start < out->count)
        out->items[start].first = token->first;
    return fine;
}
