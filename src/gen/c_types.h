/* SPDX-License-Identifier: MIT */
/* Type definitions in C: enums, structs, unions, typedefs. */
#ifndef DI_GEN_C_TYPES_H
#define DI_GEN_C_TYPES_H

#include "gen/c_writer.h"

/* Writes the definition of a type. Structs and unions have been declared before. */
void di_c_define_type(di_c_writer *writer, const di_type *type);

/* Writes "typedef struct entry entry;" for a struct or union, nothing for others. */
void di_c_declare_type(di_c_writer *writer, const di_type *type);

/* Writes the alias of a type: c_writer.h. */
void di_c_define_alias(di_c_writer *writer, const di_type *type);

/* Writes xdr_is_T, which tells the numbers that an enumeration declares. */
void di_c_define_enum_check(di_c_writer *writer, const di_type *type);

#endif
