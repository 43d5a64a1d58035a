/* SPDX-License-Identifier: MIT */
/* A client's socket is connected: the kernel drops what others send to it, and tells where nobody
 * listens. A server's one serves all callers; each message comes with its route, by which the
 * answer goes back from the very address that was asked: the kernel sees to that where the socket
 * has one address, and is told it where it has them all.
 *
 * Names with several addresses: the first that the machine has a way to is taken, since no datagram
 * tells whether somebody is there; where a refusal says that nobody is, the next one, as long as
 * nothing has come from any. */
#include "transport/udp.h"

#include "base/buffer.h"
#include "base/text.h"
#include "transport/failure.h"
#include "transport/place.h"
#include "transport/resolve.h"
#include "transport/udp_client_socket.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for any datagram. */
#define RECEIVE_ROOM ((size_t)65536)
/* What the kernel is asked to keep of what arrives. */
#define RECEIVE_BUFFER (1 << 20)
/* How often a datagram is given to the kernel that tells of the refusal of another one instead. */
#define REFUSALS_MAX 8u
/* How long the name in an address to listen at may take to look up. */
#define LISTEN_LOOKUP_NS (UINT64_C(25) * 1000000000u)

/* The other side's address, and the one of ours that it used, if we have several. */
typedef struct udp_route {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
    union {
        struct in_addr v4;
        struct in6_pktinfo v6;
    } here;
} udp_route;

_Static_assert(sizeof(udp_route) <= sizeof(di_route), "a route has room for ours");

/* A datagram that waits to be sent; its bytes follow. */
typedef struct queued {
    size_t size;
    udp_route route;
} queued;

/* The bytes of a queued datagram in the buffer: what follows it is aligned. */
#define QUEUED_SIZE(size) (sizeof(queued) + (((size) + 7) & ~(size_t)7))

typedef struct udp_connection {
    di_connection head;
    bool serves;    /* not connected: messages have routes */
    bool anywhere;  /* it has all addresses of the machine */
    udp_route from; /* of the message that is shown */
    udp_route to;   /* of the message that is committed next */
    size_t unsent;  /* bytes of the messages that wait */
    di_buffer out;
    di_buffer in;
    di_udp_client_socket client; /* zeroed where it serves */
} udp_connection;

static int udp_reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    udp_connection *udp = (udp_connection *)connection;
    uint8_t *room;
    int error = di_buffer_reserve(&udp->out, QUEUED_SIZE(size), &room);
    if (error < 0)
        return error;
    *ret_room = room + sizeof(queued);
    return 0;
}

static void udp_commit(di_connection *connection, size_t size)
{
    udp_connection *udp = (udp_connection *)connection;
    if (size == 0)
        return;
    queued *head = (queued *)(void *)(udp->out.data + udp->out.end);
    head->size = size;
    head->route = udp->to;
    udp->unsent += size;
    di_buffer_commit(&udp->out, QUEUED_SIZE(size));
}

static size_t udp_unsent(const di_connection *connection)
{
    return ((const udp_connection *)connection)->unsent;
}

static void udp_withdraw(di_connection *connection, size_t size)
{
    udp_connection *udp = (udp_connection *)connection;
    size_t all, kept = 0;
    const uint8_t *bytes = di_buffer_peek(&udp->out, &all);
    udp->unsent -= size;
    for (size_t left = udp->unsent; left > 0;) {
        const queued *head = (const queued *)(const void *)(bytes + kept);
        left -= head->size;
        kept += QUEUED_SIZE(head->size);
    }
    di_buffer_withdraw(&udp->out, all - kept);
}

typedef union control {
    struct cmsghdr head;
    uint8_t v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
    uint8_t v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
} control;

