/* SPDX-License-Identifier: MIT */
/* Clients made by dari against a server made by rpcgen and libtirpc; or, with INTEROP_NTIRPC,
 * ntirpc. */
#include "interop.h"
#include "peer.h"

#include <dari/dari.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef INTEROP_NTIRPC
#define SERVER "INTEROP_NTIRPC_SERVER"
#define A_FLOAT 0.0f /* ntirpc sends a float as a whole number */
#else
#define SERVER "INTEROP_TIRPC_SERVER"
#define A_FLOAT -0.0f
#endif

static struct {
    peer server;
    dari_client *client;
    dari_call call;
} with;

static int set_up(void **state)
{
    peer_start(&with.server, getenv(SERVER), *state);
    with.call = DARI_CALL(.deadline_ns = 20 * DARI_S);
    dari_client_options options = {.call = &with.call};
    assert_int_equal(dari_connect(with.server.address, &options, &with.client), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dari_call_end(&with.call);
    dari_client_close(with.client);
    with.client = NULL;
    peer_stop(&with.server);
    return 0;
}

static void null_procedure(void **state)
{
    (void)state;
    assert_int_equal(dari_client_ping(with.client, INTEROP, INTEROP_V1, &with.call), 0);
}

static void numbers(void **state)
{
    (void)state;
    int32_t sum = 0;
    assert_int_equal(add_1(with.client, &(operands){.a = -7, .b = 49}, &sum, &with.call), 0);
    assert_int_equal(sum, 42);
}

static size_t encode(const everything *value, uint8_t *bytes, size_t room)
{
    dari_encoder encoder = {0};
    int64_t size = xdr_size_everything(&encoder, value);
    assert_true(size > 0 && (size_t)size <= room);
    assert_ptr_equal(xdr_encode_everything(&encoder, bytes, value), bytes + size);
    return (size_t)size;
}

static void every_type(void **state)
{
    (void)state;
    node last = {.value = INT64_MIN}, first = {.value = INT64_MAX, .next = &last};
    shape shapes[] = {{.kind = RED, .u = {.radius = -1}},
                      {.kind = GREEN, .u = {.label = "leaf"}},
                      {.kind = BLUE}};
    uint32_t many[] = {0, 1, UINT32_MAX};
    const everything value = {
        .i = INT32_MIN,
        .u = UINT32_MAX,
        .h = INT64_MIN,
        .uh = UINT64_MAX,
        .f = A_FLOAT,
        .d = 1e300,
        .b = true,
        .c = BLUE,
        .fixed = {1, 2, 3, 4, 5},
        .variable = {.size = 3, .data = (const uint8_t *)"abc"},
        .text = "dari",
        .three = {1, -2, 3},
        .many = {.count = 3, .items = many},
        .shapes = {.count = 3, .items = shapes},
        .list = &first,
    };
    everything answer;
    assert_int_equal(reflect_1(with.client, &value, &answer, &with.call), 0);
    uint8_t sent[1024], received[1024];
    size_t size = encode(&value, sent, sizeof(sent));
    assert_int_equal(encode(&answer, received, sizeof(received)), size);
    assert_memory_equal(sent, received, size);
}

static void reflect_bytes(uint32_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7);
    blob answer;
    assert_int_equal(
        reflect_blob_1(with.client, &(blob){.size = size, .data = bytes}, &answer, &with.call), 0);
    assert_int_equal(answer.size, size);
    assert_memory_equal(answer.data, bytes, size);
    free(bytes);
}

/* The server sends what its buffer holds: the reply comes in many fragments. */
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

static void unknown_program(void **state)
{
    (void)state;
    assert_int_equal(dari_client_ping(with.client, INTEROP + 1, 1, &with.call),
                     DARI_PROGRAM_UNAVAILABLE);
    assert_false(with.call.may_have_run);
    null_procedure(state);
}

static void unknown_version(void **state)
{
    (void)state;
    assert_int_equal(dari_client_ping(with.client, INTEROP, 7, &with.call), DARI_PROGRAM_MISMATCH);
    assert_int_equal(with.call.low, 1);
    assert_int_equal(with.call.high, 1);
    null_procedure(state);
}

#define OVER(scheme, large)                                                      \
    {scheme " null procedure", null_procedure, set_up, tear_down, scheme},       \
        {scheme " numbers", numbers, set_up, tear_down, scheme},                 \
        {scheme " every type", every_type, set_up, tear_down, scheme},           \
        {scheme " " #large, large, set_up, tear_down, scheme},                   \
        {scheme " unknown program", unknown_program, set_up, tear_down, scheme}, \
    {                                                                            \
        scheme " unknown version", unknown_version, set_up, tear_down, scheme    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER("unix", many_fragments),
        OVER("tcp", many_fragments),
        OVER("udp", large_datagrams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
