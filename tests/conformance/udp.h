/* SPDX-License-Identifier: MIT */
/* What tests of udp:// share: a server, and bare sockets that stand in for a peer. */
#ifndef DARI_TEST_UDP_H
#define DARI_TEST_UDP_H

#include "conformance/harness.h"

#include <netinet/in.h>

#define PATIENCE_MS 10000

/* Serves at a port of 127.0.0.1, on a thread of its own. */
void serve(test_fixture *fixture);

dari_client *connect_to_port(uint16_t port, const dari_client_options *options);

/* A bare socket of 127.0.0.1; connected to `port`, unless that is 0. */
int open_socket(uint16_t port, uint16_t *ret_own);

bool readable(int descriptor, int milliseconds);

/* Awaits a datagram and returns its size; sends one, to `to` unless that is NULL. */
size_t take(int descriptor, uint8_t *bytes, size_t room, struct sockaddr_in *ret_from);
void give(int descriptor, const uint8_t *bytes, size_t size, const struct sockaddr_in *to);

#endif
