/* SPDX-License-Identifier: MIT */
/* Values taken apart: the atoms that the codec emitters write one after the other.
 *
 * Small structs of a fixed size are opened, so that their numbers join the run of those around
 * them: a run is checked once and then read or written at constant offsets. */
#ifndef DI_GEN_C_ATOMS_H
#define DI_GEN_C_ATOMS_H

#include "gen/c_writer.h"

typedef enum di_atom_kind {
    DI_ATOM_NUMBER,   /* a number, boolean or enumerator: 4, 8 or 16 bytes */
    DI_ATOM_BYTES,    /* opaque[n] */
    DI_ATOM_NUMBERS,  /* numbers[n] that are swapped as a whole */
    DI_ATOM_ELEMENTS, /* any other T[n]: a loop */
    DI_ATOM_OPAQUE,   /* opaque<n> */
    DI_ATOM_STRING,   /* string<n> */
    DI_ATOM_ARRAY,    /* T<n> */
    DI_ATOM_OPTIONAL, /* T * */
    DI_ATOM_TAIL,     /* the pointer to the next node of a list */
    DI_ATOM_CALL      /* a type whose own codec is called */
} di_atom_kind;

typedef struct di_atom {
    di_atom_kind kind;
    di_declaration declaration; /* resolved */
    const char *path;           /* as C: "value->atime.sec" */
    const char *field;          /* for faults: "attr.atime.sec" */
} di_atom;

typedef struct di_atoms {
    di_atom *items;
    size_t count;
} di_atoms;

/* Whether the members of a struct stand among those of what holds it. */
bool di_struct_is_opened(const di_type *type);

/* The atoms of a value at `path`. */
di_atoms di_atoms_of(di_c_writer *writer, const di_declaration *declaration, const char *path,
                     const char *field);

/* The atoms of all members of a struct at `path` ("*value"). */
di_atoms di_atoms_of_struct(di_c_writer *writer, const di_type *type, const char *path,
                            const char *field);

/* The atom of one element of a DI_ATOM_ELEMENTS, DI_ATOM_ARRAY or DI_ATOM_OPTIONAL. */
di_atoms di_atoms_of_element(di_c_writer *writer, const di_atom *atom, const char *path);

/* The bytes that an atom takes at a constant offset: all of a fixed one, the length word of a
 * variable one, none of a call or a loop. */
uint64_t di_atom_fixed_bytes(const di_atom *atom);

/* Whether the atoms behind this one are at a constant offset from it. */
bool di_atom_is_fixed(const di_atom *atom);

/* The bytes from atom `index` on that are at constant offsets and come in any case. */
uint64_t di_atoms_run(const di_atoms *atoms, size_t index);

/* How many atoms from `index` on are moved together: numbers of one width that need no check, 2 or
 * 4; otherwise 1. */
unsigned di_atoms_together(const di_atoms *atoms, size_t index);

/* The call that moves `count` such atoms: "dari_inline_put_u32x2(at, &value->sec, &value->nsec);".
 * `verb` is "put" or "get". */
const char *di_atoms_move(di_c_writer *writer, const di_atom *atoms, unsigned count,
                          const char *verb, const char *at);

/* The bytes on the wire of one number. */
uint32_t di_number_width(di_kind kind);

/* Numbers whose arrays are swapped as a whole. */
bool di_kind_is_swapped(di_kind kind);

/* Whether a value of the kind can be one that may not be sent. */
bool di_kind_is_checked(di_kind kind);

/* Paths in C: the address of one, "&value->name", or "arg" for "*arg"; a member, "value->x.count";
 * an element, "value->x[i]". */
const char *di_path_address(di_c_writer *writer, const char *path);
const char *di_path_member(di_c_writer *writer, const char *path, const char *member);
const char *di_path_index(di_c_writer *writer, const char *path, const char *index);

/* The fewest bytes that one element of an array takes on the wire. */
uint32_t di_element_width(const di_atom *atom);

#endif
