/* SPDX-License-Identifier: MIT */
/* Programs in C: handler tables, and the server's side of every procedure. */
#ifndef DI_GEN_C_PROGRAM_H
#define DI_GEN_C_PROGRAM_H

#include "gen/c_number.h"

/* The header's part: constants, argument structs, handler tables. */
void di_c_program_types(di_c_writer *writer, const di_c_numbers *numbers,
                        const di_program *program);

/* A procedure's member of the handler table: "add". */
const char *di_c_handler_name(di_c_writer *writer, const di_procedure *procedure);

/* The header's part: prototypes. */
void di_c_program_prototypes(di_c_writer *writer, const di_program *program);

/* The source's part. */
void di_c_program_functions(di_c_writer *writer, const di_program *program);

/* The codecs of arguments and results that have no name of their own, each once, for all programs
 * of the unit. */
void di_c_static_codecs(di_c_writer *writer, const di_unit *unit);

/* The three functions of an argument or result, by the parts of their names before and after the
 * verb: "xdr_", "entry". */
typedef struct di_c_value_codec {
    const char *verb_prefix;
    const char *name;
} di_c_value_codec;

di_c_value_codec di_c_codec_of(di_c_writer *writer, const di_declaration *declaration);

/* What stubs and handlers share: whether there is a value at all, and whether it is an array, to
 * which no pointer is constant; `name` as the codecs take it; ", const pair *arg, int32_t *ret". */
bool di_c_is_void(const di_declaration *declaration);
bool di_c_is_array(const di_declaration *declaration);
const char *di_c_constant_value(di_c_writer *writer, const di_declaration *d, const char *name);
const char *di_c_value_parameters(di_c_writer *writer, const di_declaration *argument,
                                  const di_declaration *result);

/* "add_1", with the prefix. */
const char *di_c_stub_name(di_c_writer *writer, const di_procedure *procedure,
                           const di_version *version);

/* "calc_1", with the prefix. */
const char *di_c_version_name(di_c_writer *writer, const di_program *program,
                              const di_version *version);

/* The argument of a procedure as one declaration: NULL for void. Several arguments become a struct
 * of its own, whose codecs are written with the program. */
const di_declaration *di_c_argument(di_c_writer *writer, const di_procedure *procedure,
                                    const di_version *version);

#endif
