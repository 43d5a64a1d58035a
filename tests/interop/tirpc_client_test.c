/* SPDX-License-Identifier: MIT */
/* Clients made by rpcgen and libtirpc against a server made by dari. */
#include "interop.h"
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
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

#define DATAGRAM_SIZE 65000u

static const struct timeval try_again = {5, 0};

static struct {
    peer server;
    char path[64]; /* "" where there is none */
    CLIENT *client;
} with;

/* Connects to the server for any version, without rpcbind. */
static CLIENT *connect_version(rpcvers_t version)
{
    int descriptor = RPC_ANYSOCK;
    unsigned port;
    if (sscanf(with.server.address, "%*[a-z]://127.0.0.1:%u", &port) == 1) {
        struct sockaddr_in name = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
        if (strncmp(with.server.address, "tcp:", 4) == 0)
            return clnttcp_create(&name, INTEROP, version, &descriptor, 0, 0);
        return clntudp_bufcreate(&name, INTEROP, version, try_again, &descriptor, DATAGRAM_SIZE,
                                 DATAGRAM_SIZE);
    }
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", with.path);
    return clntunix_create(&name, INTEROP, version, &descriptor, 0, 0);
}

static int set_up(const char *address)
{
    peer_start(&with.server, getenv("INTEROP_DARI_SERVER"), address);
    with.client = connect_version(INTEROP_V1);
    assert_non_null(with.client);
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
    if (with.client)
        clnt_destroy(with.client);
    with.client = NULL;
    peer_stop(&with.server);
    if (with.path[0])
        peer_remove_path(with.path);
    return 0;
}

/* libtirpc's own xdr_void has another type than it is called by. */
static bool_t nothing(XDR *xdr, ...)
{
    (void)xdr;
    return TRUE;
}

static const struct timeval patience = {20, 0};

static void null_procedure(void **state)
{
    (void)state;
    enum clnt_stat status =
        clnt_call(with.client, NULLPROC, nothing, NULL, nothing, NULL, patience);
    assert_int_equal(status, RPC_SUCCESS);
}

static void numbers(void **state)
{
    (void)state;
    operands arg = {.a = -7, .b = 49};
    int *sum = add_1(&arg, with.client);
    assert_non_null(sum);
    assert_int_equal(*sum, 42);
}

static size_t encode(everything *value, char *bytes, unsigned room)
{
    XDR xdr;
    xdrmem_create(&xdr, bytes, room, XDR_ENCODE);
    assert_true(xdr_everything(&xdr, value));
    return xdr_getpos(&xdr);
}

static void every_type(void **state)
{
    (void)state;
    node last = {.value = INT64_MIN, .next = NULL}, first = {.value = INT64_MAX, .next = &last};
    shape shapes[] = {{.kind = RED, .shape_u = {.radius = -1}},
                      {.kind = GREEN, .shape_u = {.label = "leaf"}},
                      {.kind = BLUE}};
    u_int many[] = {0, 1, UINT32_MAX};
    everything value = {
        .i = INT32_MIN,
        .u = UINT32_MAX,
        .h = INT64_MIN,
        .uh = UINT64_MAX,
        .f = -0.0f,
        .d = 1e300,
        .b = 1,
        .c = BLUE,
        .fixed = {1, 2, 3, 4, 5},
        .variable = {3, "abc"},
        .text = "dari",
        .three = {1, -2, 3},
        .many = {3, many},
        .shapes = {3, shapes},
        .list = &first,
    };
    everything *answer = reflect_1(&value, with.client);
    assert_non_null(answer);
    char sent[1024], received[1024];
    size_t size = encode(&value, sent, sizeof(sent));
    assert_int_equal(encode(answer, received, sizeof(received)), size);
    assert_memory_equal(sent, received, size);
    clnt_freeres(with.client, (xdrproc_t)xdr_everything, answer);
}

static void reflect_bytes(u_int size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7);
    blob arg = {size, bytes};
    blob *answer = reflect_blob_1(&arg, with.client);
    assert_non_null(answer);
    assert_int_equal(answer->blob_len, size);
    assert_memory_equal(answer->blob_val, bytes, size);
    clnt_freeres(with.client, (xdrproc_t)xdr_blob, answer);
    free(bytes);
}

/* More than libtirpc's buffers hold. */
static void many_fragments(void **state)
{
    (void)state;
    reflect_bytes(1000003);
}

static void large_datagrams(void **state)
{
    (void)state;
    reflect_bytes(60001);
}

static void unknown_procedure(void **state)
{
    (void)state;
    enum clnt_stat status = clnt_call(with.client, 99, nothing, NULL, nothing, NULL, patience);
    assert_int_equal(status, RPC_PROCUNAVAIL);
    null_procedure(state);
}

static void unknown_version(void **state)
{
    (void)state;
    CLIENT *other = connect_version(7);
    assert_non_null(other);
    enum clnt_stat status = clnt_call(other, 1, nothing, NULL, nothing, NULL, patience);
    struct rpc_err error;
    clnt_geterr(other, &error);
    clnt_destroy(other);
    assert_int_equal(status, RPC_PROGVERSMISMATCH);
    assert_int_equal(error.re_vers.low, 1);
    assert_int_equal(error.re_vers.high, 1);
}

static void garbage_arguments(void **state)
{
    (void)state;
    int short_argument = 1, result;
    enum clnt_stat status = clnt_call(with.client, ADD, (xdrproc_t)xdr_int, (char *)&short_argument,
                                      (xdrproc_t)xdr_int, (char *)&result, patience);
    assert_int_equal(status, RPC_CANTDECODEARGS);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(set_up_unix, "unix:", many_fragments),
        OVER(set_up_tcp, "tcp:", many_fragments),
        OVER(set_up_udp, "udp:", large_datagrams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
