/* SPDX-License-Identifier: MIT */
/* What is particular to udp:// -- messages that are lost, doubled or overtaken, callers without
 * connections, and the limit of a datagram; udp_client_test.c has the client alone. */
#include "base/clock.h"
#include "conformance/udp.h"
#include "support/relay.h"

#include <dari/counters.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOON_NS (UINT64_C(20) * 1000000)
/* The most data of a call of ECHO_DATA in one datagram: behind header and length. */
#define DATA_MAX (65507u - 44u - 3u)

static uint16_t port_of(const char *address)
{
    return (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

/* Writes the call add(a, b) and returns its size. */
static size_t write_add(uint8_t *bytes, uint32_t xid, uint32_t a, uint32_t b)
{
    uint8_t *at = raw_call(bytes, xid, 0x20000102, 1, 2);
    dari_put_u32(at, a);
    dari_put_u32(at + 4, b);
    return (size_t)(at + 8 - bytes);
}

static void check_sum(const uint8_t *reply, size_t size, uint32_t xid, uint32_t sum)
{
    assert_int_equal(size, 28);
    assert_int_equal(dari_get_u32(reply), xid);
    assert_int_equal(dari_get_u32(reply + 24), sum);
}

static void check_calls(const char *address)
{
    test_scheme scheme = {.name = "udp", .address = address};
    test_fixture fixture = {.scheme = &scheme};
    int32_t sum;
    opaque_data ret;
    dari_call call = {0};
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    dari_client *client = fixture_connect(&fixture, NULL);
    assert_int_equal(nothing_1(client, NULL), 0);
    assert_int_equal(add_1(client, &(pair){40, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 42);
    uint8_t *data = calloc(1, DATA_MAX + 4);
    for (uint32_t size = 0; size <= DATA_MAX;
         size = size < DATA_MAX && 3 * size >= DATA_MAX ? DATA_MAX : 3 * size + 1) {
        memset(data, (int)size, size);
        assert_int_equal(echo_data_1(client, &(opaque_data){size, data}, &ret, &call), 0);
        assert_int_equal(ret.size, size);
        assert_memory_equal(ret.data, data, size);
    }
    assert_int_equal(echo_data_1(client, &(opaque_data){DATA_MAX + 4, data}, &ret, &call),
                     DARI_LIMIT);
    assert_non_null(strstr(dari_call_message(&call), "65507"));
    assert_false(call.may_have_run);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
    free(data);
    dari_call_end(&call);
    dari_client_close(client);
    fixture_end(&fixture);
}

static void calls_are_answered(void **state)
{
    (void)state;
    const test_scheme six = {.name = "udp6", .address = "udp://[::1]:0"};
    check_calls("udp://127.0.0.1:0");
    if (scheme_is_there(&six))
        check_calls("udp://[::1]:0");
}

/* A client's way to an address of the host that the server is not bound to in particular. */
static void answers_come_from_the_address_asked(void **state)
{
    (void)state;
    test_scheme any = {.name = "udp", .address = "udp://0.0.0.0:0"};
    test_fixture fixture = {.scheme = &any};
    int32_t sum;
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    snprintf(fixture.address, sizeof fixture.address, "udp://127.0.0.77:%u",
             port_of(dari_server_address(fixture.server, 0)));
    dari_client *client = fixture_connect(&fixture, NULL);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
    dari_client_close(client);
    fixture_end(&fixture);
}

static void a_call_that_comes_twice_runs_once(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    uint8_t call[128], reply[128];
    serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    int other = open_socket(port_of(fixture.address), NULL);
    size_t size = write_add(call, 5, 20, 3);
    for (int i = 0; i < 3; i++) {
        give(client, call, size, NULL);
        check_sum(reply, take(client, reply, sizeof reply, NULL), 5, 23);
    }
    fixture_await_entered(&fixture, 1);
    /* The same from another caller, and another call of this one with the same number. */
    give(other, call, size, NULL);
    check_sum(reply, take(other, reply, sizeof reply, NULL), 5, 23);
    size = write_add(call, 5, 20, 4);
    give(client, call, size, NULL);
    check_sum(reply, take(client, reply, sizeof reply, NULL), 5, 24);
    dari_counters counters;
    assert_int_equal(dari_server_counters(fixture.server, &counters), 0);
    assert_int_equal(counters.calls.ok, 3);
    assert_int_equal(counters.repeated, 2);
    dari_counters_end(&counters);
    fixture_stop(&fixture);
    assert_int_equal(fixture.entered, 3);
    close(client);
    close(other);
    fixture_end(&fixture);
}

static void a_call_in_progress_is_not_begun_again(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("udp4")};
    uint8_t call[128], reply[128];
    fixture_begin(&fixture);
    fixture.options.workers = 2;
    fixture_serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    size_t size = write_add(call, 5, 20, 3);
    fixture_close_gate(&fixture);
    give(client, call, size, NULL);
    fixture_await_entered(&fixture, 1);
    for (int i = 0; i < 5; i++)
        give(client, call, size, NULL);
    /* Those five have been looked at once this one has been begun. */
    size = write_add(call, 6, 1, 1);
    give(client, call, size, NULL);
    fixture_await_entered(&fixture, 2);
    fixture_open_gate(&fixture);
    uint32_t sums = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(take(client, reply, sizeof reply, NULL), 28);
        sums += dari_get_u32(reply + 24);
    }
    assert_int_equal(sums, 25);
    fixture_stop(&fixture);
    assert_false(readable(client, 0));
    assert_int_equal(fixture.entered, 2);
    close(client);
    fixture_end(&fixture);
}

/* While all calls that may be remembered are in progress, another one is not begun. */
static void a_call_that_cannot_be_remembered(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("udp4")};
    uint8_t call[128], reply[128];
    fixture_begin(&fixture);
    fixture.options.workers = 1;
    fixture.options.remembered_max = 1;
    fixture_serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    fixture_close_gate(&fixture);
    give(client, call, write_add(call, 5, 20, 3), NULL);
    fixture_await_entered(&fixture, 1);
    give(client, call, write_add(call, 6, 1, 1), NULL);
    dari_counters counters = {0};
    uint64_t until = di_deadline_in(PATIENCE_MS * UINT64_C(1000000));
    while (counters.dropped + counters.repeated == 0 && di_now() < until) {
        dari_counters_end(&counters);
        assert_int_equal(dari_server_counters(fixture.server, &counters), 0);
    }
    assert_int_equal(counters.dropped, 1);
    assert_int_equal(counters.repeated, 0);
    dari_counters_end(&counters);
    fixture_open_gate(&fixture);
    check_sum(reply, take(client, reply, sizeof reply, NULL), 5, 23);
    fixture_stop(&fixture);
    assert_int_equal(fixture.entered, 1);
    close(client);
    fixture_end(&fixture);
}

static void errors_are_answered_once_too(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    uint8_t call[128], reply[128];
    serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    uint8_t *end = raw_call(call, 9, 0x20000102, 1, 3);
    dari_put_u32(end, 1);
    for (int i = 0; i < 2; i++) {
        give(client, call, (size_t)(end + 4 - call), NULL);
        assert_int_equal(take(client, reply, sizeof reply, NULL), 24);
        assert_int_equal(dari_get_u32(reply + 20), 5);
    }
    fixture_stop(&fixture);
    assert_int_equal(fixture.entered, 1);
    close(client);
    fixture_end(&fixture);
}

static void rubbish_does_not_end_the_service(void **state)
{
    (void)state;
    test_fixture fixture = {0};
    uint8_t call[128], reply[128];
    int32_t sum;
    serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    size_t size = write_add(call, 5, 20, 3);
    for (size_t cut = 0; cut < size; cut++)
        give(client, call, cut, NULL);
    dari_put_u32(call + 4, 1); /* a reply, which nobody waits for */
    give(client, call, size, NULL);
    dari_client *whole = fixture_connect(&fixture, NULL);
    assert_int_equal(add_1(whole, &(pair){1, 2}, &sum, NULL), 0);
    /* Nothing is answered that is longer than what was asked. */
    while (readable(client, 0))
        assert_in_range(take(client, reply, sizeof reply, NULL), 20, 40);
    write_add(call, 6, 20, 3);
    dari_put_u32(call + 8, 3); /* a version of RPC that is refused by 24 bytes */
    for (size_t cut = 12; cut <= 24; cut++)
        give(client, call, cut, NULL);
    assert_int_equal(take(client, reply, sizeof reply, NULL), 24);
    assert_int_equal(add_1(whole, &(pair){1, 2}, &sum, NULL), 0);
    assert_false(readable(client, 0));
    dari_client_close(whole);
    close(client);
    fixture_end(&fixture);
}

/* As over a stream, in a datagram each. */
static void calls_are_refused_with_reasons(void **state)
{
    (void)state;
    /* A word of the call that is changed, and what comes back after the xid. */
    static const struct {
        size_t word;
        uint32_t is;
        uint32_t count, words[6];
    } cases[] = {
        {2, 3, 5, {1, 1, 0, 2, 2}},                                    /* RPC_MISMATCH */
        {2, 1, 5, {1, 1, 0, 2, 2}},          {6, 77, 4, {1, 1, 1, 2}}, /* AUTH_REJECTEDCRED */
        {3, 0x20000199, 5, {1, 0, 0, 0, 1}},                           /* PROG_UNAVAIL */
        {4, 2, 7, {1, 0, 0, 0, 2, 1}},                                 /* PROG_MISMATCH, 1 to 1 */
        {5, 99, 5, {1, 0, 0, 0, 3}},                                   /* PROC_UNAVAIL */
        {5, 4, 5, {1, 0, 0, 0, 4}},                                    /* GARBAGE_ARGS: of SINK */
    };
    test_fixture fixture = {0};
    uint8_t call[1024], reply[128];
    serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = write_add(call, 100 + i, 20, 3);
        dari_put_u32(call + 4 * cases[i].word, cases[i].is);
        give(client, call, size, NULL);
        assert_int_equal(take(client, reply, sizeof reply, NULL), 4 * (cases[i].count + 1));
        assert_int_equal(dari_get_u32(reply), 100 + i);
        for (uint32_t word = 0; word < cases[i].count && word < 6; word++)
            assert_int_equal(dari_get_u32(reply + 4 + 4 * word), cases[i].words[word]);
    }
    /* A credential of 404 bytes. */
    memset(call, 0, sizeof call);
    write_add(call, 200, 0, 0);
    memset(call + 24, 0, 200);
    dari_put_u32(call + 28, 404);
    give(client, call, 40 + 404 + 8, NULL);
    assert_int_equal(take(client, reply, sizeof reply, NULL), 20);
    assert_int_equal(dari_get_u32(reply + 16), 1); /* AUTH_BADCRED */
    give(client, call, write_add(call, 300, 20, 3), NULL);
    check_sum(reply, take(client, reply, sizeof reply, NULL), 300, 23);
    fixture_stop(&fixture);
    assert_int_equal(fixture.entered, 1);
    close(client);
    fixture_end(&fixture);
}

