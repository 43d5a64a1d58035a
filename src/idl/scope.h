/* SPDX-License-Identifier: MIT */
/* What names mean: the symbols of a file, and who declared a name first in a scope.
 *
 * Constants, enumerators, types and programs share one space of names. Versions and procedures do
 * not, but their numbers can be used as constants. */
#ifndef DI_IDL_SCOPE_H
#define DI_IDL_SCOPE_H

#include "idl/syntax.h"

typedef enum di_symbol_kind {
    DI_SYMBOL_CONSTANT,
    DI_SYMBOL_ENUMERATOR,
    DI_SYMBOL_TYPE,
    DI_SYMBOL_PROGRAM,
    DI_SYMBOL_VERSION,
    DI_SYMBOL_PROCEDURE
} di_symbol_kind;

typedef enum di_value_state {
    DI_VALUE_UNKNOWN,
    DI_VALUE_BUSY, /* being evaluated */
    DI_VALUE_KNOWN,
    DI_VALUE_BROKEN /* an error was reported */
} di_value_state;

typedef struct di_symbol {
    di_symbol_kind kind;
    di_name *name;
    di_span span;
    bool built_in;                /* may be defined again */
    bool doubtful;                /* what is around it had an error: it may belong elsewhere */
    struct di_node *node;         /* check.h: of a type; of an enumerator's enum */
    const di_syntax_value *value; /* numbers: as written, NULL for an implied one */
    struct di_symbol *previous;   /* an enumerator: the one before it */
    di_value_state state;
    bool negative;
    uint64_t magnitude;
    struct di_symbol *waiting; /* evaluate.c: who needs this one */
    bool used;                 /* another number depends on this one */
} di_symbol;

/* A set of 32-bit numbers, each with the place that had it first. */
typedef struct di_number_set {
    struct {
        uint32_t number;
        const di_span *span; /* NULL: a free slot */
    } * slots;
    size_t size;
} di_number_set;

/* Declares a symbol. Where the name is taken, reports it: "duplicate …". */
di_symbol *di_declare(di_compilation *compilation, di_symbol symbol);

/* What a message calls the kind of a symbol. */
const char *di_symbol_text(const di_symbol *symbol);

/* Enters a name in the scope with that number (each scope has its own, above 0). Reports the name
 * as a duplicate `what` where it is there already, and returns false then. */
bool di_scope_enter(di_compilation *compilation, uint32_t scope, di_name *name, const di_span *span,
                    const char *what);

/* A set for up to `count` numbers. */
di_number_set di_number_set_of(di_compilation *compilation, size_t count);

/* Adds a number. Returns the place that had it before, NULL where it is new. */
const di_span *di_number_set_add(di_number_set *set, uint32_t number, const di_span *span);

bool di_number_set_has(const di_number_set *set, uint32_t number);

#endif
