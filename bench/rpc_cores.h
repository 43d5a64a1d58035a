/* SPDX-License-Identifier: MIT */
/* The cores that the two sides of a row run on. */
#ifndef BENCH_RPC_CORES_H
#define BENCH_RPC_CORES_H

#include <sched.h>

typedef struct rpc_cores {
    cpu_set_t all;   /* that this process may use */
    cpu_set_t first; /* one of them */
    cpu_set_t other; /* another one; the same where there is none, which is said */
} rpc_cores;

/* Finds them, and keeps this process, and those that it starts, on the first one. */
void rpc_cores_find(rpc_cores *ret_cores);

/* Keeps this process, and those that it starts, on these. */
void rpc_cores_use(const cpu_set_t *cores);

#endif
