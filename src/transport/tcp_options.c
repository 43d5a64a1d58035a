/* SPDX-License-Identifier: MIT */
#include "transport/tcp_options.h"

#include "transport/failure.h"
#include "transport/universal.h"

#include <dari/error.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/random.h>

/* A duration in whole units, rounded up, from 1 to `most`. */
static unsigned units(uint64_t duration, uint64_t unit, unsigned most)
{
    uint64_t count = duration / unit + (duration % unit != 0);
    if (count == 0)
        return 1;
    return count < most ? (unsigned)count : most;
}

static int set(int descriptor, int level, int name, unsigned value, di_failure *failure)
{
    if (setsockopt(descriptor, level, name, &value, sizeof value) < 0)
        return di_fail_system(failure, errno, "an option of the socket cannot be set");
    return 0;
}

int di_tcp_set_keepalive(int descriptor, uint64_t idle_ns, di_failure *failure)
{
    unsigned idle = units(idle_ns, 1000000000u, DI_KEEPALIVE_MAX_S);
    unsigned interval = units(idle, DI_KEEPALIVE_PROBES, DI_KEEPALIVE_MAX_S);
    int error = set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1, failure);
    if (error == 0)
        error = set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, idle, failure);
    if (error == 0)
        error = set(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, interval, failure);
    if (error == 0)
        error = set(descriptor, IPPROTO_TCP, TCP_KEEPCNT, DI_KEEPALIVE_PROBES, failure);
    return error;
}

int di_tcp_set_options(int descriptor, const di_connect_options *options, di_failure *failure)
{
    int error = 0;
    if (!options->delay)
        error = set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1, failure);
    if (error == 0 && options->keepalive_ns)
        error = di_tcp_set_keepalive(descriptor, options->keepalive_ns, failure);
    if (error == 0 && options->user_timeout_ns)
        error = set(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT,
                    units(options->user_timeout_ns, 1000000u, DI_USER_TIMEOUT_MAX_MS), failure);
    return error;
}

/* Where the search for a free port begins: anywhere, so that clients which start together do not
 * all try the same ones. */
static unsigned any_port(void)
{
    unsigned number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = (unsigned)di_now();
    return number % (DI_RESERVED_PORT_HIGHEST - DI_RESERVED_PORT_LOWEST + 1);
}

int di_bind_reserved(int descriptor, int family, di_failure *failure)
{
    const unsigned count = DI_RESERVED_PORT_HIGHEST - DI_RESERVED_PORT_LOWEST + 1;
    di_socket_address address = {.v6 = {0}};
    socklen_t size = family == AF_INET6 ? sizeof address.v6 : sizeof address.v4;
    unsigned first = any_port();
    for (unsigned tried = 0; tried < count; tried++) {
        in_port_t port = htons((uint16_t)(DI_RESERVED_PORT_HIGHEST - (first + tried) % count));
        address.any.sa_family = (sa_family_t)family;
        if (family == AF_INET6)
            address.v6.sin6_port = port;
        else
            address.v4.sin_port = port;
        if (bind(descriptor, &address.any, size) == 0)
            return 0;
        if (errno == EACCES)
            return di_fail_system(failure, errno, "this process may not use a reserved port");
        if (errno != EADDRINUSE)
            return di_fail_system(failure, errno, NULL);
    }
    return di_fail(failure, DARI_IN_USE, "all reserved ports, 512 to 1023, are taken");
}