/* Adds one item to the control data of a message. */
static void put_control(struct msghdr *message, int level, int type, const void *data, size_t size)
{
    struct cmsghdr *item = (struct cmsghdr *)message->msg_control;
    message->msg_controllen = CMSG_SPACE(size);
    *item = (struct cmsghdr){.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
    memcpy(CMSG_DATA(item), data, size);
}

static ssize_t send_from_anywhere(const udp_connection *udp, const uint8_t *bytes, size_t size,
                                  udp_route *route, socklen_t peer_size)
{
    control room;
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {.msg_name = &route->peer,
                             .msg_namelen = peer_size,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &room};
    memset(&room, 0, sizeof room);
    if (route->peer.any.sa_family == AF_INET6)
        put_control(&message, IPPROTO_IPV6, IPV6_PKTINFO, &route->here.v6, sizeof route->here.v6);
    else
        put_control(&message, IPPROTO_IP, IP_PKTINFO,
                    &(struct in_pktinfo){.ipi_spec_dst = route->here.v4},
                    sizeof(struct in_pktinfo));
    return sendmsg(di_connection_descriptor(&udp->head), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t send_by_route(const udp_connection *udp, const uint8_t *bytes, size_t size,
                             udp_route *route)
{
    bool six = route->peer.any.sa_family == AF_INET6;
    socklen_t peer_size = six ? sizeof route->peer.v6 : sizeof route->peer.v4;
    if (udp->anywhere)
        return send_from_anywhere(udp, bytes, size, route, peer_size);
    return sendto(di_connection_descriptor(&udp->head), bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT,
                  &route->peer.any, peer_size);
}

/* Whether a failure is the network's, which may be another in a moment. */
static bool may_pass(int cause)
{
    return cause == ENOBUFS || cause == EPERM || cause == ENETDOWN || cause == ENETUNREACH ||
           cause == EHOSTDOWN || cause == EHOSTUNREACH;
}

/* Sends the datagram. Returns DI_MOVED, or DI_BLOCKED, or an error. What the network does not take
 * at present is lost, as it might be on its way, and so is what is sent while nothing but refusals
 * of earlier ones comes in. */
static int send_one(udp_connection *udp, queued *datagram)
{
    const uint8_t *bytes = (const uint8_t *)(datagram + 1);
    for (unsigned refusals = 0;;) {
        ssize_t sent = udp->serves ? send_by_route(udp, bytes, datagram->size, &datagram->route)
                                   : send(di_connection_descriptor(&udp->head), bytes,
                                          datagram->size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            return DI_MOVED;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return DI_BLOCKED;
        if (errno == EINTR)
            continue;
        if (udp->serves || may_pass(errno))
            return DI_MOVED;
        /* What an earlier datagram met is told once, and this one was not sent. */
        if (errno != ECONNREFUSED)
            return DARI_ERRNO;
        if (++refusals == REFUSALS_MAX)
            return DI_MOVED;
    }
}

static int udp_flush(di_connection *connection)
{
    udp_connection *udp = (udp_connection *)connection;
    for (;;) {
        size_t size;
        uint8_t *bytes = di_buffer_peek(&udp->out, &size);
        if (size == 0)
            return DI_MOVED;
        queued *head = (queued *)(void *)bytes;
        int result = send_one(udp, head);
        if (result != DI_MOVED)
            return result;
        udp->unsent -= head->size;
        di_buffer_consume(&udp->out, QUEUED_SIZE(head->size));
    }
}

/* Takes the address of ours that a datagram was sent to out of its control data. */
static void take_control(struct msghdr *message, udp_route *route)
{
    for (struct cmsghdr *item = CMSG_FIRSTHDR(message); item; item = CMSG_NXTHDR(message, item)) {
        if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(item), sizeof info);
            route->here.v4 = info.ipi_spec_dst;
        } else if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO) {
            memcpy(&route->here.v6, CMSG_DATA(item), sizeof route->here.v6);
            /* The interface matters where the address means nothing without it. */
            if (!IN6_IS_ADDR_LINKLOCAL(&route->here.v6.ipi6_addr))
                route->here.v6.ipi6_ifindex = 0;
        }
    }
}

static ssize_t receive_anywhere(udp_connection *udp, uint8_t *room)
{
    control control_room;
    struct iovec part = {.iov_base = room, .iov_len = RECEIVE_ROOM};
    struct msghdr message = {.msg_name = &udp->from.peer,
                             .msg_namelen = sizeof udp->from.peer,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control_room,
                             .msg_controllen = sizeof control_room};
    ssize_t got = recvmsg(di_connection_descriptor(&udp->head), &message, MSG_DONTWAIT);
    if (got >= 0)
        take_control(&message, &udp->from);
    return got;
}

static ssize_t receive_with_route(udp_connection *udp, uint8_t *room)
{
    socklen_t peer_size = sizeof udp->from.peer;
    memset(&udp->from, 0, sizeof udp->from);
    ssize_t got = udp->anywhere ? receive_anywhere(udp, room)
                                : recvfrom(di_connection_descriptor(&udp->head), room, RECEIVE_ROOM,
                                           MSG_DONTWAIT, &udp->from.peer.any, &peer_size);
    if (got >= 0 && udp->from.peer.any.sa_family == AF_INET6)
        udp->from.peer.v6.sin6_flowinfo = 0;
    return got;
}

/* Receives a datagram; `waits` for one to come. What was in the socket is received before a refusal
 * is told: so what was refused is known to come from where nothing has come from. */
static int receive(udp_connection *udp, bool waits)
{
    uint8_t *room;
    bool refused = false;
    if (di_buffer_size(&udp->in) > 0)
        return DI_BLOCKED;
    int error = di_buffer_reserve(&udp->in, RECEIVE_ROOM, &room);
    if (error < 0)
        return error;
    for (;;) {
        ssize_t got = udp->serves ? receive_with_route(udp, room)
                                  : recv(di_connection_descriptor(&udp->head), room, RECEIVE_ROOM,
                                         waits ? 0 : MSG_DONTWAIT);
        if (got >= 0) {
            di_buffer_commit(&udp->in, (size_t)got);
            if (udp->client.addresses)
                di_udp_socket_settle(&udp->client);
            return DI_MOVED;
        }
        bool passes = errno == EINTR || (!udp->serves && may_pass(errno));
        if (passes && !waits)
            continue;
        /* A socket that serves many is not lost by what one of them met. */
        if (passes || errno == EAGAIN || errno == EWOULDBLOCK || udp->serves)
            return refused ? DARI_REFUSED : DI_BLOCKED;
        if (errno != ECONNREFUSED)
            return DARI_ERRNO;
        if (!udp->client.addresses)
            return DARI_REFUSED;
        refused = true;
        waits = false;
    }
}

static int udp_receive(di_connection *connection, size_t want)
{
    (void)want;
    return receive((udp_connection *)connection, false);
}

static int udp_receive_patiently(di_connection *connection, size_t want)
{
    (void)want;
    return receive((udp_connection *)connection, true);
}

static int udp_next_address(di_connection *connection)
{
    return di_udp_socket_next(&((udp_connection *)connection)->client);
}

static uint8_t *udp_peek(const di_connection *connection, size_t *ret_size)
{
    return di_buffer_peek(&((const udp_connection *)connection)->in, ret_size);
}

static void udp_consume(di_connection *connection, size_t size)
{
    di_buffer_consume(&((udp_connection *)connection)->in, size);
}

static void udp_sender(const di_connection *connection, di_route *ret_route)
{
    memset(ret_route, 0, sizeof *ret_route);
    memcpy(ret_route, &((const udp_connection *)connection)->from, sizeof(udp_route));
}

static void udp_direct(di_connection *connection, const di_route *route)
{
    memcpy(&((udp_connection *)connection)->to, route, sizeof(udp_route));
}

static void udp_route_peer(const di_route *route, di_peer *ret_peer)
{
    udp_route from;
    memcpy(&from, route, sizeof from);
    di_place_peer("udp://", &from.peer.any, ret_peer);
}

static void udp_use_pool(di_connection *connection, di_pool *pool, bool keeps)
{
    di_buffer_set_pool(&((udp_connection *)connection)->out, pool, keeps);
}

static void udp_shut(di_connection *connection)
{
    shutdown(di_connection_descriptor(connection), SHUT_RDWR);
}

static void udp_close(di_connection *connection)
{
    udp_connection *udp = (udp_connection *)connection;
    close(di_connection_descriptor(connection));
    di_buffer_free(&udp->out);
    di_buffer_free(&udp->in);
    di_udp_socket_settle(&udp->client);
    free(udp);
}

static const di_connection_ops udp_ops = {
    .keeps_boundaries = true,
    .message_max = DI_DATAGRAM_MAX,
    .loses_messages = true,
    .reserve = udp_reserve,
    .commit = udp_commit,
    .flush = udp_flush,
    .unsent = udp_unsent,
    .withdraw = udp_withdraw,
    .receive = udp_receive,
    .receive_patiently = udp_receive_patiently,
    .next_address = udp_next_address,
    .peek = udp_peek,
    .consume = udp_consume,
    .sender = udp_sender,
    .direct = udp_direct,
    .route_peer = udp_route_peer,
    .use_pool = udp_use_pool,
    .shut = udp_shut,
    .close = udp_close,
};

/* Asks for room for what arrives while nobody receives: many calls in flight have answers of 64 KiB
 * each. The system gives what it allows. */
static void widen(int descriptor)
{
    int size = RECEIVE_BUFFER;
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static int make_connection(int descriptor, bool serves, di_connection **ret_connection)
{
    udp_connection *udp = calloc(1, sizeof *udp);
    if (!udp) {
        close(descriptor);
        return DARI_NO_MEMORY;
    }
    widen(descriptor);
    udp->head = di_connection_of(&udp_ops, descriptor);
    udp->serves = serves;
    di_buffer_init(&udp->out, SIZE_MAX / 4);
    di_buffer_init(&udp->in, RECEIVE_ROOM);
    uint8_t *room;
    /* What serves many must not lose its memory to one of them, nor wait for some. */
    if (serves && di_buffer_reserve(&udp->in, RECEIVE_ROOM, &room) < 0) {
        udp_close(&udp->head);
        return DARI_NO_MEMORY;
    }
    *ret_connection = &udp->head;
    return 0;
}

static int make_socket(const struct addrinfo *address, int *ret_descriptor, di_failure *failure)
{
    int descriptor =
        socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (descriptor < 0)
        return di_fail_system(failure, errno, NULL);
    *ret_descriptor = descriptor;
    return 0;
}

static int udp_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                       di_connection **ret_connection, di_failure *failure)
{
    di_place place;
    struct addrinfo *addresses;
    di_udp_client_socket client;
    int error = di_place_parse(rest, &place, failure);
    if (error == 0 && !*place.port)
        return di_fail(failure, DARI_ADDRESS, "the port is missing");
    if (error == 0)
        error = di_resolve_address(place.host, place.port, deadline, &addresses, failure);
    if (error == 0)
        error = di_udp_socket_open(&client, addresses, options && options->reserved_port, failure);
    if (error < 0)
        return error;
    bool patient = di_udp_socket_make_patient(&client);
    error = make_connection(client.descriptor, false, ret_connection);
    if (error < 0) {
        di_udp_socket_settle(&client);
        return error;
    }
    (*ret_connection)->patient = patient;
    ((udp_connection *)*ret_connection)->client = client;
    return error;
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
        udp_close(listener->connection);
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
    int error = make_connection(descriptor, true, &listener->connection);
    if (error < 0 || listener->address.failed) {
        udp_close_listener(&listener->head);
        return DARI_NO_MEMORY;
    }
    ((udp_connection *)listener->connection)->anywhere = anywhere;
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
