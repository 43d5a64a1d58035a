/* SPDX-License-Identifier: MIT */
/* Whether a server is at an address. */
#ifndef DI_LOOP_PROBE_H
#define DI_LOOP_PROBE_H

#include <dari/client.h>

/* Connects, calls procedure 0 of the program, which does nothing, and closes. Returns what became
 * of that; options->call has the deadline of both, and gets the details. */
int di_probe(const char *address, const dari_client_options *options, uint32_t program,
             uint32_t version);

#endif
