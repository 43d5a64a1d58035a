/* SPDX-License-Identifier: MIT */
#include "idl/lex.h"

#include "idl/source.h"

#include <string.h>

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

di_lexer di_lexer_of(di_compilation *compilation, const di_source *source)
{
    return (di_lexer){.compilation = compilation,
                      .source = source,
                      .at = source->text,
                      .end = source->text + source->size,
                      .line_start = source->text,
                      .line = 1};
}

di_span di_lexer_span(const di_lexer *lexer, size_t length)
{
    uint32_t column = (uint32_t)(lexer->at - lexer->line_start) + 1;
    return (di_span){{lexer->source, lexer->line, column}, (uint32_t)length, NULL};
}

/* The byte `offset` after the next one, 0 past the end. */
static char look(const di_lexer *lexer, size_t offset)
{
    return (size_t)(lexer->end - lexer->at) > offset ? lexer->at[offset] : '\0';
}

/* Takes the line feed that is next. */
static void next_line(di_lexer *lexer)
{
    lexer->at++;
    lexer->line_start = lexer->at;
    lexer->line++;
}

/* The length of a backslash and line end that are next, 0 where they are not. */
static size_t splice_length(const di_lexer *lexer)
{
    if (look(lexer, 0) != '\\')
        return 0;
    if (look(lexer, 1) == '\n')
        return 2;
    return look(lexer, 1) == '\r' && look(lexer, 2) == '\n' ? 3 : 0;
}

static void skip_comment(di_lexer *lexer)
{
    di_span start = di_lexer_span(lexer, 2);
    lexer->at += 2;
    for (; lexer->at < lexer->end; lexer->at++) {
        if (look(lexer, 0) == '*' && look(lexer, 1) == '/') {
            lexer->at += 2;
            return;
        }
        if (*lexer->at == '\n') {
            next_line(lexer);
            lexer->at--;
        }
    }
    if (!lexer->quiet)
        di_error(lexer->compilation, start, "this comment has no end");
}

static void skip_to_line_end(di_lexer *lexer)
{
    const char *found = memchr(lexer->at, '\n', (size_t)(lexer->end - lexer->at));
    lexer->at = found ? found : lexer->end;
}

/* Skips one run of blanks, comment or splice. False where none is next. */
static bool skip_blank(di_lexer *lexer)
{
    char byte = look(lexer, 0);
    size_t splice;
    if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\f' || byte == '\v') {
        lexer->at++;
    } else if (byte == '/' && look(lexer, 1) == '*') {
        skip_comment(lexer);
    } else if (byte == '/' && look(lexer, 1) == '/') {
        skip_to_line_end(lexer);
    } else if ((splice = splice_length(lexer)) > 0) {
        lexer->at += splice - 1;
        next_line(lexer);
    } else {
        return false;
    }
    return true;
}

void di_lex_blanks(di_lexer *lexer)
{
    while (lexer->at < lexer->end && skip_blank(lexer))
        continue;
}

void di_lex_skip_line(di_lexer *lexer)
{
    while (lexer->at < lexer->end && *lexer->at != '\n') {
        if (!skip_blank(lexer))
            lexer->at++;
    }
}

/* The kind and length of a punctuator of two characters, if one is next. */
static di_token_kind lex_pair(const di_lexer *lexer)
{
    static const struct {
        char text[2];
        di_token_kind kind;
    } pairs[] = {
        {"<=", DI_TOKEN_LESS_EQUAL}, {">=", DI_TOKEN_GREATER_EQUAL}, {"==", DI_TOKEN_EQUAL},
        {"!=", DI_TOKEN_UNEQUAL},    {"&&", DI_TOKEN_AND},           {"||", DI_TOKEN_OR},
        {"<<", DI_TOKEN_SHIFT_LEFT}, {">>", DI_TOKEN_SHIFT_RIGHT},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (look(lexer, 0) == pairs[i].text[0] && look(lexer, 1) == pairs[i].text[1])
            return pairs[i].kind;
    }
    return DI_TOKEN_END;
}

