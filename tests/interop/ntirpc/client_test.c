/* SPDX-License-Identifier: MIT */
/* Clients made of rpcgen's codecs and ntirpc against a server made by dari. */
#include "interop.h"
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#define MESSAGE_SIZE (2u << 20)
#define DATAGRAM_SIZE 65000u

static struct {
    peer server;
    char path[64]; /* "" where there is none */
    CLIENT *client;
    sem_t answered;
    struct rpc_err error; /* of the last call */
} with;

static socklen_t read_address(struct sockaddr_storage *ret_name)
{
    unsigned port;
    memset(ret_name, 0, sizeof *ret_name);
    if (sscanf(with.server.address, "%*[a-z]://127.0.0.1:%u", &port) == 1) {
        struct sockaddr_in *name = (struct sockaddr_in *)ret_name;
        name->sin_family = AF_INET;
        name->sin_port = htons((uint16_t)port);
        name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof *name;
    }
    struct sockaddr_un *name = (struct sockaddr_un *)ret_name;
    name->sun_family = AF_UNIX;
    snprintf(name->sun_path, sizeof name->sun_path, "%s", with.path);
    return sizeof *name;
}

/* Connects to the server for any version, without rpcbind. */
static CLIENT *connect_version(rpcvers_t version)
{
    struct sockaddr_storage name;
    struct netbuf address = {.buf = &name, .len = read_address(&name), .maxlen = sizeof name};
    bool datagrams = strncmp(with.server.address, "udp:", 4) == 0;
    int descriptor = socket(name.ss_family, datagrams ? SOCK_DGRAM : SOCK_STREAM, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&name, address.len), 0);
    CLIENT *client = datagrams
                         ? clnt_dg_ncreatef(descriptor, &address, INTEROP, version, DATAGRAM_SIZE,
                                            DATAGRAM_SIZE, CLNT_CREATE_FLAG_CLOSE)
                         : clnt_vc_ncreatef(descriptor, &address, INTEROP, version, MESSAGE_SIZE,
                                            MESSAGE_SIZE, CLNT_CREATE_FLAG_CLOSE);
    assert_true(CLNT_SUCCESS(client));
    return client;
}

static int set_up(const char *address)
{
    peer_start(&with.server, getenv("INTEROP_DARI_SERVER"), address);
    with.client = connect_version(INTEROP_V1);
    return 0;
}

static int set_up_unix(void **state)
{
    (void)state;
    char address[80];
    peer_make_path(with.path);
    snprintf(address, sizeof(address), "unix:%s", with.path);
    return set_up(address);
}

static int set_up_tcp(void **state)
{
    (void)state;
    with.path[0] = '\0';
    return set_up("tcp://127.0.0.1:0");
}

static int set_up_udp(void **state)
{
    (void)state;
    with.path[0] = '\0';
    return set_up("udp://127.0.0.1:0");
}

static int tear_down(void **state)
{
    (void)state;
    CLNT_DESTROY(with.client);
    peer_stop(&with.server);
    if (with.path[0])
        peer_remove_path(with.path);
    return 0;
}

/* Of the thread that receives. */
static void answered(struct clnt_req *request)
{
    with.error = request->cc_error;
    sem_post(&with.answered);
}

/* Not by CLNT_CALL_WAIT: where the reply is faster than its caller, that writes RPC_SUCCESS over
 * the reply's error. */
static enum clnt_stat call(CLIENT *client, rpcproc_t procedure, xdrproc_t encode, void *argument,
                           xdrproc_t decode, void *result)
{
    struct clnt_req *request = calloc(1, sizeof *request);
    assert_non_null(request);
    clnt_req_fill(request, client, authnone_ncreate(), procedure, encode, argument, decode, result);
    enum clnt_stat status = clnt_req_setup(request, (struct timespec){20, 0});
    request->cc_process_cb = answered;
    if (status == RPC_SUCCESS)
        status = CLNT_CALL_BACK(request);
    if (status == RPC_SUCCESS) {
        sem_wait(&with.answered);
        status = with.error.re_status;
    }
    clnt_req_release(request);
    return status;
}

static enum clnt_stat call_nothing(CLIENT *client, rpcproc_t procedure)
{
    return call(client, procedure, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL);
}

static void null_procedure(void **state)
{
    (void)state;
    assert_int_equal(call_nothing(with.client, NULLPROC), RPC_SUCCESS);
}

static void numbers(void **state)
{
    (void)state;
    operands argument = {.a = -7, .b = 49};
    int sum = 0;
    assert_int_equal(
        call(with.client, ADD, (xdrproc_t)xdr_operands, &argument, (xdrproc_t)xdr_int, &sum),
        RPC_SUCCESS);
    assert_int_equal(sum, 42);
}

static size_t encode(everything *value, char *bytes, unsigned room)
{
    XDR xdr;
    xdrmem_ncreate(&xdr, bytes, room, XDR_ENCODE);
    assert_true(xdr_everything(&xdr, value));
    return XDR_GETPOS(&xdr);
}