static char told[96];

static int tell_peer(dari_request *request)
{
    snprintf(told, sizeof told, "%s", dari_request_peer_address(request));
    dari_peer peer;
    return dari_request_peer(request, &peer) == DARI_SCHEME ? 0 : DARI_INVALID;
}

static void a_caller_is_told_by_its_address(void **state)
{
    (void)state;
    static const echo_1_handlers handlers = {.nothing = tell_peer};
    test_fixture fixture = {.scheme = scheme_named("udp4")};
    uint8_t call[64], reply[64];
    char expected[96];
    uint16_t port;
    fixture_begin(&fixture);
    fixture.handlers = &handlers;
    fixture_serve(&fixture);
    int client = open_socket(port_of(fixture.address), &port);
    uint8_t *end = raw_call(call, 1, 0x20000102, 1, 0);
    give(client, call, (size_t)(end - call), NULL);
    assert_int_equal(take(client, reply, sizeof reply, NULL), 24);
    fixture_stop(&fixture);
    snprintf(expected, sizeof expected, "udp://127.0.0.1:%u", port);
    assert_string_equal(told, expected);
    close(client);
    fixture_end(&fixture);
}

static void finishing_lets_calls_end(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("udp4")};
    uint8_t call[128], reply[128];
    fixture_begin(&fixture);
    fixture.options.workers = 1;
    fixture_serve(&fixture);
    int client = open_socket(port_of(fixture.address), NULL);
    fixture_close_gate(&fixture);
    give(client, call, write_add(call, 5, 20, 3), NULL);
    fixture_await_entered(&fixture, 1);
    dari_server_finish(fixture.server, PATIENCE_MS * UINT64_C(1000000));
    fixture_open_gate(&fixture);
    check_sum(reply, take(client, reply, sizeof reply, NULL), 5, 23);
    pthread_join(fixture.thread, NULL);
    fixture.running = false;
    assert_int_equal(fixture.run_result, 0);
    close(client);
    fixture_end(&fixture);
}

