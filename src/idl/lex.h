/* SPDX-License-Identifier: MIT */
/* Text to tokens, of the RPC language and of the preprocessor's expressions alike. A token that
 * means nothing is a token all the same: who reads it reports it. */
#ifndef DI_IDL_LEX_H
#define DI_IDL_LEX_H

#include "idl/diagnostic.h"

/* A punctuator of one character is that character. */
typedef enum di_token_kind {
    DI_TOKEN_END = 0,
    DI_TOKEN_NEWLINE = '\n',
    DI_TOKEN_NAME = 256,   /* a name or a keyword */
    DI_TOKEN_NUMBER,       /* not looked into: 0x10, 08, 12abc */
    DI_TOKEN_STRING,       /* with its quotes */
    DI_TOKEN_CHARACTER,    /* with its quotes */
    DI_TOKEN_STRAY,        /* a byte, or several beyond ASCII, of no token */
    DI_TOKEN_UNTERMINATED, /* a string that its line does not end */
    DI_TOKEN_LESS_EQUAL,
    DI_TOKEN_GREATER_EQUAL,
    DI_TOKEN_EQUAL,
    DI_TOKEN_UNEQUAL,
    DI_TOKEN_AND,
    DI_TOKEN_OR,
    DI_TOKEN_SHIFT_LEFT,
    DI_TOKEN_SHIFT_RIGHT,
    DI_TOKEN_LINK,   /* the stream goes on elsewhere */
    DI_TOKEN_PASS,   /* preprocess.h: a `%` line, without the `%` */
    DI_TOKEN_INCLUDE /* preprocess.h: stands before what an #include brought */
} di_token_kind;

typedef struct di_token {
    uint16_t kind;        /* di_token_kind */
    uint8_t environments; /* DI_TOKEN_PASS: where it is active; otherwise 0 */
    bool first;           /* it is the first of its line */
    bool damaged;         /* what stood before it was dropped, after an error */
    uint32_t length;      /* of the text */
    const char *text;     /* DI_TOKEN_LINK: NULL */
    di_span span;         /* the text; from a macro: where that is used */
    union {
        di_name *name;               /* DI_TOKEN_NAME; NULL in other tokens of a file */
        const struct di_token *link; /* DI_TOKEN_LINK */
    };
} di_token;

typedef struct di_lexer {
    di_compilation *compilation;
    const struct di_source *source;
    const char *at;
    const char *end;
    const char *line_start;
    uint32_t line;
    bool quiet; /* a comment without an end is not reported */
} di_lexer;

di_lexer di_lexer_of(di_compilation *compilation, const struct di_source *source);

/* The next token; a line's end is one. Comments and spliced lines are blanks. */
di_token di_lex(di_lexer *lexer);

/* Goes to the next byte that is no blank. */
void di_lex_blanks(di_lexer *lexer);

/* Goes to the end of the line, over comments that end on later ones. */
void di_lex_skip_line(di_lexer *lexer);

/* The place of the next `length` bytes. */
di_span di_lexer_span(const di_lexer *lexer, size_t length);

/* A list of tokens that grows: they move. */
typedef struct di_token_list {
    di_token *items;
    size_t count;
    size_t room;
} di_token_list;

void di_token_append(di_compilation *compilation, di_token_list *list, di_token token);

/* The tokens of a compilation, which stay where they are. */
typedef struct di_token_stream {
    const di_token *first;
    di_token *chunk; /* the newest, DI_CHUNK_TOKENS long; its last token links it to the next */
    size_t count;    /* of tokens in it */
} di_token_stream;

#define DI_CHUNK_TOKENS 256u

void di_token_put(di_compilation *compilation, di_token_stream *stream, const di_token *token);

/* The token at `token`, or where a link there leads. */
static inline const di_token *di_token_follow(const di_token *token)
{
    return token->kind == DI_TOKEN_LINK ? token->link : token;
}

/* The token behind one; behind a file's end stands its end. */
static inline const di_token *di_token_behind(const di_token *token)
{
    return token->kind == DI_TOKEN_END ? token : di_token_follow(token + 1);
}

/* What a message calls the token: 'struct', end of file. */
const char *di_token_text(di_compilation *compilation, const di_token *token);

#endif
