/* SPDX-License-Identifier: MIT */
/* What the parts of the C emitter share: a text with indentation, and how XDR names become C. */
#ifndef DI_GEN_C_WRITER_H
#define DI_GEN_C_WRITER_H

#include "base/text.h"
#include "gen/emit_c.h"
#include "gen/type_set.h"
#include "idl/tree.h"

#include <dari/arena.h>

typedef struct di_c_writer {
    di_text *out;
    const di_emit_sink *sink; /* where `out` is emptied to; NULL: it is kept */
    const di_emit_c_options *options;
    dari_arena *tables; /* of what lasts */
    dari_arena *arena;  /* of what is made on the way, until di_c_forget: names, paths, atoms */
    di_text scratch;    /* di_c_string */
    unsigned indent;
    bool failed;                /* memory ran out */
    char empty[1];              /* what stands for a string then */
    di_type_set inlined;        /* those with inline codecs: c_inline.h */
    const di_version *handlers; /* while its handler table is written: the members' names hide types
                                   in C++ */
} di_c_writer;

/* Writes one indented line; "" gives an empty one. A line that ends in `{` indents what follows,
 * one that begins with `}` ends that. */
void di_c_line(di_c_writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A string made in the writer's arena; where memory is out, one that stays empty. */
char *di_c_string(di_c_writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Behind each definition, so that a long file needs little more memory than a short one: gives back
 * what was made in the writer's arena, and the text to the sink. */
void di_c_forget(di_c_writer *writer);

/* Gives the text to the sink, however little it is. */
void di_c_empty(di_c_writer *writer);

/* A member's name: as in the file, with `_` behind it where C or C++ have a keyword of that name,
 * or it is that of a type that members are made of. */
const char *di_c_member(di_c_writer *writer, const char *name);

/* The name of a type, constant or enumerator: with the prefix, or like a member where it is a
 * keyword. */
const char *di_c_name(di_c_writer *writer, const char *name);

/* The name of a type, which keeps what --extern names as it is. */
const char *di_c_type_name(di_c_writer *writer, const di_type *type);

/* What follows `xdr_size_`, `xdr_encode_` and `xdr_decode_`. */
const char *di_c_codec_name(di_c_writer *writer, const di_type *type);

/* A name in lower case. */
const char *di_c_lower(di_c_writer *writer, const char *name);

/* "calc.x:12". */
const char *di_c_place(di_c_writer *writer, di_position position);

/* A declaration as one that names what it holds: typedefs that give a plain type, opaque data, a
 * string or a fixed array another name are replaced by what they stand for; the name stays. */
di_declaration di_c_resolve(const di_declaration *declaration);

/* A type that files may use without defining it. */
bool di_c_is_builtin(const di_type *type);

/* The one struct that files use without defining it, which the library has: struct netbuf. */
bool di_c_is_netbuf(const di_type *type);

/* Whether the generated functions have a parameter or variable of the name, which would hide what
 * the file calls so; or a handler table that is being written has such a member. */
bool di_c_is_hidden(di_c_writer *writer, const char *name);

/* Whether a type has no other spelling in C than its name. Where something else has that, it is
 * used by an alias, a typedef: that of a hidden name stands behind the type's definition, others
 * before the struct that needs them. */
bool di_c_has_alias(const di_type *type);

/* Whether the struct that an array becomes has a member with the name of the elements' type. */
bool di_c_is_shadowed_within(di_c_writer *writer, const di_declaration *declaration);

/* A type where it is used: "entry", or "struct entry" or an alias where the name is `shadowed` or
 * hidden. */
const char *di_c_type_text(di_c_writer *writer, const di_type *type, bool shadowed);

/* `type name` in C, with the array's brackets: "uint8_t handle[32]". `name` may be a pointer:
 * "*arg". `shadowed`: a member of the same struct has the type's name, which C++ does not allow, so
 * that another spelling of the type is written. */
const char *di_c_declare(di_c_writer *writer, const di_declaration *declaration, const char *name,
                         bool shadowed);

/* A parameter that points to a value: "const entry *arg", "char *const *arg"; not constant: "entry
 * *ret", "char **ret". */
const char *di_c_pointer(di_c_writer *writer, const di_declaration *declaration, bool constant,
                         const char *name);

/* The name of a union's discriminant in C: `u` is the union's own. */
const char *di_c_discriminant(di_c_writer *writer, const di_type *type);

#endif
