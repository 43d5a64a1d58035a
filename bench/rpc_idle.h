/* SPDX-License-Identifier: MIT */
/* What a connection costs on which nothing happens. */
#ifndef BENCH_RPC_IDLE_H
#define BENCH_RPC_IDLE_H

#include "rpc.h"

#define RPC_IDLE_NAME "rpc/idle-connection"
#define RPC_IDLE_BYTES_MAX 4096.0

/* Measures the row RPC_IDLE_NAME: the bytes of its own memory that a connection costs dari's
 * server, of RPC_IDLE_CONNECTIONS on each of which one call was made. The kernel's memory is not in
 * it. `folder` is for the socket. False: it could not be measured. */
bool rpc_idle_row(measure_report *report, const char *folder);

#endif
