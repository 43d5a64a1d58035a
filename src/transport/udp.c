/* SPDX-License-Identifier: MIT */
#include "transport/udp.h"

#include "base/text.h"
#include "transport/failure.h"
#include "transport/place.h"
#include "transport/resolve.h"
#include "transport/tcp_options.h"
#include "transport/udp_connection.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long the name in an address to listen at may take to look up. */
#define LISTEN_LOOKUP_NS (UINT64_C(25) * 1000000000u)

static int make_socket(const struct addrinfo *address, int *ret_descriptor, di_failure *failure)
{
    int descriptor =
        socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (descriptor < 0)
        return di_fail_system(failure, errno, NULL);
    *ret_descriptor = descriptor;
    return 0;
}

/* Whether somebody is there, no datagram tells. */
static int connect_one(const struct addrinfo *address, const di_connect_options *options,
                       int *ret_descriptor, di_failure *failure)
{
    int descriptor = -1;
    int error = make_socket(address, &descriptor, failure);
    if (error < 0)
        return error;
    if (options && options->reserved_port)
        error = di_bind_reserved(descriptor, address->ai_family, failure);
    if (error == 0 && connect(descriptor, address->ai_addr, address->ai_addrlen) < 0)
        error = di_fail_system(failure, errno, NULL);
    if (error < 0)
        close(descriptor);
    *ret_descriptor = descriptor;
    return error;
}

static int udp_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                       di_connection **ret_connection, di_failure *failure)
{
    struct addrinfo *addresses;
    int descriptor = -1;
    int error = di_resolve_place(rest, deadline, &addresses, failure);
    if (error < 0)
        return error;
    error = connect_one(addresses, options, &descriptor, failure);
    freeaddrinfo(addresses);
    return error < 0 ? error : di_udp_client_create(descriptor, ret_connection);
}

/* Hands out the one connection that there is. A socket that was made elsewhere is the listener's,
 * and the connection has a duplicate. */
typedef struct udp_listener {
    di_listener head;
    di_connection *connection; /* NULL once it was handed out */
    di_text address;
    bool adopted;
} udp_listener;

static int udp_accept(di_listener *base, di_connection **ret_connection)
{
    udp_listener *listener = (udp_listener *)base;
    if (!listener->connection)
        return DI_BLOCKED;
    *ret_connection = listener->connection;
    listener->connection = NULL;
    if (!listener->adopted)
        base->descriptor = -1; /* the connection's, which may close it */
    return DI_MOVED;
}

static const char *udp_address(const di_listener *listener)
{
    return ((const udp_listener *)listener)->address.data;
}

static void udp_close_listener(di_listener *base)
{
    udp_listener *listener = (udp_listener *)base;
    if (listener->connection)
        listener->connection->ops->close(listener->connection);
    if (listener->adopted && base->descriptor >= 0)
        close(base->descriptor);
    di_text_free(&listener->address);
    free(listener);
}

static const di_listener_ops udp_listener_ops = {
    .connectionless = true,
    .accept = udp_accept,
    .address = udp_address,
    .close = udp_close_listener,
};

/* Whether it is the address that stands for all of the machine's. */
static bool is_anywhere(const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    return address->sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)
                                          : v4->sin_addr.s_addr == htonl(INADDR_ANY);
}

static int ask_for_destinations(int descriptor, bool six)
{
    int on = 1;
    return setsockopt(descriptor, six ? IPPROTO_IPV6 : IPPROTO_IP,
                      six ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on);
}

/* An IPv6 address takes no IPv4 datagrams: it means what it says. */
static int bind_one(const struct addrinfo *address, int *ret_descriptor, di_failure *failure)
{
    int on = 1;
    int descriptor = -1;
    bool six = address->ai_family == AF_INET6;
    int error = make_socket(address, &descriptor, failure);
    if (error < 0)
        return error;
    if (six)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if ((is_anywhere(address->ai_addr) && ask_for_destinations(descriptor, six) < 0) ||
        bind(descriptor, address->ai_addr, address->ai_addrlen) < 0) {
        error = di_fail_system(failure, errno, NULL);
        close(descriptor);
        return error;
    }
    *ret_descriptor = descriptor;
    return 0;
}

static int make_listener(int descriptor, bool anywhere, const di_place *place,
                         di_listener **ret_listener)
{
    udp_listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        close(descriptor);
        return DARI_NO_MEMORY;
    }
    listener->head = (di_listener){.ops = &udp_listener_ops, .descriptor = descriptor};
    di_place_format(&listener->address, "udp://", place, di_bound_port(descriptor));
    int error = di_udp_server_create(descriptor, anywhere, &listener->connection);
    if (error < 0 || listener->address.failed) {
        udp_close_listener(&listener->head);
        return DARI_NO_MEMORY;
    }
    *ret_listener = &listener->head;
    return 0;
}

static int udp_listen(const char *rest, di_listener **ret_listener, di_failure *failure)
{
    di_place place;
    struct addrinfo *addresses;
    int descriptor = -1;
    bool anywhere = false;
    int error = di_place_parse(rest, &place, failure);
    if (error == 0)
        error = di_resolve_address(place.host, *place.port ? place.port : "0",
                                   di_deadline_in(LISTEN_LOOKUP_NS), &addresses, failure);
    if (error < 0)
        return error;
    for (const struct addrinfo *at = addresses; at && descriptor < 0; at = at->ai_next) {
        *failure = (di_failure){0};
        error = bind_one(at, &descriptor, failure);
        anywhere = is_anywhere(at->ai_addr);
    }
    freeaddrinfo(addresses);
    return error < 0 ? error : make_listener(descriptor, anywhere, &place, ret_listener);
}

/* Checks that a socket is of UDP, and has an address and no peer of its own. */
static int check_given(int descriptor, di_failure *failure)
{
    di_socket_address peer;
    int protocol;
    socklen_t size = sizeof protocol;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0)
        return di_fail_system(failure, errno, NULL);
    if (protocol != IPPROTO_UDP)
        return di_fail(failure, DARI_INVALID, "it is no socket of UDP");
    size = sizeof peer;
    if (di_bound_port(descriptor) == 0)
        return di_fail(failure, DARI_INVALID, "the socket has no address");
    if (getpeername(descriptor, &peer.any, &size) == 0)
        return di_fail(failure, DARI_INVALID, "the socket has a peer of its own");
    return 0;
}

static int udp_adopt(int descriptor, int family, di_listener **ret_listener, di_failure *failure)
{
    di_place place;
    di_socket_address address;
    int error = di_place_of_socket(descriptor, family, &place, &address, failure);
    if (error == 0)
        error = check_given(descriptor, failure);
    if (error < 0)
        return error;
    bool anywhere = is_anywhere(&address.any);
    int own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return di_fail_system(failure, errno, NULL);
    if (anywhere && ask_for_destinations(own, family == AF_INET6) < 0) {
        error = di_fail_system(failure, errno, NULL);
        close(own);
        return error;
    }
    error = make_listener(own, anywhere, &place, ret_listener);
    if (error < 0)
        return error;
    (*ret_listener)->descriptor = descriptor;
    ((udp_listener *)*ret_listener)->adopted = true;
    return 0;
}

const di_transport di_udp_transport = {
    .prefix = "udp://",
    .port_type = SOCK_DGRAM,
    .connect = udp_connect,
    .listen = udp_listen,
    .adopt = udp_adopt,
};
