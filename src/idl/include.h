/* SPDX-License-Identifier: MIT */
/* Where included files are. */
#ifndef DI_IDL_INCLUDE_H
#define DI_IDL_INCLUDE_H

#include "idl/source.h"

/* Looks for a file beside the including one (where its name is quoted), then where the options say.
 * NULL where it cannot be read: *ret_reason says why. */
di_source *di_find_include(di_compilation *compilation, const di_source *including,
                           const char *path, bool quoted, const char **ret_reason);

#endif