/* Which is why every_type has a float of 0: ntirpc sends a float as a whole number. */
static void floats_are_not_sent_right(void **state)
{
    (void)state;
    XDR xdr;
    char bytes[4];
    float value = 2.5f;
    xdrmem_ncreate(&xdr, bytes, sizeof bytes, XDR_ENCODE);
    assert_true(xdr_float(&xdr, &value));
    assert_memory_equal(bytes, "\0\0\0\2", sizeof bytes);
}

static void every_type(void **state)
{
    (void)state;
    node last = {.value = INT64_MIN, .next = NULL}, first = {.value = INT64_MAX, .next = &last};
    shape shapes[] = {{.kind = RED, .shape_u = {.radius = -1}},
                      {.kind = GREEN, .shape_u = {.label = (char[]){"leaf"}}},
                      {.kind = BLUE}};
    u_int many[] = {0, 1, UINT32_MAX};
    everything answer, value = {
                           .i = INT32_MIN,
                           .u = UINT32_MAX,
                           .h = INT64_MIN,
                           .uh = UINT64_MAX,
                           .f = 0.0f,
                           .d = 1e300,
                           .b = 1,
                           .c = BLUE,
                           .fixed = {1, 2, 3, 4, 5},
                           .variable = {3, (char[]){"abc"}},
                           .text = (char[]){"dari"},
                           .three = {1, -2, 3},
                           .many = {3, many},
                           .shapes = {3, shapes},
                           .list = &first,
                       };
    memset(&answer, 0, sizeof answer);
    assert_int_equal(call(with.client, REFLECT, (xdrproc_t)xdr_everything, &value,
                          (xdrproc_t)xdr_everything, &answer),
                     RPC_SUCCESS);
    char sent[1024], received[1024];
    size_t size = encode(&value, sent, sizeof(sent));
    assert_int_equal(encode(&answer, received, sizeof(received)), size);
    assert_memory_equal(sent, received, size);
    xdr_free((xdrproc_t)xdr_everything, &answer);
}

static void reflect_bytes(u_int size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7);
    blob argument = {size, bytes}, answer = {0, NULL};
    assert_int_equal(call(with.client, REFLECT_BLOB, (xdrproc_t)xdr_blob, &argument,
                          (xdrproc_t)xdr_blob, &answer),
                     RPC_SUCCESS);
    assert_int_equal(answer.blob_len, size);
    assert_memory_equal(answer.blob_val, bytes, size);
    xdr_free((xdrproc_t)xdr_blob, &answer);
    free(bytes);
}

static void large_messages(void **state)
{
    (void)state;
    reflect_bytes(1000003);
}

/* More than 8 KiB ntirpc sends from the wrong place. */
static void large_datagrams(void **state)
{
    (void)state;
    reflect_bytes(8001);
}

static void unknown_procedure(void **state)
{
    (void)state;
    assert_int_equal(call_nothing(with.client, 99), RPC_PROCUNAVAIL);
    null_procedure(state);
}

static void unknown_version(void **state)
{
    (void)state;
    CLIENT *other = connect_version(7);
    assert_int_equal(call_nothing(other, ADD), RPC_PROGVERSMISMATCH);
    assert_int_equal(with.error.re_vers.low, 1);
    assert_int_equal(with.error.re_vers.high, 1);
    CLNT_DESTROY(other);
}

static void garbage_arguments(void **state)
{
    (void)state;
    int short_argument = 1, result;
    assert_int_equal(
        call(with.client, ADD, (xdrproc_t)xdr_int, &short_argument, (xdrproc_t)xdr_int, &result),
        RPC_CANTDECODEARGS);
    null_procedure(state);
}

#define OVER(set_up, scheme, large)                                                \
    {scheme " null procedure", null_procedure, set_up, tear_down, NULL},           \
        {scheme " numbers", numbers, set_up, tear_down, NULL},                     \
        {scheme " every type", every_type, set_up, tear_down, NULL},               \
        {scheme " " #large, large, set_up, tear_down, NULL},                       \
        {scheme " unknown procedure", unknown_procedure, set_up, tear_down, NULL}, \
        {scheme " unknown version", unknown_version, set_up, tear_down, NULL},     \
    {                                                                              \
        scheme " garbage arguments", garbage_arguments, set_up, tear_down, NULL    \
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
    SVC_RELEASE(request->rq_xprt, SVC_RELEASE_FLAG_NONE);
    free(request);
}

int main(void)
{
    svc_init_params options = {.alloc_cb = make_request,
                               .free_cb = free_request,
                               .flags = SVC_INIT_EPOLL | SVC_INIT_NOREG_XPRTS,
                               .max_connections = 64,
                               .max_events = 16,
                               .ioq_thrd_max = 4};
    const struct CMUnitTest tests[] = {
        OVER(set_up_unix, "unix:", large_messages),
        OVER(set_up_tcp, "tcp:", large_messages),
        OVER(set_up_udp, "udp:", large_datagrams),
        cmocka_unit_test(floats_are_not_sent_right),
    };
    if (!svc_init(&options) || sem_init(&with.answered, 0, 0) < 0)
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
