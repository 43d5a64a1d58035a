/* SPDX-License-Identifier: MIT */
/* A server that rpcgen and libtirpc make of interop.x. Takes "unix:/path", "tcp://127.0.0.1:0" or
 * "udp://127.0.0.1:0", prints where it listens, and serves without rpcbind. */
#include "interop.h"

#include <netinet/in.h>
#include <rpc/svc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DATAGRAM_SIZE 65000u /* without it, less than a result may take */

void interop_1(struct svc_req *request, SVCXPRT *transport); /* rpcgen's dispatch */

int *add_1_svc(operands *arg, struct svc_req *request)
{
    static int sum;
    (void)request;
    sum = arg->a + arg->b;
    return &sum;
}

everything *reflect_1_svc(everything *arg, struct svc_req *request)
{
    (void)request;
    return arg;
}

blob *reflect_blob_1_svc(blob *arg, struct svc_req *request)
{
    (void)request;
    return arg;
}

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&name, sizeof(name)) < 0 ||
        listen(descriptor, 8) < 0)
        exit(fail(path));
    printf("unix:%s\n", path);
    return descriptor;
}

/* "tcp" or "udp" */
static int bind_network(const char *scheme, int type)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(name);
    int descriptor = socket(AF_INET, type, 0);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&name, sizeof(name)) < 0 ||
        (type == SOCK_STREAM && listen(descriptor, 8) < 0) ||
        getsockname(descriptor, (struct sockaddr *)&name, &size) < 0)
        exit(fail(scheme));
    printf("%s://127.0.0.1:%d\n", scheme, ntohs(name.sin_port));
    return descriptor;
}

static SVCXPRT *create(const char *address)
{
    if (strncmp(address, "udp:", 4) == 0)
        return svc_dg_create(bind_network("udp", SOCK_DGRAM), DATAGRAM_SIZE, DATAGRAM_SIZE);
    bool over_unix = strncmp(address, "unix:", 5) == 0;
    return svc_vc_create(over_unix ? listen_unix(address + 5) : bind_network("tcp", SOCK_STREAM), 0,
                         0);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    SVCXPRT *transport = create(argv[1]);
    if (!transport || !svc_reg(transport, INTEROP, INTEROP_V1, interop_1, NULL))
        return fail("svc_reg");
    fflush(stdout);
    svc_run();
    return 1;
}
