/* SPDX-License-Identifier: MIT */
/* Connections and listeners over stream sockets, which unix: and tcp:// share.
 *
 * A connection owns its socket and two buffers, one each way. One receive is one recv, one flush is
 * one send where the kernel takes everything. See transport.h for threads. */
#ifndef DI_TRANSPORT_STREAM_H
#define DI_TRANSPORT_STREAM_H

#include "transport/transport.h"

/* The room that is offered to the kernel for what arrives; more than that only for what a peer
 * announced, and at first no more than the second figure: an announcement costs a peer nothing. */
#define DI_STREAM_ROOM ((size_t)4096)
#define DI_STREAM_ANNOUNCED ((size_t)256 << 10)

/* Finds out who the other side of a socket is. */
typedef void di_stream_peer(int descriptor, di_peer *ret_peer);

/* Makes a connection of a non-blocking stream socket, which it owns from then on; on failure
 * (DARI_NO_MEMORY) the descriptor is closed. */
int di_stream_create(int descriptor, di_stream_peer *ask, di_connection **ret_connection);

/* Accepts a connection of a listening socket: DI_MOVED and a non-blocking close-on-exec descriptor,
 * DI_BLOCKED, or DARI_ERRNO. Connections that died in the queue are passed over. */
int di_stream_accept(int listening, int *ret_descriptor);

#endif