/* The length of a string or character with that quote, 0 where its line does not end it. */
static size_t quoted_length(const di_lexer *lexer, char quote)
{
    for (size_t i = 1; lexer->at + i < lexer->end && lexer->at[i] != '\n'; i++) {
        if (lexer->at[i] == quote)
            return i + 1;
        if (lexer->at[i] == '\\' && look(lexer, i + 1) != '\n')
            i++;
    }
    return 0;
}

static size_t word_length(const di_lexer *lexer)
{
    size_t length = 1;
    while (is_letter(look(lexer, length)) || is_digit(look(lexer, length)))
        length++;
    return length;
}

/* More than what a number can be, so that a wrong one is one token. */
static size_t number_length(const di_lexer *lexer)
{
    size_t length = 1;
    while (is_letter(look(lexer, length)) || is_digit(look(lexer, length)) ||
           look(lexer, length) == '.')
        length++;
    return length;
}

static size_t stray_length(const di_lexer *lexer)
{
    size_t length = 1;
    if ((*lexer->at & 0x80) == 0)
        return length;
    while (look(lexer, length) & 0x80)
        length++;
    return length;
}

/* The kind of a token that is neither name nor number, and its length. */
static di_token_kind lex_mark(const di_lexer *lexer, size_t *length)
{
    char byte = *lexer->at;
    if (byte == '"' || byte == '\'') {
        *length = quoted_length(lexer, byte);
        if (*length)
            return byte == '"' ? DI_TOKEN_STRING : DI_TOKEN_CHARACTER;
        *length = 1;
        return byte == '"' ? DI_TOKEN_UNTERMINATED : DI_TOKEN_STRAY;
    }
    di_token_kind pair = lex_pair(lexer);
    *length = pair ? 2 : 1;
    if (pair)
        return pair;
    if (byte && strchr("{}()[]<>*,;:=#+-/%&|^~!?", byte))
        return (di_token_kind)byte;
    *length = stray_length(lexer);
    return DI_TOKEN_STRAY;
}

di_token di_lex(di_lexer *lexer)
{
    di_lex_blanks(lexer);
    di_token token = {.text = lexer->at, .span = di_lexer_span(lexer, 1)};
    if (lexer->at == lexer->end)
        return token;
    if (*lexer->at == '\n') {
        token.kind = DI_TOKEN_NEWLINE;
        next_line(lexer);
        return token;
    }
    size_t length;
    if (is_letter(*lexer->at)) {
        token.kind = DI_TOKEN_NAME;
        length = word_length(lexer);
        token.name = di_name_of(lexer->compilation, lexer->at, length);
    } else if (is_digit(*lexer->at)) {
        token.kind = DI_TOKEN_NUMBER;
        length = number_length(lexer);
    } else {
        token.kind = (uint16_t)lex_mark(lexer, &length);
    }
    lexer->at += length;
    token.length = token.span.length = (uint32_t)length;
    return token;
}

void di_token_append(di_compilation *compilation, di_token_list *list, di_token token)
{
    list->items = di_grow(compilation, list->items, list->count, &list->room, sizeof token);
    list->items[list->count++] = token;
}

void di_token_put(di_compilation *compilation, di_token_stream *stream, const di_token *token)
{
    if (!stream->chunk || stream->count == DI_CHUNK_TOKENS - 1) {
        di_token *chunk = di_take(compilation, DI_CHUNK_TOKENS, sizeof *chunk);
        if (stream->chunk)
            stream->chunk[stream->count] = (di_token){.kind = DI_TOKEN_LINK, .link = chunk};
        else
            stream->first = chunk;
        stream->chunk = chunk;
        stream->count = 0;
    }
    stream->chunk[stream->count++] = *token;
}

const char *di_token_text(di_compilation *compilation, const di_token *token)
{
    if (token->kind == DI_TOKEN_END)
        return "end of file";
    if (token->kind == DI_TOKEN_STRING)
        return "a string";
    if (token->kind == DI_TOKEN_CHARACTER)
        return "a character";
    /* Longer ones would only hide what the message says. */
    size_t length = token->length < 40 ? token->length : 40;
    char *text = di_take(compilation, length + 3, 1);
    text[0] = text[length + 1] = '\'';
    memcpy(text + 1, token->text, length);
    return text;
}
