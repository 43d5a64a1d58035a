/* SPDX-License-Identifier: MIT */
/* Lines that begin with '#'. */
#include "idl/condition.h"
#include "idl/include.h"
#include "idl/macro.h"
#include "idl/reader.h"

#include <string.h>

unsigned di_active(const di_reader *r)
{
    return r->group ? r->group->active : r->around;
}

di_token_list di_rest_of_line(di_reader *r)
{
    di_token_list list = {0};
    for (;;) {
        di_token token = di_lex(&r->lexer);
        if (token.kind == DI_TOKEN_NEWLINE || token.kind == DI_TOKEN_END)
            return list;
        di_token_append(r->compilation, &list, token);
    }
}

/* The name that a directive needs, or NULL after an error. */
static di_name *directive_name(di_reader *r, const di_token_list *line)
{
    if (line->count && line->items[0].kind == DI_TOKEN_NAME)
        return line->items[0].name;
    di_error(r->compilation, line->count ? line->items[0].span : r->directive,
             "a macro's name is expected");
    return NULL;
}

/* Nothing may stand behind `count` tokens of a directive. */
static void expect_end(di_reader *r, const di_token_list *line, size_t count)
{
    if (line->count > count)
        di_warning(r->compilation, line->items[count].span,
                   "%s is ignored: the directive ends before",
                   di_token_text(r->compilation, &line->items[count]));
}

/* The same for those without operands, where the text around is active. */
static void expect_nothing(di_reader *r, const di_group *g)
{
    if (g->possible) {
        di_token_list line = di_rest_of_line(r);
        expect_end(r, &line, 0);
    } else {
        di_lex_skip_line(&r->lexer);
    }
}

/* #define NAME tokens */
static void read_define(di_reader *r)
{
    di_token_list line = di_rest_of_line(r);
    di_name *name = directive_name(r, &line);
    if (!name)
        return;
    if (!strcmp(name->text, "defined")) {
        di_error(r->compilation, line.items[0].span, "'defined' cannot be a macro");
        return;
    }
    const char *behind = line.items[0].text + line.items[0].length;
    bool has_parameters =
        line.count > 1 && line.items[1].kind == '(' && line.items[1].text == behind;
    di_macro_define(r->compilation, line.items, line.items + 1, line.count - 1, has_parameters,
                    di_active(r));
}

static void read_undef(di_reader *r)
{
    di_token_list line = di_rest_of_line(r);
    di_name *name = directive_name(r, &line);
    if (!name)
        return;
    expect_end(r, &line, 1);
    di_macro_undefine(name, di_active(r));
}

/* The environments of `candidates` in which an #if or #elif holds. */
static unsigned evaluate(di_reader *r, unsigned candidates)
{
    unsigned holds = 0;
    if (!candidates) {
        di_lex_skip_line(&r->lexer);
        return 0;
    }
    di_token_list line = di_rest_of_line(r);
    for (unsigned i = 0; i < DI_ENVIRONMENTS; i++) {
        bool value;
        if (!(candidates & 1u << i))
            continue;
        if (!di_condition_evaluate(r->compilation, &line, i, r->directive, &value))
            return 0;
        if (value)
            holds |= 1u << i;
    }
    return holds;
}

/* The same for #ifdef and #ifndef. */
static unsigned evaluate_defined(di_reader *r, unsigned candidates, bool wanted)
{
    unsigned holds = 0;
    di_token_list line = di_rest_of_line(r);
    di_name *name = candidates ? directive_name(r, &line) : NULL;
    if (name)
        expect_end(r, &line, 1);
    for (unsigned i = 0; name && i < DI_ENVIRONMENTS; i++) {
        if ((name->macros[i] != NULL) == wanted)
            holds |= 1u << i;
    }
    return holds & candidates;
}

static void open_group(di_reader *r, const char *directive)
{
    unsigned possible = di_active(r), holds;
    if (!strcmp(directive, "if"))
        holds = evaluate(r, possible);
    else
        holds = evaluate_defined(r, possible, !strcmp(directive, "ifdef"));
    di_group *opened = di_take(r->compilation, 1, sizeof *opened);
    *opened = (di_group){.outer = r->group,
                         .span = r->directive,
                         .possible = possible,
                         .taken = holds,
                         .active = holds};
    r->group = opened;
}

/* #elif, #else, #endif */
static void continue_group(di_reader *r, const char *directive)
{
    di_group *g = r->group;
    if (!g) {
        di_error(r->compilation, r->directive, "#%s without an #if", directive);
        di_lex_skip_line(&r->lexer);
        return;
    }
    if (!strcmp(directive, "endif")) {
        r->group = g->outer;
        expect_nothing(r, g);
        return;
    }
    if (g->in_else) {
        di_error(r->compilation, r->directive, "#%s after #else", directive);
        di_note(r->compilation, g->span, "the #if is here");
    }
    unsigned candidates = g->possible & ~g->taken;
    if (!strcmp(directive, "else")) {
        g->in_else = true;
        g->active = candidates;
        expect_nothing(r, g);
    } else {
        g->active = evaluate(r, candidates);
    }
    g->taken |= g->active;
}

