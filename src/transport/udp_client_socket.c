/* SPDX-License-Identifier: MIT */
#include "transport/udp_client_socket.h"

#include "transport/failure.h"
#include "transport/patience.h"
#include "transport/tcp_options.h"
#include "transport/universal.h"

#include <dari/error.h>

#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* More datagrams than a socket has room for. */
#define DATAGRAMS_MAX 65536u

static bool has_family(const struct addrinfo *addresses, int family)
{
    for (const struct addrinfo *at = addresses; at; at = at->ai_next)
        if (at->ai_family == family)
            return true;
    return false;
}

static int make_socket(di_udp_client_socket *udp_socket, int family)
{
    int off = 0;
    udp_socket->family = family;
    udp_socket->descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (udp_socket->descriptor < 0)
        return DARI_ERRNO;
    if (family == AF_INET6)
        setsockopt(udp_socket->descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    return 0;
}

/* An IPv4 address as one of IPv6 (RFC 4291, section 2.5.5.2). */
static struct sockaddr_in6 mapped(const struct sockaddr_in *v4)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = v4->sin_port};
    v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&v6.sin6_addr.s6_addr[12], &v4->sin_addr, sizeof v4->sin_addr);
    return v6;
}

/* Returns 0, or -1 and errno. */
static int connect_to(const di_udp_client_socket *udp_socket, const struct addrinfo *to)
{
    if (to->ai_family == udp_socket->family)
        return connect(udp_socket->descriptor, to->ai_addr, to->ai_addrlen);
    if (to->ai_family != AF_INET) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    struct sockaddr_in6 v6 = mapped((const struct sockaddr_in *)(const void *)to->ai_addr);
    return connect(udp_socket->descriptor, (const struct sockaddr *)&v6, sizeof v6);
}

/* Without that the system would keep the address of this side that led to the last one. */
static void disconnect(const di_udp_client_socket *udp_socket)
{
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    connect(udp_socket->descriptor, &nowhere, sizeof nowhere);
}

/* Connects to the first of `from` up to `end` to which there is a way. Returns 0, or -1 and errno.
 */
static int connect_any(di_udp_client_socket *udp_socket, const struct addrinfo *from,
                       const struct addrinfo *end)
{
    for (const struct addrinfo *to = from; to != end; to = to->ai_next) {
        if (udp_socket->at)
            disconnect(udp_socket);
        udp_socket->at = to;
        if (connect_to(udp_socket, to) == 0)
            return 0;
    }
    return -1;
}

int di_udp_socket_open(di_udp_client_socket *udp_socket, struct addrinfo *addresses, bool reserved,
                       di_failure *failure)
{
    bool six = has_family(addresses, AF_INET6);
    *udp_socket = (di_udp_client_socket){.addresses = addresses};
    int error = make_socket(udp_socket, six ? AF_INET6 : AF_INET);
    if (error < 0 && errno == EAFNOSUPPORT && six && has_family(addresses, AF_INET))
        error = make_socket(udp_socket, AF_INET);
    if (error < 0)
        error = di_fail_system(failure, errno, NULL);
    else if (reserved)
        error = di_bind_reserved(udp_socket->descriptor, udp_socket->family, failure);
    if (error == 0 && connect_any(udp_socket, addresses, NULL) < 0)
        error = di_fail_system(failure, errno, NULL);
    if (error == 0 && addresses->ai_next)
        return 0;
    di_udp_socket_settle(udp_socket);
    if (error < 0 && udp_socket->descriptor >= 0)
        close(udp_socket->descriptor);
    return error;
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

bool di_udp_socket_make_patient(const di_udp_client_socket *udp_socket)
{
    return check_sums_first(udp_socket->descriptor) &&
           di_socket_make_patient(udp_socket->descriptor);
}

/* Drops what came from the last address, or, while the socket had none, from anywhere; refusals
 * too. */
static void drain(int descriptor)
{
    uint8_t byte;
    for (unsigned i = 0; i < DATAGRAMS_MAX; i++)
        if (recv(descriptor, &byte, 1, MSG_DONTWAIT) < 0 &&
            (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
}

int di_udp_socket_next(di_udp_client_socket *udp_socket)
{
    const struct addrinfo *last = udp_socket->at;
    if (!udp_socket->addresses)
        return 0;
    bool next = connect_any(udp_socket, last->ai_next, NULL) == 0;
    if (!next && connect_any(udp_socket, udp_socket->addresses, last->ai_next) < 0)
        return DARI_ERRNO;
    drain(udp_socket->descriptor);
    return next;
}

void di_udp_socket_settle(di_udp_client_socket *udp_socket)
{
    if (udp_socket->addresses)
        freeaddrinfo(udp_socket->addresses);
    udp_socket->addresses = NULL;
    udp_socket->at = NULL;
}
