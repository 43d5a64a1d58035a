/* SPDX-License-Identifier: MIT */
/* What may be asked of a TCP socket, mostly of one that connects, and a port that may be asked of
 * others. From any thread. */
#ifndef DI_TRANSPORT_TCP_OPTIONS_H
#define DI_TRANSPORT_TCP_OPTIONS_H

#include "transport/transport.h"

/* The ports that a client takes where its server demands a reserved one. */
#define DI_RESERVED_PORT_LOWEST 512u
#define DI_RESERVED_PORT_HIGHEST 1023u

/* The system counts the time to the first keepalive in 1 to so many seconds, */
#define DI_KEEPALIVE_MAX_S 32767u
/* the time for data to be acknowledged in 1 to so many milliseconds, */
#define DI_USER_TIMEOUT_MAX_MS 2147483647u
/* and probes so often, over the same time again, before it gives a silent peer up. */
#define DI_KEEPALIVE_PROBES 4u

/* Sets up a socket that is not connected yet. Returns 0 or an error. */
int di_tcp_set_options(int descriptor, const di_connect_options *options, di_failure *ret_failure);

/* Has a peer probed that has been silent for so long, from 1 second on: of a socket, or of those
 * that one which listens accepts later. Returns 0 or an error. */
int di_tcp_set_keepalive(int descriptor, uint64_t idle_ns, di_failure *ret_failure);

/* Binds a socket of TCP or UDP to a free reserved port. Errors: DARI_PERMISSION, DARI_IN_USE (all
 * are taken), DARI_ERRNO. */
int di_bind_reserved(int descriptor, int family, di_failure *ret_failure);

#endif
