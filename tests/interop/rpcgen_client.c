/* SPDX-License-Identifier: MIT */
#include "rpcgen_client.h"

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

static struct {
    const rpcgen_library *library;
    peer server;
    CLIENT *client;
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
    snprintf(name->sun_path, sizeof name->sun_path, "%s", with.server.path);
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
    CLIENT *client = with.library->make_client(descriptor, &address, datagrams, version);
    assert_non_null(client);
    return client;
}

static int set_up(void **state)
{
    peer_start(&with.server, getenv("INTEROP_DARI_SERVER"), *state);
    with.client = connect_version(INTEROP_V1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (with.client)
        CLNT_DESTROY(with.client);
    with.client = NULL;
    peer_stop(&with.server);
    return 0;
}

static enum clnt_stat call(CLIENT *client, rpcproc_t procedure, xdrproc_t encode, void *argument,
                           xdrproc_t decode, void *result)
{
    return with.library->call(client, procedure, encode, argument, decode, result, &with.error);
}

static enum clnt_stat call_nothing(CLIENT *client, rpcproc_t procedure)
{
    xdrproc_t nothing = with.library->nothing;
    return call(client, procedure, nothing, NULL, nothing, NULL);
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
    xdrmem_create(&xdr, bytes, room, XDR_ENCODE);
    assert_true(xdr_everything(&xdr, value));
    return XDR_GETPOS(&xdr);
}

static void floats(void **state)
{
    (void)state;
    XDR xdr;
    char bytes[4];
    float value = 2.5f;
    xdrmem_create(&xdr, bytes, sizeof bytes, XDR_ENCODE);
    assert_true(xdr_float(&xdr, &value));
    assert_memory_equal(bytes, with.library->two_and_a_half, sizeof bytes);
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
                           .f = with.library->a_float,
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

/* More than the libraries' buffers hold. */
static void many_fragments(void **state)
{
    (void)state;
    reflect_bytes(1000003);
}

static void large_datagrams(void **state)
{
    (void)state;
    reflect_bytes(with.library->large_datagram);
}

static void unknown_procedure(void **state)
{
    assert_int_equal(call_nothing(with.client, 99), RPC_PROCUNAVAIL);
    null_procedure(state);
}

static void unknown_version(void **state)
{
    (void)state;
    CLIENT *other = connect_version(7);
    assert_int_equal(call_nothing(other, ADD), RPC_PROGVERSMISMATCH);
    CLNT_DESTROY(other);
    assert_int_equal(with.error.re_vers.low, 1);
    assert_int_equal(with.error.re_vers.high, 1);
}

static void garbage_arguments(void **state)
{
    int short_argument = 1, result;
    assert_int_equal(
        call(with.client, ADD, (xdrproc_t)xdr_int, &short_argument, (xdrproc_t)xdr_int, &result),
        RPC_CANTDECODEARGS);
    null_procedure(state);
}

#define OVER(scheme, large)                                                          \
    {scheme " null procedure", null_procedure, set_up, tear_down, scheme},           \
        {scheme " numbers", numbers, set_up, tear_down, scheme},                     \
        {scheme " every type", every_type, set_up, tear_down, scheme},               \
        {scheme " " #large, large, set_up, tear_down, scheme},                       \
        {scheme " unknown procedure", unknown_procedure, set_up, tear_down, scheme}, \
        {scheme " unknown version", unknown_version, set_up, tear_down, scheme},     \
    {                                                                                \
        scheme " garbage arguments", garbage_arguments, set_up, tear_down, scheme    \
    }

int test_rpcgen_clients(const rpcgen_library *library)
{
    const struct CMUnitTest tests[] = {
        OVER("unix", many_fragments),
        OVER("tcp", many_fragments),
        OVER("udp", large_datagrams),
        cmocka_unit_test(floats),
    };
    with.library = library;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
