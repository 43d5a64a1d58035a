/* SPDX-License-Identifier: MIT */
/* The tree of one compiled interface file: what the front end gives to emitters.
 *
 * Everything in it lives in the arena of its di_idl (compile.h) and is constant once compiled. The
 * checker has resolved every name, evaluated every number, hoisted nested definitions before the
 * one that contains them, and measured every type; an emitter reads and never checks. */
#ifndef DI_IDL_TREE_H
#define DI_IDL_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct di_source; /* one input file: source.h */

typedef struct di_position {
    const struct di_source *source;
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in bytes */
} di_position;

typedef struct di_type di_type;
typedef struct di_declaration di_declaration;
typedef struct di_definition di_definition;

/* A number as the file has it. XDR numbers reach from INT64_MIN to UINT64_MAX. */
typedef struct di_number {
    bool negative; /* the number is -magnitude */
    uint64_t magnitude;
    const char *text; /* as written: "NAMEMAX", "0x10", "-1" */
    bool symbolic;    /* text is the name of a constant or enumerator */
} di_number;

typedef enum di_kind {
    DI_VOID,
    DI_BOOL,
    DI_CHAR, /* dialect: 8 bits in memory, 4 bytes on the wire, signed */
    DI_UNSIGNED_CHAR,
    DI_SHORT, /* dialect: 16 bits in memory, 4 bytes on the wire */
    DI_UNSIGNED_SHORT,
    DI_INT,
    DI_UNSIGNED_INT,
    DI_LONG, /* dialect: C's long in memory, 4 bytes on the wire */
    DI_UNSIGNED_LONG,
    DI_HYPER,
    DI_UNSIGNED_HYPER,
    DI_FLOAT,
    DI_DOUBLE,
    DI_QUADRUPLE,
    DI_OPAQUE, /* always with shape DI_FIXED or DI_VARIABLE */
    DI_STRING, /* always with shape DI_VARIABLE */
    DI_ENUM,
    DI_STRUCT,
    DI_UNION,
    DI_TYPEDEF, /* a name for a declaration */
    DI_EXTERN   /* declared elsewhere (--extern): codec functions of that name exist */
} di_kind;

typedef enum di_shape {
    DI_PLAIN,    /* T x        */
    DI_FIXED,    /* T x[size]  */
    DI_VARIABLE, /* T x<size>  */
    DI_OPTIONAL  /* T *x       */
} di_shape;

/* `type name`, in a struct, a union's arm, a typedef, or as an argument or result. */
struct di_declaration {
    di_position position; /* of the name, or of the type where there is none */
    const char *name;     /* NULL: void, or an argument without a name */
    const di_type *type;  /* DI_VOID for `void` */
    di_shape shape;
    uint32_t size;         /* DI_FIXED: elements; DI_VARIABLE: the bound, UINT32_MAX where none */
    const char *size_text; /* the size as written, NULL where none is; digits where its name is no
                              definition of a file */
    const di_declaration *next;
};

typedef struct di_enumerator {
    di_position position;
    const char *name;
    int32_t value;
    const char *text; /* the value as written, NULL where it is implied */
    const struct di_enumerator *next;
} di_enumerator;

/* `case a: case b: declaration;`: arms in the order of the file. */
typedef struct di_arm {
    di_position position;
    const struct di_label *labels; /* at least one */
    const di_declaration *declaration;
    const struct di_arm *next;
} di_arm;

typedef struct di_label {
    di_position position;
    uint32_t value;   /* the discriminant as its 32 bits on the wire */
    const char *text; /* as written: "NFS3_OK", "0", for a bool "TRUE" */
    bool symbolic;    /* text is the name of an enumerator or constant */
    const struct di_label *next;
} di_label;

/* What a value of a type or declaration can take. On the wire, in bytes. */
typedef struct di_measure {
    uint64_t minimum;  /* fewest bytes */
    uint64_t maximum;  /* most bytes, UINT64_MAX where nothing bounds them */
    bool fixed;        /* every value takes the same number of bytes (minimum); never said of
                          variable arrays and pointers */
    bool holds_memory; /* a decoded value points to memory */
    bool checked;      /* of a fixed size: some values may not be sent, as it contains an
                          enum, a long or a union */
} di_measure;

struct di_type {
    di_kind kind;
    di_position position;
    const char *name;                   /* NULL for kinds before DI_ENUM; else never NULL: nested
                                           anonymous ones are named OUTER_MEMBER */
    const di_enumerator *enumerators;   /* DI_ENUM */
    const di_declaration *members;      /* DI_STRUCT */
    const di_declaration *discriminant; /* DI_UNION: its type is int, unsigned, bool, or an enum,
                                           directly or through typedefs */
    const di_arm *arms;                 /* DI_UNION */
    const di_arm *default_arm;          /* DI_UNION: NULL where there is none; has no labels */
    const di_declaration *declaration;  /* DI_TYPEDEF */

    di_measure measure;
    bool recursive;             /* contains itself otherwise than through `tail`: its
                                   codecs count the depth */
    const di_declaration *tail; /* DI_STRUCT: the last member, where that is an optional
                                   pointer (directly or through typedefs) to this very
                                   struct: its codecs loop */
};

typedef struct di_procedure {
    di_position position;
    const char *name;
    uint32_t number;
    const di_declaration *arguments; /* NULL: void. More than one: several arguments */
    const di_declaration *result;    /* its type is DI_VOID for void */
    const struct di_procedure *next;
} di_procedure;

typedef struct di_version {
    di_position position;
    const char *name;
    uint32_t number;
    const di_procedure *procedures; /* in the order of the file */
    const struct di_version *next;
} di_version;

typedef struct di_program {
    di_position position;
    const char *name;
    uint32_t number;
    const di_version *versions;
} di_program;

typedef enum di_definition_kind {
    DI_DEFINE_CONSTANT,
    DI_DEFINE_STRING,
    DI_DEFINE_TYPE, /* enum, struct, union, typedef */
    DI_DEFINE_PROGRAM,
    DI_DEFINE_PASS,   /* a `%` line */
    DI_DEFINE_INCLUDE /* #include "b.x": stands before b.x's own definitions */
} di_definition_kind;

struct di_definition {
    di_definition_kind kind;
    di_position position;
    const char *name;          /* of the constant, string, type or program; NULL otherwise */
    bool included;             /* comes from an included file: to be known, not emitted */
    di_number constant;        /* DI_DEFINE_CONSTANT */
    const di_type *type;       /* DI_DEFINE_TYPE */
    const di_program *program; /* DI_DEFINE_PROGRAM */
    const char *text;          /* DI_DEFINE_STRING: as written, with its quotes; DI_DEFINE_PASS: the
                                  line without `%`; DI_DEFINE_INCLUDE: the path as written */
    bool for_header;           /* DI_DEFINE_PASS: active where RPC_HDR is defined */
    bool for_source;           /* DI_DEFINE_PASS: active where RPC_XDR is defined */
    const di_definition *next;
};

/* A compiled file: its definitions in their order, those of included files in place. */
typedef struct di_unit {
    const char *path;
    const di_definition *definitions;
} di_unit;

/* The type behind typedefs that only give another name (shape DI_PLAIN). */
const di_type *di_resolve(const di_type *type);

/* How many bytes a declaration takes on the wire. */
di_measure di_measure_declaration(const di_declaration *declaration);

#endif
