/* SPDX-License-Identifier: MIT */
/* Datagrams over a socket.
 *
 * A client's one is connected: the kernel drops what others send to it, and tells where nobody
 * listens. A server's one serves all callers; each message comes with its route, by which the
 * answer goes back from the very address that was asked: the kernel sees to that where the socket
 * has one address, and is told it where it has them all. See transport.h for threads. */
#ifndef DI_TRANSPORT_UDP_CONNECTION_H
#define DI_TRANSPORT_UDP_CONNECTION_H

#include "transport/transport.h"

/* Both take the socket over, which is closed after an error (DARI_NO_MEMORY). */
int di_udp_client_create(int descriptor, di_connection **ret_connection);
/* `anywhere`: it is bound to all addresses of the machine, and tells to which each datagram came.
 */
int di_udp_server_create(int descriptor, bool anywhere, di_connection **ret_connection);

#endif
