/* SPDX-License-Identifier: MIT */
/* The program that an exec: address of the suite starts: it is the test's own, and passes what
 * comes by its standard input and output on to the pipes of a server in the process that started
 * it. So handlers, gates and counters are where the cases look at them. */
#ifndef DARI_TEST_RELAY_PROGRAM_H
#define DARI_TEST_RELAY_PROGRAM_H

#include <stddef.h>

#define RELAY_ROLE "relay"

/* Writes the address of a program that reads and writes these descriptors of this process, and
 * writes one byte to `told` once it has them for itself. */
void relay_address(int in, int out, int told, char *ret_address, size_t room);

/* The program: its arguments from the role on. Returns its status. */
int relay_play(int count, char **arguments);

#endif
