/* SPDX-License-Identifier: MIT */
/* The benchmark of calls: one small interface before every implementation that takes part.
 *
 * Each subject's server is a process of its own; the clients are this process. While a row is
 * measured, all of them run on one core: then the figures are what calls cost, and not how far
 * apart the scheduler happened to put two processes. In rows of processes that spin, the servers
 * run on another core. */
#ifndef BENCH_RPC_H
#define BENCH_RPC_H

#include "measure.h"

#ifdef __cplusplus
extern "C" {
#endif

enum rpc_scheme { RPC_ANY, RPC_UNIX, RPC_TCP, RPC_UDP, RPC_PIPE, RPC_FIFO, RPC_SHM, RPC_MQ };

#define RPC_ECHO_SIZE 1048576u
#define RPC_IN_FLIGHT 64u
#define RPC_IDLE_CONNECTIONS 10000u

/* Where a server is. Sockets of the network are at 127.0.0.1. */
typedef struct rpc_place {
    enum rpc_scheme scheme;
    uint16_t port;             /* 0: the system chooses */
    char path[100];            /* of something that is not there yet; RPC_MQ: a name */
    int client_in, client_out; /* RPC_PIPE: the descriptors of either side */
    int server_in, server_out;
    bool never_spins;
} rpc_place;

/* An implementation. What it cannot do, or is not measured with, is NULL; all of it where it could
 * not be built. */
typedef struct rpc_subject {
    const char *name;
    enum rpc_scheme scheme; /* its own, whatever the row has; RPC_ANY: the row's */
    /* Serves at `place`, in a process of its own, until that is killed. Once clients can connect,
     * it calls rpc_server_ready. Returns only after it failed. */
    void (*serve)(rpc_place *place, int ready);
    void *(*open)(const rpc_place *place); /* a client; NULL: it cannot connect */
    void (*close)(void *client);
    /* As measure_subject.run has it. A round is one call. */
    bool (*nothing)(void *client, uint64_t rounds, uint64_t seed);
    bool (*pipelined)(void *client, uint64_t rounds, uint64_t seed); /* RPC_IN_FLIGHT at a time;
                                                                        NULL: one after the other */
    bool (*echo)(void *client, uint64_t rounds, uint64_t seed);      /* RPC_ECHO_SIZE each way */
    bool (*lend)(void *client, uint64_t rounds, uint64_t seed); /* RPC_ECHO_SIZE, all of which is
                                                                   read at the other side */
} rpc_subject;

extern const rpc_subject rpc_dari;
extern const rpc_subject rpc_dari_unix;
extern const rpc_subject rpc_dari_loan; /* LEND alone: with memory for loans */
extern const rpc_subject rpc_memcpy;    /* LEND alone: no calls, the same bytes copied once */
extern const rpc_subject rpc_raw;       /* the same bytes, with system calls alone */
extern const rpc_subject rpc_raw_pipe;
extern const rpc_subject rpc_raw_mq; /* by two queues, NOTHING alone */
extern const rpc_subject rpc_raw_unix;
extern const rpc_subject rpc_raw_shm; /* one cache line each way; the same copies by rings */
extern const rpc_subject rpc_tirpc;
extern const rpc_subject rpc_capnp;
extern const rpc_subject rpc_zeromq;
extern const rpc_subject rpc_nng;
extern const rpc_subject rpc_iceoryx;

/* Tells the process that started this server where it listens. */
void rpc_server_ready(const rpc_place *place, int ready);

/* Measures the rows rpc/…. False: a subject failed. */
bool rpc_rows(measure_report *report);

#ifdef __cplusplus
}
#endif

#endif
