/* SPDX-License-Identifier: MIT */
/* tcp://HOST:PORT. */
#include "transport/tcp.h"

#include "base/text.h"
#include "transport/failure.h"
#include "transport/place.h"
#include "transport/resolve.h"
#include "transport/stream.h"
#include "transport/tcp_options.h"
#include "transport/universal.h"

#include <dari/error.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long the name in an address to listen at may take to look up. */
#define LISTEN_LOOKUP_NS (UINT64_C(25) * 1000000000u)

typedef struct di_tcp_listener {
    di_listener head;
    di_text address;
} di_tcp_listener;

/* Waits until a connect in progress has come to its end. Returns 0, DARI_DEADLINE or errno. */
static int finish_connect(int descriptor, uint64_t deadline)
{
    struct pollfd poll_one = {.fd = descriptor, .events = POLLOUT};
    for (;;) {
        int ready = poll(&poll_one, 1, di_poll_timeout(deadline));
        if (ready == 0 && di_now() >= deadline)
            return DARI_DEADLINE;
        if (ready < 0 && errno != EINTR)
            return errno;
        if (ready > 0)
            break;
    }
    int cause = 0;
    socklen_t size = sizeof cause;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &cause, &size) < 0 ? errno : cause;
}

/* Whether the socket is connected to itself: so it may happen where nobody listens at a port from
 * which the system takes those of clients. */
static bool is_its_own_peer(int descriptor)
{
    struct sockaddr_storage own = {0}, peer = {0};
    socklen_t own_size = sizeof own, peer_size = sizeof peer;
    return getsockname(descriptor, (struct sockaddr *)&own, &own_size) == 0 &&
           getpeername(descriptor, (struct sockaddr *)&peer, &peer_size) == 0 &&
           own_size == peer_size && memcmp(&own, &peer, own_size) == 0;
}

static int connect_one(const struct addrinfo *address, uint64_t deadline,
                       const di_connect_options *options, int *ret_descriptor, di_failure *failure)
{
    int descriptor =
        socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (descriptor < 0)
        return di_fail_system(failure, errno, NULL);
    int error = di_tcp_set_options(descriptor, options, failure);
    if (error == 0 && options->reserved_port)
        error = di_bind_reserved(descriptor, address->ai_family, failure);
    if (error < 0) {
        close(descriptor);
        return error;
    }
    int cause = connect(descriptor, address->ai_addr, address->ai_addrlen) < 0 ? errno : 0;
    if (cause == EINPROGRESS || cause == EINTR)
        cause = finish_connect(descriptor, deadline);
    if (cause == 0 && is_its_own_peer(descriptor))
        cause = ECONNREFUSED;
    if (cause) {
        close(descriptor);
        return cause < 0 ? cause : di_fail_system(failure, cause, NULL);
    }
    *ret_descriptor = descriptor;
    return 0;
}

static void tcp_peer(int descriptor, di_peer *ret_peer)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getpeername(descriptor, (struct sockaddr *)&address, &size) == 0)
        di_place_peer("tcp://", (const struct sockaddr *)&address, ret_peer);
}

static int tcp_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                       di_connection **ret_connection, di_failure *failure)
{
    static const di_connect_options plain;
    struct addrinfo *addresses;
    int descriptor = -1;
    int error = di_resolve_place(rest, deadline, &addresses, failure);
    if (error < 0)
        return error;
    error = connect_one(addresses, deadline, options ? options : &plain, &descriptor, failure);
    freeaddrinfo(addresses);
    return error < 0 ? error : di_stream_create_patient(descriptor, tcp_peer, ret_connection);
}

/* Small messages go out at once: each is a call or a reply that somebody waits for. */
static int tcp_accept(di_listener *listener, di_connection **ret_connection)
{
    int descriptor;
    int result = di_stream_accept(listener->descriptor, &descriptor);
    if (result != DI_MOVED)
        return result;
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int error = di_stream_create(descriptor, tcp_peer, ret_connection);
    return error < 0 ? error : DI_MOVED;
}

static const char *tcp_address(const di_listener *listener)
{
    return ((const di_tcp_listener *)listener)->address.data;
}

/* What is accepted inherits it. */
static int tcp_keep_alive(di_listener *listener, uint64_t idle_ns, di_failure *failure)
{
    return di_tcp_set_keepalive(listener->descriptor, idle_ns, failure);
}

static void tcp_close_listener(di_listener *base)
{
    di_tcp_listener *listener = (di_tcp_listener *)base;
    if (listener->head.descriptor >= 0)
        close(listener->head.descriptor);
    di_text_free(&listener->address);
    free(listener);
}

static const di_listener_ops tcp_listener_ops = {
    .accept = tcp_accept,
    .address = tcp_address,
    .keep_alive = tcp_keep_alive,
    .close = tcp_close_listener,
};

/* Listens at one address. An IPv6 one takes no IPv4 connections: it means what it says. */
static int listen_one(const struct addrinfo *address, int *ret_descriptor, di_failure *failure)
{
    int on = 1;
    int descriptor =
        socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (descriptor < 0)
        return di_fail_system(failure, errno, NULL);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(descriptor, address->ai_addr, address->ai_addrlen) < 0 ||
        listen(descriptor, SOMAXCONN) < 0) {
        int cause = errno;
        close(descriptor);
        return di_fail_system(failure, cause, NULL);
    }
    *ret_descriptor = descriptor;
    return 0;
}

/* After an error the socket is the caller's still. */
static int make_listener(int descriptor, const di_place *place, di_listener **ret_listener)
{
    di_tcp_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return DARI_NO_MEMORY;
    listener->head = (di_listener){.ops = &tcp_listener_ops, .descriptor = descriptor};
    di_place_format(&listener->address, "tcp://", place, di_bound_port(descriptor));
    if (listener->address.failed) {
        listener->head.descriptor = -1;
        tcp_close_listener(&listener->head);
        return DARI_NO_MEMORY;
    }
    *ret_listener = &listener->head;
    return 0;
}

/* Where a name has several addresses, the first that can be listened at is taken. */
static int tcp_listen(const char *rest, di_listener **ret_listener, di_failure *failure)
{
    di_place place;
    struct addrinfo *addresses;
    int descriptor = -1;
    int error = di_place_parse(rest, &place, failure);
    if (error == 0)
        error = di_resolve_address(place.host, *place.port ? place.port : "0",
                                   di_deadline_in(LISTEN_LOOKUP_NS), &addresses, failure);
    if (error < 0)
        return error;
    for (const struct addrinfo *at = addresses; at && descriptor < 0; at = at->ai_next) {
        *failure = (di_failure){0};
        error = listen_one(at, &descriptor, failure);
    }
    freeaddrinfo(addresses);
    if (error < 0)
        return error;
    error = make_listener(descriptor, &place, ret_listener);
    if (error < 0)
        close(descriptor);
    return error;
}

static int tcp_adopt(int descriptor, int family, di_listener **ret_listener, di_failure *failure)
{
    di_place place;
    di_socket_address address;
    int error = di_place_of_socket(descriptor, family, &place, &address, failure);
    return error < 0 ? error : make_listener(descriptor, &place, ret_listener);
}

const di_transport di_tcp_transport = {
    .prefix = "tcp://",
    .port_type = SOCK_STREAM,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .adopt = tcp_adopt,
};
