/* SPDX-License-Identifier: MIT */
/* Blocking sockets at a place. */
#include "rpc_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

socklen_t rpc_socket_address(const rpc_place *place, struct sockaddr_storage *ret_address)
{
    if (place->scheme == RPC_UNIX) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", place->path);
        memcpy(ret_address, &address, sizeof address);
        return sizeof address;
    }
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(place->port)};
    memcpy(ret_address, &address, sizeof address);
    return sizeof address;
}

static int make(const rpc_place *place)
{
    return socket(place->scheme == RPC_UNIX ? AF_UNIX : AF_INET,
                  (place->scheme == RPC_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
}

static bool bind_and_listen(rpc_place *place, int descriptor)
{
    struct sockaddr_storage address;
    socklen_t size = rpc_socket_address(place, &address);
    if (bind(descriptor, (struct sockaddr *)&address, size) < 0)
        return false;
    if (place->scheme != RPC_UDP && listen(descriptor, SOMAXCONN) < 0)
        return false;
    if (place->scheme == RPC_UNIX)
        return true;
    struct sockaddr_in chosen;
    size = sizeof chosen;
    if (getsockname(descriptor, (struct sockaddr *)&chosen, &size) < 0)
        return false;
    place->port = ntohs(chosen.sin_port);
    return true;
}

int rpc_socket_listen(rpc_place *place)
{
    int descriptor = make(place);
    if (descriptor < 0 || bind_and_listen(place, descriptor))
        return descriptor;
    close(descriptor);
    return -1;
}

int rpc_socket_connect(const rpc_place *place)
{
    struct sockaddr_storage address;
    socklen_t size = rpc_socket_address(place, &address);
    int descriptor = make(place);
    if (descriptor < 0)
        return -1;
    if (connect(descriptor, (struct sockaddr *)&address, size) < 0) {
        close(descriptor);
        return -1;
    }
    rpc_socket_prepare(place, descriptor);
    return descriptor;
}

void rpc_socket_prepare(const rpc_place *place, int descriptor)
{
    if (place->scheme == RPC_TCP)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}
