/* SPDX-License-Identifier: MIT */
#include "service.h"

#include <rpc/svc_auth.h>
#include <stdlib.h>

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

bool begin_service(uint32_t flags)
{
    svc_init_params options = {.alloc_cb = make_request,
                               .free_cb = free_request,
                               .flags = SVC_INIT_EPOLL | flags,
                               .max_connections = 64,
                               .max_events = 16,
                               .ioq_thrd_max = 4};
    return svc_init(&options);
}
