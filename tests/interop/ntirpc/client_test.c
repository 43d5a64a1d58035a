/* SPDX-License-Identifier: MIT */
/* Clients of ntirpc against a server made by dari. */
#include "rpcgen_client.h"
#include "service.h"

#include <semaphore.h>
#include <stdlib.h>

#define MESSAGE_SIZE (2u << 20)

static struct {
    sem_t answered;
    struct rpc_err error;
} last;

static CLIENT *make_client(int descriptor, struct netbuf *address, bool datagrams,
                           rpcvers_t version)
{
    CLIENT *client = datagrams
                         ? clnt_dg_ncreatef(descriptor, address, INTEROP, version, DATAGRAM_SIZE,
                                            DATAGRAM_SIZE, CLNT_CREATE_FLAG_CLOSE)
                         : clnt_vc_ncreatef(descriptor, address, INTEROP, version, MESSAGE_SIZE,
                                            MESSAGE_SIZE, CLNT_CREATE_FLAG_CLOSE);
    return CLNT_SUCCESS(client) ? client : NULL;
}

/* Of the thread that receives. */
static void answered(struct clnt_req *request)
{
    last.error = request->cc_error;
    sem_post(&last.answered);
}

/* Not by CLNT_CALL_WAIT: where the reply is faster than its caller, that writes RPC_SUCCESS over
 * the reply's error. */
static enum clnt_stat call(CLIENT *client, rpcproc_t procedure, xdrproc_t encode, void *argument,
                           xdrproc_t decode, void *result, struct rpc_err *ret_error)
{
    struct clnt_req *request = calloc(1, sizeof *request);
    if (!request)
        abort();
    clnt_req_fill(request, client, authnone_ncreate(), procedure, encode, argument, decode, result);
    enum clnt_stat status = clnt_req_setup(request, (struct timespec){PATIENCE_S, 0});
    request->cc_process_cb = answered;
    if (status == RPC_SUCCESS)
        status = CLNT_CALL_BACK(request);
    if (status == RPC_SUCCESS) {
        sem_wait(&last.answered);
        *ret_error = last.error;
        status = last.error.re_status;
    }
    clnt_req_release(request);
    return status;
}

int main(void)
{
    const rpcgen_library library = {.make_client = make_client,
                                    .call = call,
                                    .nothing = (xdrproc_t)xdr_void,
                                    .two_and_a_half = "\0\0\0\2", /* it is sent as a whole number */
                                    .large_datagram = 8001 /* more comes from the wrong place */};
    if (!begin_service(SVC_INIT_NOREG_XPRTS) || sem_init(&last.answered, 0, 0) < 0)
        return 2;
    return test_rpcgen_clients(&library);
}
