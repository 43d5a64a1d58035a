/* SPDX-License-Identifier: MIT */
/* A network for the benchmark alone. */
#ifndef BENCH_RPC_NETWORK_H
#define BENCH_RPC_NETWORK_H

#include <stdbool.h>

/* Gives this process, and those that it starts from now on, a network of their own that has nothing
 * but 127.0.0.1: no other traffic, no packet filters, and no congestion control that spaces packets
 * by what it believes of the path, which makes large messages take one or three times as long from
 * one connection to the next. False, having said so on standard error: the system does not allow
 * it, and the rows are measured in the network of the machine. */
bool rpc_network_enter(void);

#endif
