/* SPDX-License-Identifier: MIT */
/* The subject that everything is held against: the same bytes, moved by system calls alone. The
 * server waits in epoll_wait, the client in poll with a time-out; descriptors do not block; nothing
 * is copied that the kernel does not copy. */
#ifndef BENCH_RPC_RAW_H
#define BENCH_RPC_RAW_H

#include "rpc.h"

#include <stddef.h>

/* rpc_subject.serve, for one client. */
void rpc_raw_serve(rpc_place *place, int ready);

#endif
