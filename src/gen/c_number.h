/* SPDX-License-Identifier: MIT */
/* Which programs, versions and procedures get a constant for their number. Their names have scopes
 * in the RPC language, in C they have not: a name that stands for several numbers, or for something
 * else as well, or that the C library or an included file has, gets none; one that stands for the
 * same number several times gets one. */
#ifndef DI_GEN_C_NUMBER_H
#define DI_GEN_C_NUMBER_H

#include "gen/c_names.h"

typedef struct di_c_numbers {
    const void **owners; /* the programs, versions and procedures that get one, by address */
    size_t count;
} di_c_numbers;

/* Looks through a unit once, whose names are given; what it finds lasts as long as the writer. */
di_c_numbers di_c_numbers_make(di_c_writer *writer, const di_unit *unit, const di_c_names *names);

/* Writes the constants of a program, of its versions and of their procedures. */
void di_c_program_numbers(di_c_writer *writer, const di_c_numbers *numbers,
                          const di_program *program);

#endif
