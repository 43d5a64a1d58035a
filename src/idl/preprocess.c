/* SPDX-License-Identifier: MIT */
#include "idl/macro.h"
#include "idl/reader.h"

#include <string.h>

#define EVERYWHERE ((1u << DI_ENVIRONMENTS) - 1)

/* Notes `#define NAME value` on a `%` line: a C macro that the interface may use as a number. */
static void note_pass_macro(di_reader *r, const di_token *pass)
{
    const char *at = pass->text, *end = pass->text + pass->length;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    if (at == end || *at != '#')
        return;
    di_reader inner = *r;
    inner.lexer.at = inner.lexer.line_start = at;
    inner.lexer.end = end;
    inner.lexer.quiet = true;
    di_token_list line = di_rest_of_line(&inner);
    const di_token *word = line.items + 1, *name = line.items + 2;
    if (line.count < 4 || word->kind != DI_TOKEN_NAME || strcmp(word->name->text, "define") ||
        name->kind != DI_TOKEN_NAME)
        return;
    bool has_parameters = name[1].kind == '(' && name[1].text == name->text + name->length;
    di_macro_define(r->compilation, name, name + 1, line.count - 3, has_parameters,
                    1u << DI_IN_PASS);
}

/* Copies the text of a `%` line: without carriage returns, nor the `%` of lines that continue it.
 */
static void copy_pass(di_reader *r, const char *text, size_t size, di_token *pass)
{
    char *copy = di_take(r->compilation, size + 1, 1), *out = copy;
    const char *end = text + size;
    for (const char *at = text; at < end; at++) {
        if (*at == '\r')
            continue;
        *out++ = *at;
        if (*at != '\n')
            continue;
        const char *mark = at + 1;
        while (mark < end && (*mark == ' ' || *mark == '\t'))
            mark++;
        if (mark < end && *mark == '%')
            at = mark;
    }
    pass->text = copy;
    pass->length = (uint32_t)(out - copy);
}

/* The line begins with '%', which is next: the line, and those that a backslash adds, are kept. */
static void read_pass(di_reader *r)
{
    di_lexer *lexer = &r->lexer;
    di_token token = {.kind = DI_TOKEN_PASS,
                      .environments = (uint8_t)di_active(r),
                      .span = di_lexer_span(lexer, 1)};
    const char *text = ++lexer->at, *last;
    for (;;) {
        const char *end = memchr(lexer->at, '\n', (size_t)(lexer->end - lexer->at));
        lexer->at = end ? end : lexer->end;
        last = lexer->at;
        while (last > text && last[-1] == '\r')
            last--;
        if (!end || last == text || last[-1] != '\\')
            break;
        lexer->at++;
        lexer->line++;
        lexer->line_start = lexer->at;
    }
    if (!token.environments)
        return;
    if (memchr(text, '\0', (size_t)(last - text))) {
        di_error(r->compilation, token.span,
                 "byte 0x00 cannot stand in a line that begins with '%%'");
        return;
    }
    copy_pass(r, text, (size_t)(last - text), &token);
    di_token_put(r->compilation, &r->owner->out, &token);
    note_pass_macro(r, &token);
}

/* Reports what no definition can hold. False: the token is to be dropped. */
static bool judge(di_reader *r, const di_token *token)
{
    switch (token->kind) {
    case DI_TOKEN_UNTERMINATED:
        di_error(r->compilation, token->span, "this string has no end");
        di_lex_skip_line(&r->lexer);
        return false;
    case DI_TOKEN_STRAY:
        if (token->text[0] & 0x80 || (unsigned char)token->text[0] < ' ')
            di_error(r->compilation, token->span, "byte 0x%02x can stand only in a comment",
                     (unsigned char)token->text[0]);
        else
            di_error(r->compilation, token->span, "'%c' has no meaning here", token->text[0]);
        return false;
    case DI_TOKEN_NAME:
        if (token->length > DI_NAME_LIMIT)
            di_error(r->compilation, token->span, "the name is longer than %u bytes",
                     DI_NAME_LIMIT);
        return true;
    default:
        return true;
    }
}

/* Appends a token, unless it is one that no definition can hold. */
static void put_plain(di_reader *r, const di_token *token)
{
    di_preprocessor *owner = r->owner;
    di_token copy = *token;
    copy.damaged = owner->damaged;
    owner->damaged = !judge(r, token);
    if (!owner->damaged)
        di_token_put(r->compilation, &owner->out, &copy);
}

