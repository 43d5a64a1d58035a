/* SPDX-License-Identifier: MIT */
/* How servers of other libraries come to a socket without rpcbind. */
#ifndef TEST_INTEROP_LISTEN_H
#define TEST_INTEROP_LISTEN_H

#include <stdbool.h>

/* Without it libraries have room for less than a result may take. */
#define DATAGRAM_SIZE 65000u

/* Binds a socket to "unix:/path", "tcp://127.0.0.1:0" or "udp://127.0.0.1:0", listens where it is
 * none of datagrams, and writes where to standard output, which the caller flushes once it serves.
 * Ends the program where that fails. */
int listen_at(const char *address, bool *ret_datagrams);

#endif
