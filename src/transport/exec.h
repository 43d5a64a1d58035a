/* SPDX-License-Identifier: MIT */
/* exec:PROGRAM ARGS -- a program that is started, and serves its standard input and output. See
 * transport.h. */
#ifndef DI_TRANSPORT_EXEC_H
#define DI_TRANSPORT_EXEC_H

#include "base/text.h"
#include "transport/transport.h"

extern const di_transport di_exec_transport;

/* Appends the address of a program: what di_exec_transport makes the same arguments of again. */
void di_exec_format(di_text *text, char *const arguments[]);

#endif
