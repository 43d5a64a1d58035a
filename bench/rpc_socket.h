/* SPDX-License-Identifier: MIT */
/* The sockets of the peers that take one that is made already: raw and libtirpc. */
#ifndef BENCH_RPC_SOCKET_H
#define BENCH_RPC_SOCKET_H

#include "rpc.h"

#include <sys/socket.h>

/* Fills in the address of a place, and returns its size. */
socklen_t rpc_socket_address(const rpc_place *place, struct sockaddr_storage *ret_address);

/* A socket that is bound at `place` and listens, where its scheme has connections; the port that
 * was chosen is filled in. Negative: errno says why. */
int rpc_socket_listen(rpc_place *place);

/* A socket that is connected with `place`. Negative: errno says why. */
int rpc_socket_connect(const rpc_place *place);

/* What every side of a connection wants: no delay of small messages. */
void rpc_socket_prepare(const rpc_place *place, int descriptor);

#endif