/* The path in quotes or angle brackets that is next, or NULL after an error. */
static const char *include_path(di_reader *r, bool *ret_quoted, di_span *ret_span)
{
    di_lexer *lexer = &r->lexer;
    di_lex_blanks(lexer);
    char open = lexer->at < lexer->end ? *lexer->at : '\0';
    char close = open == '<' ? '>' : open;
    const char *line_end = memchr(lexer->at, '\n', (size_t)(lexer->end - lexer->at));
    if (!line_end)
        line_end = lexer->end;
    const char *end = NULL;
    if (open == '"' || open == '<')
        end = memchr(lexer->at + 1, close, (size_t)(line_end - lexer->at - 1));
    if (!end || end == lexer->at + 1 || memchr(lexer->at, '\0', (size_t)(end - lexer->at))) {
        di_error(r->compilation, r->directive, "#include needs \"FILE\" or <FILE>");
        return NULL;
    }
    *ret_quoted = open == '"';
    *ret_span = di_lexer_span(lexer, (size_t)(end + 1 - lexer->at));
    const char *path = di_copy(r->compilation, lexer->at + 1, (size_t)(end - lexer->at - 1));
    lexer->at = end + 1;
    return path;
}

/* A file includes one that is being read. The notes say by which ways it came there. */
static void report_circle(di_reader *r, const di_source *found, const char *path, di_span span)
{
    r->compilation->explained = NULL;
    if (found == r->lexer.source)
        di_error(r->compilation, span, "this file includes itself");
    else
        di_error(r->compilation, span, "'%s' includes itself by way of this file", path);
}

static void read_include(di_reader *r)
{
    bool quoted;
    di_span span;
    const char *reason, *path = include_path(r, &quoted, &span);
    if (!path) {
        di_lex_skip_line(&r->lexer);
        return;
    }
    di_token_list line = di_rest_of_line(r);
    expect_end(r, &line, 0);
    di_source *last = r->compilation->last_source;
    di_source *found = di_find_include(r->compilation, r->lexer.source, path, quoted, &reason);
    if (!found) {
        di_error(r->compilation, span, "cannot read '%s': %s", path, reason);
        return;
    }
    if (found->open) {
        report_circle(r, found, path, span);
        return;
    }
    di_token token = {
        .kind = DI_TOKEN_INCLUDE, .span = span, .text = path, .length = (uint32_t)strlen(path)};
    di_token_put(r->compilation, &r->owner->out, &token);
    if (last == r->compilation->last_source)
        return; /* it was read before */
    if (r->owner->depth >= DI_INCLUDE_DEPTH)
        di_fatal(r->compilation, span, "files include each other deeper than %u", DI_INCLUDE_DEPTH);
    found->included_at = span;
    di_read_source(r->owner, found, di_active(r));
}

/* #error and #warning: the rest of the line is the message. */
static void read_message(di_reader *r, bool is_error)
{
    di_lex_blanks(&r->lexer);
    const char *start = r->lexer.at;
    const char *end = memchr(start, '\n', (size_t)(r->lexer.end - start));
    if (!end)
        end = r->lexer.end;
    r->lexer.at = end;
    while (end > start && (unsigned char)end[-1] <= ' ')
        end--;
    int length = end - start < 200 ? (int)(end - start) : 200;
    if (is_error)
        di_error(r->compilation, r->directive, "#error: %.*s", length, start);
    else
        di_warning(r->compilation, r->directive, "#warning: %.*s", length, start);
}

static void read_line_number(di_reader *r)
{
    di_warning(r->compilation, r->directive,
               "#line is not obeyed: messages name the places of this file");
    di_lex_skip_line(&r->lexer);
}

/* A directive other than those of conditions, where it is active. */
static void obey(di_reader *r, const di_token *token)
{
    static const char *const tolerated[] = {"pragma", "ident", "sccs"};
    if (token->kind == DI_TOKEN_NUMBER) { /* the line marker of a preprocessor before us */
        di_lex_skip_line(&r->lexer);
        return;
    }
    const char *word = token->kind == DI_TOKEN_NAME ? token->name->text : "";
    for (size_t i = 0; i < sizeof tolerated / sizeof *tolerated; i++) {
        if (!strcmp(word, tolerated[i])) {
            di_lex_skip_line(&r->lexer);
            return;
        }
    }
    if (!strcmp(word, "define"))
        read_define(r);
    else if (!strcmp(word, "undef"))
        read_undef(r);
    else if (!strcmp(word, "include"))
        read_include(r);
    else if (!strcmp(word, "error") || !strcmp(word, "warning"))
        read_message(r, *word == 'e');
    else if (!strcmp(word, "line"))
        read_line_number(r);
    else {
        di_error(r->compilation, token->span, "%s is no directive",
                 di_token_text(r->compilation, token));
        di_lex_skip_line(&r->lexer);
    }
}

void di_read_directive(di_reader *r)
{
    di_span hash = di_lexer_span(&r->lexer, 1);
    r->lexer.at++;
    di_lexer before = r->lexer;
    di_token token = di_lex(&r->lexer);
    if (token.kind == DI_TOKEN_NEWLINE || token.kind == DI_TOKEN_END) {
        r->lexer = before;
        return;
    }
    r->directive = hash;
    if (token.span.position.line == hash.position.line)
        r->directive.length = token.span.position.column + token.length - hash.position.column;
    const char *word = token.kind == DI_TOKEN_NAME ? token.name->text : "";
    if (!strcmp(word, "if") || !strcmp(word, "ifdef") || !strcmp(word, "ifndef"))
        open_group(r, word);
    else if (!strcmp(word, "elif") || !strcmp(word, "else") || !strcmp(word, "endif"))
        continue_group(r, word);
    else if (di_active(r))
        obey(r, &token);
    else
        di_lex_skip_line(&r->lexer);
}
