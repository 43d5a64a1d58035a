/* SPDX-License-Identifier: MIT */
/* The names of one compilation, each kept once: two names are equal where their pointers are.
 *
 * What a name means hangs on the name itself (macro, symbol), so that looking it up is reading a
 * member. Names live in the compilation's arena. One thread at a time. */
#ifndef DI_IDL_NAME_H
#define DI_IDL_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct di_compilation;

/* The longest name, in bytes. */
#define DI_NAME_LIMIT 255u

/* The two environments that a file is read for at once: the header and the source that a compiler
 * with one output a run would make. A set of them is a mask of 1u << environment. */
enum { DI_FOR_HEADER, DI_FOR_SOURCE, DI_ENVIRONMENTS };

/* Where macros live that `%` lines define: nothing is expanded there, but a name that the file
 * declares nowhere may be one of them. */
enum { DI_IN_PASS = DI_ENVIRONMENTS, DI_MACRO_SPACES };

/* The words that mean something to the parser. Those from DI_WORD_CHAR on are names elsewhere. */
typedef enum di_word {
    DI_WORD_NONE,
    DI_WORD_BOOL,
    DI_WORD_CASE,
    DI_WORD_CONST,
    DI_WORD_DEFAULT,
    DI_WORD_DOUBLE,
    DI_WORD_ENUM,
    DI_WORD_FLOAT,
    DI_WORD_HYPER,
    DI_WORD_INT,
    DI_WORD_OPAQUE,
    DI_WORD_PROGRAM,
    DI_WORD_QUADRUPLE,
    DI_WORD_STRING,
    DI_WORD_STRUCT,
    DI_WORD_SWITCH,
    DI_WORD_TYPEDEF,
    DI_WORD_UNION,
    DI_WORD_UNSIGNED,
    DI_WORD_VERSION,
    DI_WORD_VOID,
    DI_WORD_CHAR,
    DI_WORD_LONG,
    DI_WORD_NAMESPACE,
    DI_WORD_SHORT
} di_word;

typedef struct di_name {
    const char *text; /* terminated */
    uint32_t length;
    uint32_t hash;
    di_word word;
    struct di_macro *macros[DI_MACRO_SPACES];
    struct di_symbol *symbol;       /* the constant, enumerator, type or program of that name */
    struct di_symbol *number;       /* the last procedure or version of that name */
    bool reported;                  /* as undeclared: once is enough */
    uint32_t scope;                 /* scope.c: the innermost scope that declares the name, */
    const struct di_span *declared; /* and where */
} di_name;

typedef struct di_name_table {
    di_name **slots; /* open addressing; the size is a power of 2 */
    size_t size;
    size_t count;
} di_name_table;

/* Makes the table, with the words in it. */
void di_names_start(struct di_compilation *compilation);

/* The name with that text, made where it is new. */
di_name *di_name_of(struct di_compilation *compilation, const char *text, size_t length);

/* Whether the name may not be declared. */
bool di_name_reserved(const di_name *name);

#endif
