/* SPDX-License-Identifier: MIT */
/* A bad network between UDP clients and a server: datagrams are lost, doubled, delayed and so put
 * out of order, by a sequence that its seed decides. Runs on a thread of its own. */
#ifndef DARI_TEST_RELAY_H
#define DARI_TEST_RELAY_H

#include <stdint.h>

typedef struct relay_options {
    uint64_t seed;
    unsigned lost;     /* of 1,000 datagrams */
    unsigned doubled;  /* of 1,000 */
    unsigned delayed;  /* of 1,000; the others go on at once */
    unsigned delay_ms; /* the longest delay */
} relay_options;

/* Datagrams either way. */
typedef struct relay_counts {
    unsigned passed, lost, doubled, delayed;
} relay_counts;

typedef struct test_relay test_relay;

/* Relays between a port of 127.0.0.1 that is free and the server's, at an IPv4 address. Returns
 * NULL where it cannot; `ret_port` is the one for clients. */
test_relay *relay_start(const relay_options *options, const char *server_host, uint16_t server_port,
                        uint16_t *ret_port);

/* Ends it, and tells what it has done. */
relay_counts relay_stop(test_relay *relay);

#endif