/* Appends what a token stands for. */
static void put(di_reader *r, const di_token *token)
{
    unsigned environments = di_active(r);
    const di_name *name = token->name;
    unsigned environment = environments & 1u << DI_FOR_HEADER ? DI_FOR_HEADER : DI_FOR_SOURCE;
    if (!name || !name->macros[environment]) {
        put_plain(r, token);
        return;
    }
    di_token_list expanded = {0};
    r->owner->damaged |= !di_macro_expand(r->compilation, token, environment, &expanded);
    for (size_t i = 0; i < expanded.count; i++)
        put_plain(r, &expanded.items[i]);
}

/* The rest of a line that is neither directive nor `%` line. */
static void read_line(di_reader *r)
{
    bool first = true;
    for (;;) {
        di_token token = di_lex(&r->lexer);
        if (token.kind == DI_TOKEN_NEWLINE || token.kind == DI_TOKEN_END)
            return;
        token.first = first;
        first = false;
        put(r, &token);
    }
}

void di_read_source(di_preprocessor *owner, di_source *source, unsigned around)
{
    di_reader r = {.owner = owner, .compilation = owner->compilation, .around = around};
    r.lexer = di_lexer_of(owner->compilation, source);
    source->open = true;
    owner->depth++;
    for (;;) {
        di_lex_blanks(&r.lexer);
        if (r.lexer.at == r.lexer.end)
            break;
        if (*r.lexer.at == '#') {
            di_read_directive(&r);
        } else if (*r.lexer.at == '%') {
            read_pass(&r);
        } else if (di_active(&r)) {
            read_line(&r);
        } else if (*r.lexer.at != '\n') {
            di_lex_skip_line(&r.lexer);
        } else {
            di_lex(&r.lexer);
        }
    }
    for (di_group *g = r.group; g; g = g->outer)
        di_error(r.compilation, g->span, "this condition has no #endif");
    owner->depth--;
    source->open = false;
}

/* What -D says, and what tells the two environments apart, as a source of its own. */
static void read_defines(di_preprocessor *owner)
{
    static const char *const apart[DI_ENVIRONMENTS] = {"RPC_HDR", "RPC_XDR"};
    di_compilation *compilation = owner->compilation;
    const di_idl_options *options = compilation->options;
    static const di_token one = {.kind = DI_TOKEN_NUMBER, .text = "1", .length = 1};
    for (unsigned i = 0; i < DI_ENVIRONMENTS; i++) {
        const di_token name = {.name = di_name_of(compilation, apart[i], 7)};
        di_macro_define(compilation, &name, &one, 1, false, 1u << i);
    }
    for (size_t i = 0; i < options->define_count; i++) {
        const char *define = options->defines[i];
        size_t name = strcspn(define, "=");
        const char *value = define[name] ? define + name + 1 : "1";
        size_t size = strlen("#define ") + name + 1 + strlen(value);
        char *text = di_take(compilation, size + 1, 1);
        memcpy(text, "#define ", 8);
        memcpy(text + 8, define, name);
        text[8 + name] = ' ';
        strcpy(text + 8 + name + 1, value);
        di_read_source(owner, di_source_of_text(compilation, "<command line>", text, size),
                       EVERYWHERE);
    }
}

/* Reads the file after what is in `owner` already, and ends the list. */
static const di_token *read_main(di_preprocessor *owner, di_source *source)
{
    size_t size;
    di_read_source(owner, source, EVERYWHERE);
    di_source_line(source, source->line_count, &size);
    di_token end = {
        .kind = DI_TOKEN_END,
        .damaged = owner->damaged,
        .span = {.position = {source, source->line_count, (uint32_t)size + 1}, .length = 1}};
    di_token_put(owner->compilation, &owner->out, &end);
    return owner->out.first;
}

const di_token *di_tokens_of(di_compilation *compilation, di_source *source)
{
    di_preprocessor owner = {.compilation = compilation};
    return read_main(&owner, source);
}

const di_token *di_preprocess(di_compilation *compilation, di_source *source)
{
    di_preprocessor owner = {.compilation = compilation};
    read_defines(&owner);
    return read_main(&owner, source);
}
