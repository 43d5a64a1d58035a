/* SPDX-License-Identifier: MIT */
/* The client's side of a procedure in C: the stubs of synchronous, asynchronous and one-way calls.
 */
#ifndef DI_GEN_C_STUB_H
#define DI_GEN_C_STUB_H

#include "gen/c_writer.h"

void di_c_stub_prototypes(di_c_writer *writer, const di_procedure *procedure,
                          const di_version *version);

/* `index`: its place in the interface's table. */
void di_c_stub_functions(di_c_writer *writer, const di_program *program, const di_version *version,
                         const di_procedure *procedure, uint32_t index);

#endif
