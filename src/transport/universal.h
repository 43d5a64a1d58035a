/* SPDX-License-Identifier: MIT */
/* Universal addresses (RFC 5665, section 5.2.3): how rpcbind writes the address of a socket, as
 * "192.0.2.1.8.1" or "2001:db8::1.8.1": the host, then the port's two bytes. From any thread. */
#ifndef DI_TRANSPORT_UNIVERSAL_H
#define DI_TRANSPORT_UNIVERSAL_H

#include <netinet/in.h>
#include <sys/socket.h>

/* The longest text, with its terminator. */
#define DI_UNIVERSAL_SIZE (INET6_ADDRSTRLEN + 8)

typedef union di_socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} di_socket_address;

/* The network id (RFC 5665, section 5.1) of an internet socket, "tcp", "tcp6", "udp" or "udp6"; or
 * NULL where `family` and `type` (SOCK_STREAM, SOCK_DGRAM) are others. */
const char *di_netid(int family, int type);

/* Returns 0, or DARI_ADDRESS where it is no internet address. */
int di_universal_write(const di_socket_address *address, char ret_text[DI_UNIVERSAL_SIZE]);

/* Reads nothing but what RFC 5665 allows: no spaces, no leading zeros, no interface names. Returns
 * 0, or DARI_ADDRESS. */
int di_universal_read(const char *text, di_socket_address *ret_address);

/* The port, in host order; 0 where it is no internet address. */
unsigned di_socket_port(const di_socket_address *address);

#endif
