/* SPDX-License-Identifier: MIT */
/* What a client or a server has done so far, in numbers.
 *
 *   dari_counters counters;
 *   if (dari_server_counters(server, &counters) == 0) {
 *       for (uint32_t i = 0; i < counters.procedure_count; i++)
 *           printf("%s: %llu\n", counters.procedures[i].name, ...calls.ok);
 *       dari_counters_end(&counters);
 *   }
 *
 * Numbers begin at zero and only grow, but for what is in flight or open; whoever wants rates
 * subtracts two readings. A reading is made while calls go on, and still adds up, for each
 * procedure and for all together:
 *
 *   started = finished + in_flight
 *   finished = ok + failed
 *   ok = all of latency[], failed = all of errors[]
 *
 * A call is counted where its beginning and its end are known: at a client from its beginning to
 * the end of the stub or, in flight, of the decoding of its result; at a server from its header to
 * its answer, before that is sent. */
#ifndef DARI_COUNTERS_H
#define DARI_COUNTERS_H

#include <dari/client.h>
#include <dari/server.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Failed calls are counted by the code of their error: errors[-DARI_DEADLINE]. All codes are above
 * -DARI_ERROR_CODES; errors[0] has what is no code. */
#define DARI_ERROR_CODES 80

/* Successful calls are counted by how long they took, in buckets that are at most a quarter wider
 * than their lower end: 0, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 ns ... The
 * last one has all from 2^37 - 2^34 ns, two minutes, on. */
#define DARI_LATENCY_BUCKETS 128

typedef struct dari_call_counters {
    uint64_t started;
    uint64_t in_flight;
    uint64_t finished;
    uint64_t ok;
    uint64_t failed;
    uint64_t errors[DARI_ERROR_CODES]; /* at a server: as answered; or DARI_CLOSED: a result that
                                          nobody was there for any more */
    uint64_t latency[DARI_LATENCY_BUCKETS];
} dari_call_counters;

/* One procedure. A server has all of the interfaces that it serves, and of each NULL, which it
 * answers by itself; a client has those that it has called. */
typedef struct dari_procedure_counters {
    uint32_t program, version, procedure;
    const char *interface; /* "CALC_V1"; "" for a ping */
    const char *name;      /* "ADD" */
    dari_call_counters calls;
} dari_procedure_counters;

typedef struct dari_counters {
    /* All procedures together; at a server also the calls that meant none of them, or were refused
     * before that was known. */
    dari_call_counters calls;
    uint64_t bytes_in, bytes_out; /* messages with their record marks; in: read from what arrived;
                                     out: a server's replies, the sent part of a client's calls.
                                     Over a connection that carries calls both ways its two ends
                                     count all of them, and who calls or serves over these (a client
                                     of dari_request_client, the server of a client) its own
                                     messages, without marks */
    uint64_t dropped;  /* replies that nobody waited for: late, to one-way calls, never asked for;
                          at a server also calls of udp:// that could not be remembered, or whose
                          refusal would be longer than they are */
    uint64_t repeated; /* messages of calls that a client sent again (udp://, idempotent ones), or
                          that came to a server again and were not run again (udp://); in `calls`
                          they are one */
    uint64_t connections_open, connections_accepted; /* of a server */
    uint64_t connections_refused; /* closed at once: their peer had too many, or may not connect */
    uint32_t procedure_count;
    dari_procedure_counters *procedures; /* in the order in which they became known */
} dari_counters;

/* Read all counters. From any thread, at any time. The caller ends the reading, which outlives
 * client and server. Errors: DARI_FORKED, DARI_NO_MEMORY. */
int dari_client_counters(dari_client *client, dari_counters *ret_counters);
int dari_server_counters(const dari_server *server, dari_counters *ret_counters);

/* Gives the memory back. Takes NULL, and a zeroed structure. */
void dari_counters_end(dari_counters *counters);

/* The lower end of a bucket, in ns. */
uint64_t dari_latency_floor(unsigned bucket);

/* The ns that at least the `quantile` (0.99: 99 of 100) of the successful calls took less than: the
 * upper end of the bucket that the last of these is in; 0 where there was none. */
uint64_t dari_latency_quantile(const dari_call_counters *calls, double quantile);

#ifdef __cplusplus
}
#endif

#endif
