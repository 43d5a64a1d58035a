/* SPDX-License-Identifier: MIT */
#include "transport/udp_connection.h"

#include "base/buffer.h"
#include "transport/patience.h"
#include "transport/place.h"

#include <dari/error.h>

#include <errno.h>
#include <linux/filter.h>
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

/* Receives a datagram; `waits` for one to come. */
static int receive(udp_connection *udp, bool waits)
{
    uint8_t *room;
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
            return DI_MOVED;
        }
        bool passes = errno == EINTR || (!udp->serves && may_pass(errno));
        if (passes && !waits)
            continue;
        /* A socket that serves many is not lost by what one of them met. */
        if (passes || errno == EAGAIN || errno == EWOULDBLOCK || udp->serves)
            return DI_BLOCKED;
        return errno == ECONNREFUSED ? DARI_REFUSED : DARI_ERRNO;
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

/* On failure (DARI_NO_MEMORY) the descriptor is closed. */
static int make_connection(int descriptor, bool serves, udp_connection **ret_udp)
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
    *ret_udp = udp;
    return 0;
}

/* Has the kernel look at checksums before datagrams are there to be received, as it does for a
 * filter. It would find a wrong one when it is received, and begin the time of a receive that waits
 * anew: as often as somebody sends one. */
static bool check_sums_first(int descriptor)
{
    struct sock_filter takes_all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
    const struct sock_fprog program = {.len = 1, .filter = &takes_all};
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

int di_udp_client_create(int descriptor, di_connection **ret_connection)
{
    udp_connection *udp;
    bool patient = check_sums_first(descriptor) && di_socket_make_patient(descriptor);
    int error = make_connection(descriptor, false, &udp);
    if (error < 0)
        return error;
    udp->head.patient = patient;
    *ret_connection = &udp->head;
    return 0;
}

int di_udp_server_create(int descriptor, bool anywhere, di_connection **ret_connection)
{
    udp_connection *udp;
    int error = make_connection(descriptor, true, &udp);
    if (error < 0)
        return error;
    udp->anywhere = anywhere;
    *ret_connection = &udp->head;
    return 0;
}
