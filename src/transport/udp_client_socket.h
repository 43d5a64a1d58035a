/* SPDX-License-Identifier: MIT */
/* The socket of a client of udp://, which is connected to one address of a name after the other. It
 * stays the same, so that whoever watches it goes on: where a name has addresses of both kinds it
 * is one of IPv6, which reaches IPv4 too. One thread at a time. */
#ifndef DI_TRANSPORT_UDP_CLIENT_SOCKET_H
#define DI_TRANSPORT_UDP_CLIENT_SOCKET_H

#include "transport/transport.h"

struct addrinfo;

typedef struct di_udp_client_socket {
    int descriptor;
    int family;
    struct addrinfo
        *addresses;            /* to be tried, its own; NULL: the one that it has is the only one */
    const struct addrinfo *at; /* the one that it is connected to */
} di_udp_client_socket;

/* Connects to the first address to which there is a way. The addresses are taken over, whatever
 * becomes of it. */
int di_udp_socket_open(di_udp_client_socket *udp_socket, struct addrinfo *addresses, bool reserved,
                       di_failure *ret_failure);

/* As di_socket_make_patient (patience.h). */
bool di_udp_socket_make_patient(const di_udp_client_socket *udp_socket);

/* Connects to the next one to which there is a way, and returns 1; or, behind the last one, to the
 * first again, and returns 0; or returns DARI_ERRNO, after which it leads nowhere. What has come
 * for it so far is dropped. */
int di_udp_socket_next(di_udp_client_socket *udp_socket);

/* It stays with the address that it has. */
void di_udp_socket_settle(di_udp_client_socket *udp_socket);

#endif
