/* SPDX-License-Identifier: MIT */
/* Inside the preprocessor: one file while it is read. preprocess.c reads lines, directive.c those
 * that are directives. */
#ifndef DI_IDL_READER_H
#define DI_IDL_READER_H

#include "idl/preprocess.h"

/* An #if that is open. The masks are of environments. */
typedef struct di_group {
    struct di_group *outer;
    di_span span;      /* of the #if */
    unsigned possible; /* those in which the text around is active */
    unsigned taken;    /* those in which a branch was active, up to now */
    unsigned active;   /* those in which this branch is */
    bool in_else;
} di_group;

typedef struct di_preprocessor {
    di_compilation *compilation;
    di_token_stream out;
    unsigned depth; /* of includes */
    bool damaged;   /* the last token was dropped */
} di_preprocessor;

/* One file being read. */
typedef struct di_reader {
    di_preprocessor *owner;
    di_compilation *compilation;
    di_lexer lexer;
    unsigned around; /* the environments in which the file is included */
    di_group *group; /* the innermost #if, NULL outside all */
    di_span directive;
} di_reader;

/* The environments in which the text is active. */
unsigned di_active(const di_reader *r);

/* The tokens up to the end of the line. */
di_token_list di_rest_of_line(di_reader *r);

/* The line begins with '#', which is next. */
void di_read_directive(di_reader *r);

/* Reads a file that is active in the environments `around`. */
void di_read_source(di_preprocessor *owner, di_source *source, unsigned around);

#endif
