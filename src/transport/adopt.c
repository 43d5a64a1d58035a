/* SPDX-License-Identifier: MIT */
#include "transport/adopt.h"

#include "transport/failure.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

/* Checks that it is a socket that listens, or of datagrams, and says which. */
static int check(int descriptor, int *ret_family, int *ret_type, di_failure *failure)
{
    static const int names[] = {SO_DOMAIN, SO_TYPE, SO_ACCEPTCONN};
    int values[3];
    for (int i = 0; i < 3; i++) {
        socklen_t size = sizeof values[i];
        if (getsockopt(descriptor, SOL_SOCKET, names[i], &values[i], &size) < 0) {
            di_fail_system(failure, errno, "it is no socket");
            return DARI_INVALID;
        }
    }
    if (values[1] != SOCK_STREAM && values[1] != SOCK_DGRAM)
        return di_fail(failure, DARI_INVALID, "it is no socket of a stream or of datagrams");
    if (values[1] == SOCK_STREAM && !values[2])
        return di_fail(failure, DARI_INVALID, "the socket does not listen");
    *ret_family = values[0];
    *ret_type = values[1];
    return 0;
}

static bool has_type(const di_transport *transport, int type)
{
    return type == (transport->port_type ? transport->port_type : SOCK_STREAM);
}

static int set_flags(int descriptor, di_failure *failure)
{
    int status = fcntl(descriptor, F_GETFL);
    if (status < 0 || fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(descriptor, F_SETFL, status | O_NONBLOCK) < 0)
        return di_fail_system(failure, errno, NULL);
    return 0;
}

int di_adopt(int descriptor, di_listener **ret_listener, di_failure *failure)
{
    int family = AF_UNSPEC, type = 0;
    di_listener *listener = NULL;
    int error = check(descriptor, &family, &type, failure);
    if (error < 0)
        return error;
    error = DARI_SCHEME;
    for (const di_transport *const *at = di_transports; *at && error == DARI_SCHEME; at++)
        if ((*at)->adopt && has_type(*at, type))
            error = (*at)->adopt(descriptor, family, &listener, failure);
    if (error == DARI_SCHEME)
        return di_fail(failure, error, "no scheme has such sockets");
    if (error == 0)
        error = set_flags(descriptor, failure);
    if (error == 0)
        *ret_listener = listener;
    else if (listener)
        di_unadopt(listener);
    return error;
}

void di_unadopt(di_listener *listener)
{
    listener->descriptor = -1;
    listener->ops->close(listener);
}
