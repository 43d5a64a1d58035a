/* SPDX-License-Identifier: MIT */
#include "listen.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int bind_socket(int type, void *name, socklen_t *size)
{
    int descriptor = socket(((struct sockaddr *)name)->sa_family, type, 0);
    if (descriptor < 0 || bind(descriptor, name, *size) < 0 ||
        (type == SOCK_STREAM && listen(descriptor, 8) < 0) ||
        getsockname(descriptor, name, size) < 0) {
        perror("listen");
        exit(1);
    }
    return descriptor;
}

int listen_at(const char *address, bool *ret_datagrams)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t path_size = sizeof path, local_size = sizeof local;
    int descriptor;
    *ret_datagrams = strncmp(address, "udp:", 4) == 0;
    if (strncmp(address, "unix:", 5) == 0) {
        snprintf(path.sun_path, sizeof path.sun_path, "%s", address + 5);
        descriptor = bind_socket(SOCK_STREAM, &path, &path_size);
        printf("%s\n", address);
    } else {
        descriptor = bind_socket(*ret_datagrams ? SOCK_DGRAM : SOCK_STREAM, &local, &local_size);
        printf("%.3s://127.0.0.1:%d\n", address, ntohs(local.sin_port));
    }
    return descriptor;
}
