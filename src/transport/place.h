/* SPDX-License-Identifier: MIT */
/* HOST[:PORT], what addresses of the network name. Any thread. */
#ifndef DI_TRANSPORT_PLACE_H
#define DI_TRANSPORT_PLACE_H

#include "base/text.h"
#include "transport/transport.h"
#include "transport/universal.h"

/* The longest host name (RFC 1035 allows 255 bytes), with its terminator. */
#define DI_HOST_SIZE 256
/* A port by its number, with its terminator. */
#define DI_PORT_SIZE 6

typedef struct di_place {
    char host[DI_HOST_SIZE];
    char port[DI_PORT_SIZE]; /* "" where the address has none */
    bool bracketed;
} di_place;

/* Takes HOST[:PORT] or [HOST][:PORT] apart. Errors: DARI_ADDRESS. */
int di_place_parse(const char *rest, di_place *ret_place, di_failure *failure);

/* Appends the place as addresses are written, with another port. */
void di_place_format(di_text *text, const char *prefix, const di_place *place, unsigned port);

struct sockaddr;

/* A peer by its socket address, IPv4 or IPv6: one peer is one host. */
void di_place_peer(const char *prefix, const struct sockaddr *address, di_peer *ret_peer);

/* Where a socket of that family is bound, as a place without a port. DARI_SCHEME for other families
 * than IPv4 and IPv6; DARI_ADDRESS, DARI_ERRNO. */
int di_place_of_socket(int descriptor, int family, di_place *ret_place,
                       di_socket_address *ret_address, di_failure *failure);

/* The port that a socket is bound to, or 0. */
unsigned di_bound_port(int descriptor);

#endif
