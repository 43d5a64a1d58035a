/* SPDX-License-Identifier: MIT */
/* The processes that servers are measured in. They end with the process that started them. */
#ifndef BENCH_RPC_SERVER_H
#define BENCH_RPC_SERVER_H

#include "rpc.h"

#include <sys/types.h>

typedef struct rpc_server {
    pid_t process; /* 0: none */
    rpc_place place;
} rpc_server;

/* Starts a server of the subject, whose socket, where it has a path, is in `folder`. `wanted`: its
 * scheme, where the subject has none of its own, and whether it spins. Returns once clients can
 * connect. False: it failed, and there is nothing to stop. */
bool rpc_server_start(rpc_server *server, const rpc_subject *subject, const rpc_place *wanted,
                      const char *folder);

/* Kills it and removes its socket. Takes a zeroed one. */
void rpc_server_stop(rpc_server *server);

#endif
