/* SPDX-License-Identifier: MIT */
/* Definitions as written to the tree of tree.h: names looked up, numbers evaluated, and everything
 * refused that is no interface. */
#ifndef DI_IDL_CHECK_H
#define DI_IDL_CHECK_H

#include "idl/evaluate.h"

/* A fixed part of a type (fixed arrays, and structs of them) may take so many bytes of memory. */
#define DI_FIXED_LIMIT (UINT64_C(1) << 28)

/* Types may hold each other by value, or name each other by typedefs, through so many levels. */
#define DI_VALUE_DEPTH_LIMIT 64u

/* A defined type while it is made. The type comes first: di_node_of. */
typedef struct di_node {
    di_type type;
    const di_syntax_body *body;
    const di_syntax_declaration *declaration; /* a typedef's */
    di_span span;
    bool built_in;                /* its definition is listed only where it is used, */
    bool listed;                  /* and once */
    bool incomplete;              /* enumerators are missing after an error */
    di_number_set values;         /* an enum's */
    const di_declaration **parts; /* everything that the type declares */
    size_t part_count;
    struct di_node *next; /* all nodes, in the order of the file */

    /* measure.c */
    uint8_t state;
    size_t at;               /* the next part to visit */
    struct di_node *from;    /* who visits it, */
    struct di_node *stacked; /* and the one below on the stack of its component */
    uint32_t index;
    uint32_t lowest;
    uint32_t depth; /* types that it holds by value, in one another */
    uint64_t extent;
} di_node;

typedef struct di_checker {
    di_compilation *compilation;
    const struct di_source *main;
    bool built_in;          /* the built-in definitions are being declared */
    uint32_t scope;         /* the last scope that was opened */
    di_number_set programs; /* their numbers */
    di_node *nodes, *last_node;
    di_definition **tail;
} di_checker;

/* The node of a type of kind DI_ENUM, DI_STRUCT, DI_UNION or DI_TYPEDEF; NULL for others. */
di_node *di_node_of(const di_type *type);

/* Makes the unit. Returns NULL after errors. `built_in` are the definitions of builtin.h. */
const di_unit *di_check(di_compilation *compilation, const struct di_source *main,
                        di_syntax_item *built_in, di_syntax_item *items);

/* declare.c: makes the symbols and nodes of all items, and names those without a name. An item
 * that repeats what is built in loses its symbol. */
void di_declare_items(di_checker *checker, di_syntax_item *items);

/* declare.c: reports definitions that C would not have. To be called where there are no cycles. */
void di_check_c_names(di_checker *checker);

/* resolve.c: a declaration with its type and size. A built-in name is replaced by what it stands
 * for, where that can be written. After an error the type is a stand-in. */
di_declaration *di_resolve_declaration(di_checker *checker,
                                       const di_syntax_declaration *declaration);

/* resolve.c: fills the node of a type with what its definition holds, labels left out. */
void di_resolve_node(di_checker *checker, di_node *node);

/* check_union.c: the discriminant and labels of a union, once all types are resolved. */
void di_check_union(di_checker *checker, di_node *node);

/* check_program.c: a program with its versions and procedures. */
const di_program *di_check_program(di_checker *checker, const di_syntax_item *item);

/* check_program.c: where a number of that program is used as a constant, its name must not stand
 * for several numbers. To be called once all are evaluated. */
void di_check_ambiguity(di_checker *checker, const di_syntax_item *item);

/* Appends a definition to the unit; position and `included` follow from the place. */
void di_list_definition(di_checker *checker, di_definition definition, di_span span);

#endif
