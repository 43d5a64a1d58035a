/* SPDX-License-Identifier: MIT */
/* A server that rpcgen's codecs and ntirpc make of interop.x. Takes "unix:/path",
 * "tcp://127.0.0.1:0" or "udp://127.0.0.1:0", prints where it listens, and serves without rpcbind.
 */
#include "interop.h"
#include "listen.h"
#include "service.h"

#include <rpc/svc_auth.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_SIZE (2u << 20)

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

static SVCXPRT *create(const char *address)
{
    bool datagrams;
    int descriptor = listen_at(address, &datagrams);
    SVCXPRT *transport =
        datagrams ? svc_dg_ncreatef(descriptor, DATAGRAM_SIZE, DATAGRAM_SIZE, SVC_CREATE_FLAG_CLOSE)
                  : svc_vc_ncreatef(descriptor, MESSAGE_SIZE, MESSAGE_SIZE,
                                    SVC_CREATE_FLAG_CLOSE | SVC_CREATE_FLAG_LISTEN);
    if (transport)
        transport->xp_dispatch.rendezvous_cb = datagrams ? arrived : connected;
    return transport;
}

int main(int argc, char **argv)
{
    if (argc != 2 || !begin_service(0))
        return 2;
    if (!create(argv[1])) {
        perror("ntirpc");
        return 1;
    }
    fflush(stdout);
    for (;;)
        pause();
}
