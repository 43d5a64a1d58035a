/* SPDX-License-Identifier: MIT */
/* A server that rpcgen's codecs and ntirpc make of interop.x. Takes "unix:/path",
 * "tcp://127.0.0.1:0" or "udp://127.0.0.1:0", prints where it listens, and serves without rpcbind.
 */
#include "interop.h"

#include <netinet/in.h>
#include <rpc/svc_auth.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_SIZE (2u << 20)
#define DATAGRAM_SIZE 65000u

typedef union arguments {
    operands add;
    everything reflect;
    blob reflect_blob;
} arguments;

/* Calls the procedure, and replies. */
static enum xprt_stat answer(struct svc_req *request, xdrproc_t decode, arguments *argument,
                             xdrproc_t encode, void *result)
{
    request->rq_msg.rm_xdr.proc = decode;
    request->rq_msg.rm_xdr.where = argument;
    if (!SVCAUTH_CHECKSUM(request))
        return svcerr_decode(request);
    int sum = 0;
    if (request->rq_msg.cb_proc == ADD) {
        sum = argument->add.a + argument->add.b;
        result = &sum;
    }
    request->rq_msg.RPCM_ack.ar_results.proc = encode;
    request->rq_msg.RPCM_ack.ar_results.where = result;
    enum xprt_stat status = svc_sendreply(request);
    request->rq_msg.rm_xdr.where = NULL;
    xdr_free(decode, argument);
    return status;
}

static enum xprt_stat process(struct svc_req *request)
{
    bool no_dispatch = false;
    arguments argument;
    memset(&argument, 0, sizeof argument);
    enum auth_stat auth = svc_auth_authenticate(request, &no_dispatch);
    if (auth != AUTH_OK)
        return svcerr_auth(request, auth);
    if (request->rq_msg.cb_prog != INTEROP)
        return svcerr_noprog(request);
    if (request->rq_msg.cb_vers != INTEROP_V1)
        return svcerr_progvers(request, INTEROP_V1, INTEROP_V1);
    switch (request->rq_msg.cb_proc) {
    case NULLPROC:
        return answer(request, (xdrproc_t)xdr_void, &argument, (xdrproc_t)xdr_void, NULL);
    case ADD:
        return answer(request, (xdrproc_t)xdr_operands, &argument, (xdrproc_t)xdr_int, NULL);
    case REFLECT:
        return answer(request, (xdrproc_t)xdr_everything, &argument, (xdrproc_t)xdr_everything,
                      &argument);
    case REFLECT_BLOB:
        return answer(request, (xdrproc_t)xdr_blob, &argument, (xdrproc_t)xdr_blob, &argument);
    default:
        return svcerr_noproc(request);
    }
}

static enum xprt_stat connected(SVCXPRT *transport)
{
    transport->xp_dispatch.process_cb = process;
    return SVC_STAT(transport->xp_parent);
}

static enum xprt_stat arrived(SVCXPRT *transport)
{
    transport->xp_dispatch.process_cb = process;
    return SVC_RECV(transport);
}

static struct svc_req *make_request(SVCXPRT *transport, XDR *xdr)
{
    struct svc_req *request = calloc(1, sizeof *request);
    if (!request)
        abort();
    SVC_REF(transport, SVC_REF_FLAG_NONE);
    request->rq_xprt = transport;
    request->rq_xdrs = xdr;
    request->rq_refcnt = 1;
    return request;
}

static void free_request(struct svc_req *request, enum xprt_stat status)
{
    (void)status;
    if (request->rq_auth)
        SVCAUTH_RELEASE(request);
    SVC_RELEASE(request->rq_xprt, SVC_RELEASE_FLAG_NONE);
    free(request);
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
    SVCXPRT *transport;
    if (strncmp(address, "udp:", 4) == 0) {
        transport = svc_dg_ncreatef(bind_network("udp", SOCK_DGRAM), DATAGRAM_SIZE, DATAGRAM_SIZE,
                                    SVC_CREATE_FLAG_CLOSE);
        if (transport)
            transport->xp_dispatch.rendezvous_cb = arrived;
        return transport;
    }
    bool over_unix = strncmp(address, "unix:", 5) == 0;
    int descriptor = over_unix ? listen_unix(address + 5) : bind_network("tcp", SOCK_STREAM);
    transport = svc_vc_ncreatef(descriptor, MESSAGE_SIZE, MESSAGE_SIZE,
                                SVC_CREATE_FLAG_CLOSE | SVC_CREATE_FLAG_LISTEN);
    if (transport)
        transport->xp_dispatch.rendezvous_cb = connected;
    return transport;
}

int main(int argc, char **argv)
{
    svc_init_params options = {.alloc_cb = make_request,
                               .free_cb = free_request,
                               .flags = SVC_INIT_EPOLL,
                               .max_connections = 64,
                               .max_events = 16,
                               .ioq_thrd_max = 4};
    if (argc != 2 || !svc_init(&options))
        return 2;
    if (!create(argv[1]))
        return fail("ntirpc");
    fflush(stdout);
    for (;;)
        pause();
}
