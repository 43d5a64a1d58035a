/* SPDX-License-Identifier: MIT */
/* A server that rpcgen and libtirpc make of interop.x. Takes "unix:/path", "tcp://127.0.0.1:0" or
 * "udp://127.0.0.1:0", prints where it listens, and serves without rpcbind. */
#include "interop.h"
#include "listen.h"

#include <rpc/svc.h>
#include <stdio.h>

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

int main(int argc, char **argv)
{
    bool datagrams;
    if (argc != 2)
        return 2;
    int descriptor = listen_at(argv[1], &datagrams);
    SVCXPRT *transport = datagrams ? svc_dg_create(descriptor, DATAGRAM_SIZE, DATAGRAM_SIZE)
                                   : svc_vc_create(descriptor, 0, 0);
    if (!transport || !svc_reg(transport, INTEROP, INTEROP_V1, interop_1, NULL)) {
        perror("svc_reg");
        return 1;
    }
    fflush(stdout);
    svc_run();
    return 1;
}
