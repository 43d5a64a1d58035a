/* SPDX-License-Identifier: MIT */
/* The names that a file's definitions have at file scope in C, functions that are generated for
 * them included; not those of numbers of programs, versions and procedures (c_number.h). Files that
 * it includes count as far as their headers go. */
#ifndef DI_GEN_C_NAMES_H
#define DI_GEN_C_NAMES_H

#include "gen/c_writer.h"

/* A name, and where it comes from. */
typedef struct di_c_global {
    const char *name;
    uint32_t hash; /* of the name */
    di_position position;
    size_t place; /* among all, in the order of the unit */
    const char *what;
    bool shared; /* several have it for the same thing */
} di_c_global;

typedef struct di_c_names {
    di_c_writer *writer;
    di_c_global *items;
    size_t count;
    size_t room;
    size_t *slots; /* open addressing: numbers of items, from 1 */
    size_t size;   /* a power of 2 */
    bool repeated; /* two definitions have a name */
    bool failed;
} di_c_names;

/* The names last until di_c_forget. The writer has failed where memory is out; its owner frees what
 * is returned in any case. */
di_c_names di_c_names_of(di_c_writer *writer, const di_unit *unit);
void di_c_names_free(di_c_names *names);

bool di_c_names_have(const di_c_names *names, const char *name);

#endif
