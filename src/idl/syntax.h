/* SPDX-License-Identifier: MIT */
/* What the parser gives to the checker: the file's definitions as written, names not looked up and
 * numbers not evaluated. All of it lives in the compilation's arena. */
#ifndef DI_IDL_SYNTAX_H
#define DI_IDL_SYNTAX_H

#include "idl/diagnostic.h"

/* A number, or the name of one. */
typedef struct di_syntax_value {
    di_span span;
    di_name *name; /* NULL: a number */
    bool negative;
    uint64_t magnitude;
    const char *text; /* as written */
    bool is_string;   /* a constant's only: text, with its quotes */
    bool broken;      /* an error was reported */
} di_syntax_value;

struct di_syntax_body;

/* A type: a built-in one, the name of one, or the definition of one. */
typedef struct di_syntax_type {
    di_span span;
    di_kind kind;                /* built in; for a name, what `struct`, `union` or `enum` before it
                                    says, DI_TYPEDEF where nothing is there */
    di_name *name;               /* NULL: not by name */
    struct di_syntax_body *body; /* NULL: not by definition */
} di_syntax_type;

typedef struct di_syntax_declaration {
    di_span span;  /* of the name, or of the type where there is none */
    di_name *name; /* NULL: none */
    di_syntax_type type;
    di_shape shape;
    di_syntax_value *size; /* NULL: none */
    struct di_syntax_declaration *next;
} di_syntax_declaration;

typedef struct di_syntax_enumerator {
    di_span span;
    di_name *name;
    di_syntax_value *value;   /* NULL: one more than the one before */
    struct di_symbol *symbol; /* scope.h */
    struct di_syntax_enumerator *next;
} di_syntax_enumerator;

typedef struct di_syntax_label {
    di_syntax_value value;
    struct di_syntax_label *next;
} di_syntax_label;

typedef struct di_syntax_arm {
    di_span span;
    di_syntax_label *labels; /* NULL: the default */
    di_syntax_declaration *declaration;
    struct di_syntax_arm *next;
} di_syntax_arm;

/* The definition of an enum, struct or union. */
typedef struct di_syntax_body {
    di_kind kind;
    di_span span;                 /* of the name, or of the keyword where there is none */
    di_name *name;                /* NULL: named after where it stands, by the two below */
    struct di_syntax_body *outer; /* the definition around, */
    di_name *outer_name;          /* or the name of the procedure or typedef */
    const char *member;           /* the name of what is declared with it */
    bool broken;                  /* parts are missing after an error */
    struct di_node *node;         /* check.h */
    di_syntax_enumerator *enumerators;
    di_syntax_declaration *members;
    di_syntax_declaration *discriminant;
    di_syntax_arm *arms; /* the default among them */
} di_syntax_body;

typedef struct di_syntax_procedure {
    di_span span;
    di_name *name;
    di_syntax_declaration *arguments; /* NULL: void */
    di_syntax_declaration *result;
    di_syntax_value number;
    struct di_symbol *symbol;
    struct di_syntax_procedure *next;
} di_syntax_procedure;

typedef struct di_syntax_version {
    di_span span;
    di_name *name;
    di_syntax_value number;
    di_syntax_procedure *procedures;
    struct di_symbol *symbol;
    struct di_syntax_version *next;
} di_syntax_version;

typedef enum di_syntax_kind {
    DI_SYNTAX_CONSTANT,
    DI_SYNTAX_TYPEDEF,
    DI_SYNTAX_BODY,
    DI_SYNTAX_PROGRAM,
    DI_SYNTAX_PASS,
    DI_SYNTAX_INCLUDE
} di_syntax_kind;

typedef struct di_syntax_item {
    di_syntax_kind kind;
    di_span span;
    di_name *name;                      /* constant, program */
    di_syntax_value value;              /* constant, program */
    di_syntax_declaration *declaration; /* typedef */
    di_syntax_body *body;
    di_syntax_version *versions; /* program */
    const char *text;            /* pass, include */
    unsigned environments;       /* pass */
    struct di_symbol *symbol;    /* constant, typedef, body, program */
    struct di_syntax_item *next;
} di_syntax_item;

#endif
