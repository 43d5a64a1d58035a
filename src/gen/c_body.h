/* SPDX-License-Identifier: MIT */
/* The body of one codec function on its way: written first, so that the head declares and uses only
 * what the body needs. */
#ifndef DI_GEN_C_BODY_H
#define DI_GEN_C_BODY_H

#include "gen/c_atoms.h"
#include "gen/c_codec.h"

typedef struct di_c_body {
    di_c_writer *writer; /* its text is the body while this lives */
    di_text *outside;    /* the writer's text otherwise */
    di_text text;
    const di_c_codec *codec;
    uint64_t offset;    /* constant bytes behind `at` that are done; sizing: not added yet */
    uint64_t available; /* decoding: bytes behind `at` that are known to be there */
    unsigned loops;     /* loops open */
    di_text pointers;   /* declarations of the pointers that loops go by */
    unsigned pointer_count;
    const char *first_line; /* or NULL */
    bool uses_context;      /* the encoder or decoder */
    bool uses_number;
    bool uses_present;
} di_c_body;

void di_c_body_begin(di_c_body *body, di_c_writer *writer, const di_c_codec *codec);

/* Writes the head: the place in the interface file, the signature, what the body declares; then the
 * body, and the closing brace. `context` is "encoder" or "decoder". */
void di_c_body_end(di_c_body *body, const char *signature, const char *context);

/* "dari_", or "dari_inline_" where the body runs for every element of an array or list. */
const char *di_c_pieces(const di_c_body *body);

/* "at" or "at + 12": where the next byte is. */
const char *di_c_at(const di_c_body *body);

/* Moves `at` itself to the next byte, `extra` bytes on. */
void di_c_advance(di_c_body *body, uint64_t extra);

/* Takes back the last two lines of the body where they are `condition` and `consequence`: what
 * comes next makes them needless. */
void di_c_take_back(di_c_body *body, const char *condition, const char *consequence);

/* Opens a loop over `count` elements and returns the name of its index. */
const char *di_c_loop(di_c_body *body, const char *count);

/* Opens a loop over the elements of the array `atom`, `count` at `items`, that are not written to,
 * and returns the path of the one at hand. It goes by a pointer of its own: as far as C compilers
 * know, any store or call may change where the array is. */
const char *di_c_loop_over(di_c_body *body, const di_atom *atom, const char *count,
                           const char *items);

/* Closes either. */
void di_c_loop_end(di_c_body *body);

/* What the function reads or writes: the members of a struct, or the one value. */
di_atoms di_c_body_atoms(const di_c_body *body);

/* What a function does with the atoms of one scope, and where no arm fits. */
typedef void di_c_write_scope(di_c_body *body, const di_atoms *atoms);
typedef void di_c_write_missing(di_c_body *body);

/* Writes a union: the discriminant, a switch over it, every arm as a scope. `missing` is called
 * where some discriminants have no arm. */
void di_c_write_union(di_c_body *body, di_c_write_scope *discriminant, di_c_write_scope *arm,
                      di_c_write_missing *missing);

#endif