#define BAD_CALLS 200u

/* How often each call has run. */
static atomic_uint runs[BAD_CALLS];

static int count_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    atomic_fetch_add(&runs[arg->a], 1);
    *ret = arg->a + arg->b;
    return 0;
}

typedef struct bad_call {
    dari_call call;
    unsigned index, ended;
    bool answered;
} bad_call;

static void end_bad_call(void *user, const int32_t *ret, dari_call *call)
{
    bad_call *one = user;
    one->ended++;
    one->answered = ret != NULL;
    assert_true(ret ? *ret == (int32_t)one->index + 1000 : call->error == DARI_DEADLINE);
}

static void check_network(const relay_options *options, unsigned workers, uint64_t deadline_ns)
{
    static const echo_1_handlers handlers = {.add = count_add};
    test_fixture fixture = {.scheme = scheme_named("udp4")};
    bad_call *calls = calloc(BAD_CALLS, sizeof *calls);
    uint16_t port;
    unsigned answered = 0;
    fixture_begin(&fixture);
    fixture.handlers = &handlers;
    fixture.options.workers = workers;
    fixture_serve(&fixture);
    test_relay *relay = relay_start(options, "127.0.0.1", port_of(fixture.address), &port);
    assert_non_null(relay);
    dari_client *client = connect_to_port(port, &(dari_client_options){.retry_ns = SOON_NS / 4});
    for (unsigned i = 0; i < BAD_CALLS; i++) {
        atomic_store(&runs[i], 0);
        calls[i].index = i;
        calls[i].call.deadline_ns = deadline_ns;
        assert_int_equal(
            add_1_start(client, &(pair){(int32_t)i, 1000}, &calls[i].call, end_bad_call, &calls[i]),
            0);
    }
    uint64_t begun = di_now();
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_true(di_now() - begun < deadline_ns + PATIENCE_MS * UINT64_C(1000000));
    dari_client_close(client);
    relay_counts counts = relay_stop(relay);
    fixture_stop(&fixture);
    for (unsigned i = 0; i < BAD_CALLS; i++) {
        assert_int_equal(calls[i].ended, 1);
        assert_true(atomic_load(&runs[i]) <= 1);
        assert_true(!calls[i].answered || atomic_load(&runs[i]) == 1);
        answered += calls[i].answered;
        dari_call_end(&calls[i].call);
    }
    assert_true(options->lost == 1000 ? answered == 0 : answered > BAD_CALLS / 2);
    assert_true(!options->doubled || counts.doubled > 0);
    assert_true(!options->lost || counts.lost > 0);
    fixture_end(&fixture);
    free(calls);
}

static void a_bad_network_runs_no_call_twice(void **state)
{
    (void)state;
    const relay_options bad = {
        .seed = 1, .lost = 150, .doubled = 200, .delayed = 300, .delay_ms = 20};
    check_network(&bad, 0, UINT64_C(20000000000));
    check_network(&bad, 2, UINT64_C(20000000000));
}

static void a_dead_network_fails_every_call(void **state)
{
    (void)state;
    check_network(&(relay_options){.seed = 2, .lost = 1000}, 0, 10 * SOON_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered),
        cmocka_unit_test(answers_come_from_the_address_asked),
        cmocka_unit_test(a_call_that_comes_twice_runs_once),
        cmocka_unit_test(a_call_in_progress_is_not_begun_again),
        cmocka_unit_test(a_call_that_cannot_be_remembered),
        cmocka_unit_test(errors_are_answered_once_too),
        cmocka_unit_test(rubbish_does_not_end_the_service),
        cmocka_unit_test(calls_are_refused_with_reasons),
        cmocka_unit_test(a_caller_is_told_by_its_address),
        cmocka_unit_test(finishing_lets_calls_end),
        cmocka_unit_test(a_bad_network_runs_no_call_twice),
        cmocka_unit_test(a_dead_network_fails_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
