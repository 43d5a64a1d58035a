/* SPDX-License-Identifier: MIT */
/* What is counted, by calls whose bytes the test knows: each byte and each call once, whatever
 * becomes of it. That readings add up while calls go on is shown by the suite. */
#include "base/clock.h"
#include "conformance/home.h"
#include "conformance/udp.h"
#include "conformance/wire.h"
#include "loop/client.h"
#include "loop/counters.h"
#include "rpc/message.h"

#include <dari/counters.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of a call and of a reply without arguments, in a record of one fragment and without one. */
enum { CALL = 40, REPLY = 24, MARK = 4 };

typedef struct stage {
    test_fixture fixture;
    dari_client *client;
} stage;

static void begin(stage *self, const char *scheme, const dari_client_options *options)
{
    self->fixture.scheme = scheme_named(scheme);
    fixture_begin(&self->fixture);
    fixture_serve(&self->fixture);
    self->client = fixture_connect(&self->fixture, options);
}

static void end(stage *self)
{
    dari_client_close(self->client);
    fixture_end(&self->fixture);
}

static dari_counters of_client(dari_client *client)
{
    dari_counters counters;
    assert_int_equal(dari_client_counters(client, &counters), 0);
    return counters;
}

static dari_counters of_server(const test_fixture *fixture)
{
    dari_counters counters;
    assert_int_equal(dari_server_counters(fixture->server, &counters), 0);
    return counters;
}

/* Expects that many calls, all of which are over. */
static void check_calls(const dari_call_counters *calls, uint64_t ok, uint64_t failed)
{
    uint64_t in_buckets = 0, by_error = 0;
    for (unsigned i = 0; i < DARI_LATENCY_BUCKETS; i++)
        in_buckets += calls->latency[i];
    for (unsigned i = 0; i < DARI_ERROR_CODES; i++)
        by_error += calls->errors[i];
    assert_int_equal(calls->started, ok + failed);
    assert_int_equal(calls->finished, ok + failed);
    assert_int_equal(calls->in_flight, 0);
    assert_int_equal(calls->ok, ok);
    assert_int_equal(calls->failed, failed);
    assert_int_equal(in_buckets, ok);
    assert_int_equal(by_error, failed);
}

static void check_bytes(dari_counters counters, uint64_t in, uint64_t out)
{
    assert_int_equal(counters.bytes_in, in);
    assert_int_equal(counters.bytes_out, out);
    dari_counters_end(&counters);
}

static int add(dari_client *client, int32_t *sum, dari_call *call)
{
    return add_1(client, &(pair){2, 3}, sum, call);
}

static uint64_t count_dropped(dari_client *client)
{
    dari_counters counters = of_client(client);
    uint64_t dropped = counters.dropped;
    dari_counters_end(&counters);
    return dropped;
}

static void check_every_byte(const char *scheme, size_t mark, uint32_t workers)
{
    stage self = {.fixture = {.scheme = scheme_named(scheme)}};
    static uint8_t zeros[200000];
    opaque_data ret, arg = {strcmp(scheme, "udp4") == 0 ? 50000 : 200000, zeros};
    int32_t sum;
    dari_call call = {0};
    fixture_begin(&self.fixture);
    self.fixture.options.workers = workers;
    fixture_serve(&self.fixture);
    self.client = fixture_connect(&self.fixture, NULL);
    uint64_t in = 0, out = 0;
    check_bytes(of_client(self.client), 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(add(self.client, &sum, &call), 0);
        assert_int_equal(echo_data_1(self.client, &arg, &ret, &call), 0);
        assert_int_equal(nothing_1_oneway(self.client, &call), 0);
        assert_int_equal(fail_1(self.client, &(int32_t){-1}, &call), DARI_SYSTEM_ERROR);
        assert_int_equal(unanswered_1(self.client, &call), DARI_PROCEDURE_UNAVAILABLE);
        out += 5 * (mark + CALL) + 8 + 4 + arg.size + 4;
        in += 5 * (mark + REPLY) + 4 + 4 + arg.size;
    }
    /* The answer to the last one-way call is read where the next call is answered; of workers it
     * may come behind that of the calls after it. */
    uint64_t until = di_deadline_in(PATIENCE_MS * DARI_MS);
    while (count_dropped(self.client) < 3 && di_now() < until) {
        assert_int_equal(nothing_1(self.client, NULL), 0);
        out += mark + CALL;
        in += mark + REPLY;
    }
    dari_counters ours = of_client(self.client);
    check_calls(&ours.calls, ours.calls.started - 6, 6);
    assert_int_equal(ours.dropped, 3);
    assert_int_equal(ours.repeated, 0);
    check_bytes(ours, in, out);
    check_bytes(of_server(&self.fixture), out, in);
    dari_call_end(&call);
    end(&self);
}

static void every_byte_is_counted_once(void **state)
{
    (void)state;
    static const char *const names[] = {"unix_path", "fifo", "pipe", "tcp4", "shm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        check_every_byte(names[i], MARK, 0);
        check_every_byte(names[i], MARK, 2);
    }
    check_every_byte("udp4", 0, 0);
    check_every_byte("udp4", 0, 2);
}

/* Sends ADD(2, 3) in fragments of one byte, and as much as half of what is too long, whose end
 * comes later. */
static void fragments_are_counted_too(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    uint8_t body[64], stream[8192] = {0}, reply[64];
    fixture_begin(&fixture);
    fixture.options.message_max = 2000;
    fixture_serve(&fixture);
    di_connection *peer = raw_connect(&fixture);
    put(put(raw_call(body, 1, ECHO, ECHO_V1, 2), 2), 3);
    uint8_t *at = stream;
    for (size_t i = 0; i < CALL + 8; i++) {
        at = put(at, i + 1 == CALL + 8 ? LAST | 1 : 1);
        *at++ = body[i];
    }
    raw_send(peer, stream, (size_t)(at - stream));
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), REPLY + 4);
    check_bytes(of_server(&fixture), 5 * (CALL + 8), MARK + REPLY + 4);
    memset(stream, 0, sizeof stream);
    raw_call(put(stream, LAST | 6000), 2, ECHO, ECHO_V1, 4);
    raw_send(peer, stream, 3000);
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), REPLY);
    raw_send(peer, stream + 3000, MARK + 3000);
    raw_send_record(peer, body, CALL + 8);
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), REPLY + 4);
    dari_counters counters = of_server(&fixture);
    check_calls(&counters.calls, 2, 1);
    assert_int_equal(counters.calls.errors[-DARI_GARBAGE_ARGUMENTS], 1);
    check_bytes(counters, 5 * (CALL + 8) + MARK + 6000 + MARK + CALL + 8,
                3 * (MARK + REPLY) + 4 + 4);
    raw_close(peer);
    fixture_end(&fixture);
}

/* Calls that a server refuses by their header, or by their arguments, once each. */
static void refusals_are_counted_by_their_reasons(void **state)
{
    (void)state;
    static const struct {
        size_t word;
        uint32_t is;
        int error;
        bool of_procedure;
    } cases[] = {
        {2, 3, DARI_RPC_MISMATCH, false},
        {6, 77, DARI_AUTH, false},
        {3, ECHO + 1, DARI_PROGRAM_UNAVAILABLE, false},
        {4, 9, DARI_PROGRAM_MISMATCH, false},
        {5, 99, DARI_PROCEDURE_UNAVAILABLE, false},
        {5, 1, DARI_GARBAGE_ARGUMENTS, true}, /* data of 5 bytes, of which 0 are there */
    };
    enum { CASES = sizeof cases / sizeof *cases };
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    uint8_t body[64], reply[64];
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    di_connection *peer = raw_connect(&fixture);
    for (size_t i = 0; i < CASES; i++) {
        put(raw_call(body, 1, ECHO, ECHO_V1, 0), 5);
        put(body + 4 * cases[i].word, cases[i].is);
        raw_send_record(peer, body, CALL + 4);
        raw_read_record(peer, reply, sizeof reply);
        dari_counters counters = of_server(&fixture);
        check_calls(&counters.calls, 0, i + 1);
        assert_int_equal(counters.calls.errors[-cases[i].error], 1);
        uint64_t of_procedures = 0;
        for (uint32_t at = 0; at < counters.procedure_count; at++)
            of_procedures += counters.procedures[at].calls.started;
        assert_int_equal(of_procedures, cases[i].of_procedure);
        dari_counters_end(&counters);
    }
    raw_close(peer);
    fixture_end(&fixture);
}

static int refuse(const dari_client_call *call, void *user)
{
    (void)call;
    return *(int *)user;
}

static int refuse_here(dari_request *request, void *user)
{
    (void)request;
    return *(int *)user;
}

static void calls_that_are_intercepted_are_counted(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    int here = 0, there = DARI_AUTH;
    int32_t sum;
    fixture_begin(&fixture);
    fixture_listen(&fixture);
    assert_int_equal(
        dari_server_intercept(fixture.server,
                              &(dari_interceptor){.before = refuse_here, .user = &there}),
        0);
    fixture_start(&fixture);
    dari_client *client = fixture_connect(&fixture, NULL);
    assert_int_equal(
        dari_client_intercept(client, &(dari_client_interceptor){.before = refuse, .user = &here}),
        0);
    assert_int_equal(add(client, &sum, NULL), DARI_AUTH);
    here = DARI_DEPTH;
    assert_int_equal(add(client, &sum, NULL), DARI_DEPTH);
    dari_counters ours = of_client(client), theirs = of_server(&fixture);
    check_calls(&ours.calls, 0, 2);
    assert_int_equal(ours.calls.errors[-DARI_AUTH], 1);
    assert_int_equal(ours.calls.errors[-DARI_DEPTH], 1);
    check_calls(&theirs.calls, 0, 1);
    assert_int_equal(theirs.calls.errors[-DARI_AUTH], 1);
    dari_counters_end(&ours);
    dari_counters_end(&theirs);
    dari_client_close(client);
    fixture_end(&fixture);
}

static void forget(void *user, const int32_t *ret, dari_call *call)
{
    (void)ret;
    (void)call;
    ++*(unsigned *)user;
}

/* Calls that have taken `least` ns or more. */
static uint64_t count_slow(const dari_counters *counters, uint64_t least)
{
    uint64_t count = 0;
    for (unsigned i = di_latency_bucket(least); i < DARI_LATENCY_BUCKETS; i++)
        count += counters->calls.latency[i];
    return count;
}

/* Of two calls the first is held back for a time that the test knows. */
static void durations_are_those_of_the_calls(void **state)
{
    (void)state;
    const uint64_t least = 30 * DARI_MS;
    stage self = {0};
    dari_call call = {0};
    unsigned ends = 0;
    begin(&self, "unix_abstract", NULL);
    fixture_close_gate(&self.fixture);
    uint64_t before = di_now();
    assert_int_equal(add_1_start(self.client, &(pair){1, 1}, &call, forget, &ends), 0);
    assert_int_equal(dari_client_wait(self.client, least), DARI_DEADLINE);
    fixture_await_entered(&self.fixture, 1);
    uint64_t until = di_deadline_in(least);
    while (di_now() < until)
        dari_client_wait(self.client, until - di_now());
    fixture_open_gate(&self.fixture);
    assert_int_equal(dari_client_wait(self.client, UINT64_MAX), 0);
    uint64_t most = di_now() - before;
    dari_counters ours = of_client(self.client), theirs = of_server(&self.fixture);
    assert_int_equal(ends, 1);
    assert_int_equal(count_slow(&ours, 2 * least), 1);
    assert_int_equal(count_slow(&theirs, least), 1);
    assert_int_equal(count_slow(&ours, 2 * most), 0);
    assert_int_equal(count_slow(&theirs, 2 * most), 0);
    dari_counters_end(&ours);
    dari_counters_end(&theirs);
    dari_call_end(&call);
    end(&self);
}

static void forget_nothing(void *user, dari_call *call)
{
    (void)call;
    ++*(unsigned *)user;
}

static void forget_size(void *user, const uint32_t *ret, dari_call *call)
{
    (void)ret;
    (void)call;
    ++*(unsigned *)user;
}

/* More than the output may hold, while the server does not read; then the server is gone. */
static void overload_and_loss_are_counted(void **state)
{
    (void)state;
    enum { MOST = 200, SIZE = 50000, MORE = 3 };
    static uint8_t zeros[SIZE];
    static dari_call calls[MOST];
    stage self = {.fixture = {.scheme = scheme_named("unix_abstract")}};
    unsigned ends = 0, started = 0;
    fixture_begin(&self.fixture);
    di_listener *listener = raw_listen(&self.fixture);
    self.client = fixture_connect(
        &self.fixture, &(dari_client_options){.queued_max = 4 * SIZE, .no_reconnect = true});
    di_connection *peer = raw_accept(listener);
    const opaque_data arg = {SIZE, zeros};
    int error = 0;
    while ((error = sink_1_start(self.client, &arg, &calls[started], forget_size, &ends)) == 0)
        assert_true(++started < MOST);
    assert_int_equal(error, DARI_FULL);
    dari_call brief = DARI_CALL(.deadline_ns = DARI_MS);
    assert_int_equal(nothing_1_oneway(self.client, &brief), DARI_DEADLINE);
    for (int i = 1; i < MORE; i++)
        assert_int_equal(sink_1_start(self.client, &arg, &calls[started], forget_size, &ends),
                         DARI_FULL);
    dari_counters counters = of_client(self.client);
    assert_int_equal(counters.calls.started, started + MORE + 1);
    assert_int_equal(counters.calls.in_flight, started);
    assert_int_equal(counters.calls.errors[-DARI_FULL], MORE);
    assert_int_equal(counters.calls.errors[-DARI_DEADLINE], 1);
    dari_counters_end(&counters);
    raw_close(peer);
    listener->ops->close(listener);
    assert_int_equal(dari_client_wait(self.client, UINT64_MAX), 0);
    assert_int_equal(ends, started);
    assert_int_equal(nothing_1(self.client, NULL), DARI_CLOSED);
    counters = of_client(self.client);
    check_calls(&counters.calls, 0, started + MORE + 2);
    assert_int_equal(counters.calls.errors[-DARI_CLOSED], started + 1);
    assert_in_range(counters.bytes_out, 1, started * (uint64_t)(MARK + CALL + 4 + SIZE));
    assert_int_equal(counters.bytes_in, 0);
    dari_counters_end(&counters);
    for (unsigned i = 0; i <= started; i++)
        dari_call_end(&calls[i]);
    end(&self);
}

/* Each connection has brought a call and its answer. */
static void lost_connections_stay_counted(void **state)
{
    (void)state;
    enum { CONNECTIONS = 3 };
    stage self = {0};
    int32_t sum;
    begin(&self, "unix_abstract", NULL);
    for (unsigned i = 1; i <= CONNECTIONS; i++) {
        assert_int_equal(add(self.client, &sum, NULL), 0);
        dari_counters counters = of_client(self.client);
        check_calls(&counters.calls, i, 0);
        check_bytes(counters, i * (MARK + REPLY + 4), i * (MARK + CALL + 8));
        fixture_stop(&self.fixture);
        fixture_serve(&self.fixture);
        pthread_mutex_lock(&self.client->lock);
        self.client->reconnect.used = 0; /* so long ago that the next call looks first */
        pthread_mutex_unlock(&self.client->lock);
    }
    end(&self);
}

static uint64_t count_open(const test_fixture *fixture)
{
    dari_counters counters = of_server(fixture);
    uint64_t open = counters.connections_open;
    dari_counters_end(&counters);
    return open;
}

static void await_closed(const test_fixture *fixture)
{
    uint64_t until = di_deadline_in(PATIENCE_MS * DARI_MS);
    while (count_open(fixture) > 0)
        assert_true(di_now() < until);
}

/* Whatever ends a connection, it is open no more, and was accepted once. */
static void connections_are_counted_however_they_end(void **state)
{
    (void)state;
    enum { WAYS = 4 };
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    uint8_t body[64], reply[64];
    fixture_begin(&fixture);
    fixture.options.first_call_ns = 20 * DARI_MS;
    fixture.options.idle_ns = 30 * DARI_MS;
    fixture_serve(&fixture);
    for (int way = 0; way < WAYS; way++) {
        di_connection *peer = raw_connect(&fixture);
        raw_call(body, 1, ECHO, ECHO_V1, 0);
        if (way < 2) { /* it closes, and it is idle */
            raw_send_record(peer, body, CALL);
            raw_read_record(peer, reply, sizeof reply);
        }
        if (way == 2) /* it sends no RPC; then it sends nothing at all */
            raw_send_record(peer, body, 3);
        if (way > 0)
            assert_true(raw_ended(peer));
        raw_close(peer);
        await_closed(&fixture);
        dari_counters counters = of_server(&fixture);
        assert_int_equal(counters.connections_accepted, way + 1);
        assert_int_equal(counters.connections_refused, 0);
        dari_counters_end(&counters);
    }
    fixture_end(&fixture);
}

/* A server of udp:// that answers each copy of a call. */
static void copies_of_a_call_are_counted_at_the_client(void **state)
{
    (void)state;
    enum { COPIES = 3, SIZE = CALL + 8 };
    uint16_t port;
    uint8_t bytes[128], reply[64];
    struct sockaddr_in from;
    dari_call call = {0};
    unsigned ends = 0;
    int server = open_socket(0, &port);
    dari_client *client = connect_to_port(port, &(dari_client_options){.retry_ns = 5 * DARI_MS});
    assert_int_equal(add_1_start(client, &(pair){3, 4}, &call, forget, &ends), 0);
    for (int copies = 0; copies < COPIES; copies++) {
        while (!readable(server, 0))
            assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
        assert_int_equal(take(server, bytes, sizeof bytes, &from), SIZE);
    }
    put(raw_reply(reply, dari_get_u32(bytes)), 7);
    for (int copies = 0; copies < COPIES; copies++)
        give(server, reply, REPLY + 4, &from);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    assert_int_equal(ends, 1);
    /* What is behind the first answer is read with the next call's. */
    unsigned more = 0;
    while (recv(server, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        more++;
    assert_int_equal(nothing_1_start(client, &call, forget_nothing, &ends), 0);
    while (!readable(server, 0))
        assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
    assert_int_equal(take(server, bytes, sizeof bytes, &from), CALL);
    raw_reply(reply, dari_get_u32(bytes));
    give(server, reply, REPLY, &from);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    dari_counters counters = of_client(client);
    check_calls(&counters.calls, 2, 0);
    assert_int_equal(counters.dropped, COPIES - 1);
    uint64_t repeated = counters.repeated;
    assert_true(repeated >= COPIES - 1);
    assert_in_range(counters.bytes_out - 2 * CALL - 8, CALL * (COPIES - 1 + more),
                    (CALL + 8) * repeated);
    assert_int_equal(counters.bytes_in, COPIES * (REPLY + 4) + REPLY);
    dari_counters_end(&counters);
    dari_client_close(client);
    dari_call_end(&call);
    close(server);
}

static int open_to(const test_fixture *fixture)
{
    return open_socket((uint16_t)strtoul(strrchr(fixture->address, ':') + 1, NULL, 10), NULL);
}

/* Copies of calls that are answered, and that are in progress. */
static void copies_of_a_call_are_counted_at_the_server(void **state)
{
    (void)state;
    enum { COPIES = 4, SIZE = CALL + 8 };
    test_fixture fixture = {.scheme = scheme_named("udp4")};
    uint8_t call[64], reply[64];
    fixture_begin(&fixture);
    fixture.options.workers = 1;
    fixture_serve(&fixture);
    int client = open_to(&fixture);
    put(put(raw_call(call, 9, ECHO, ECHO_V1, 2), 2), 3);
    fixture_close_gate(&fixture);
    give(client, call, SIZE, NULL);
    fixture_await_entered(&fixture, 1);
    for (int i = 0; i < COPIES; i++)
        give(client, call, SIZE, NULL);
    uint64_t until = di_deadline_in(PATIENCE_MS * DARI_MS);
    dari_counters counters = of_server(&fixture);
    while (counters.repeated < COPIES && di_now() < until) {
        dari_counters_end(&counters);
        counters = of_server(&fixture);
    }
    assert_int_equal(counters.repeated, COPIES);
    assert_int_equal(counters.calls.started, 1);
    assert_int_equal(counters.calls.in_flight, 1);
    check_bytes(counters, (1 + COPIES) * SIZE, 0);
    fixture_open_gate(&fixture);
    assert_int_equal(take(client, reply, sizeof reply, NULL), REPLY + 4);
    for (int i = 0; i < COPIES; i++) {
        give(client, call, SIZE, NULL);
        assert_int_equal(take(client, reply, sizeof reply, NULL), REPLY + 4);
    }
    counters = of_server(&fixture);
    check_calls(&counters.calls, 1, 0);
    assert_int_equal(counters.repeated, 2 * COPIES);
    assert_int_equal(counters.dropped, 0);
    assert_int_equal(counters.connections_accepted, 0);
    check_bytes(counters, (1 + 2 * COPIES) * SIZE, (1 + COPIES) * (REPLY + 4));
    close(client);
    fixture_end(&fixture);
}

/* Of udp:// what would be refused by more than was asked. */
static void refusals_that_are_not_sent_are_dropped(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("udp4")};
    uint8_t call[64], reply[64];
    fixture_begin(&fixture);
    fixture.options.workers = 1;
    fixture_serve(&fixture);
    int client = open_to(&fixture);
    raw_call(call, 1, ECHO, ECHO_V1, 0);
    put(call + 8, 3);
    give(client, call, 12, NULL);
    raw_call(call, 2, ECHO, ECHO_V1, 0);
    give(client, call, CALL, NULL);
    assert_int_equal(take(client, reply, sizeof reply, NULL), REPLY);
    dari_counters counters = of_server(&fixture);
    check_calls(&counters.calls, 1, 0);
    assert_int_equal(counters.dropped, 1);
    check_bytes(counters, 12 + CALL, REPLY);
    close(client);
    fixture_end(&fixture);
}

/* One connection, over which each side calls once, and serves. */
static void calls_both_ways_are_counted(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    test_home home = {0};
    int32_t result;
    fixture_begin(&fixture);
    dari_client *kept = subscribe(&fixture, 0, &home);
    fixture_start(&home.fixture);
    assert_int_equal(add(kept, &result, NULL), 0);
    assert_int_equal(result, 6);
    /* Those of the connection count all that passes it; the others their own messages, which have
     * no marks there. */
    const uint64_t called = CALL + 8, answered = REPLY + 4;
    check_bytes(of_client(home.client), 2 * MARK + REPLY + called, 2 * MARK + CALL + answered);
    check_bytes(of_server(&fixture), 2 * MARK + CALL + answered, 2 * MARK + REPLY + called);
    check_bytes(of_client(kept), answered, called);
    check_bytes(of_server(&home.fixture), called, answered);
    dari_counters all[] = {of_client(home.client), of_server(&fixture), of_client(kept),
                           of_server(&home.fixture)};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        check_calls(&all[i].calls, 1, 0);
        assert_int_equal(all[i].dropped, 0);
        dari_counters_end(&all[i]);
    }
    dari_client_close(kept);
    leave_home(&home);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_counted_once),
        cmocka_unit_test(fragments_are_counted_too),
        cmocka_unit_test(refusals_are_counted_by_their_reasons),
        cmocka_unit_test(calls_that_are_intercepted_are_counted),
        cmocka_unit_test(durations_are_those_of_the_calls),
        cmocka_unit_test(overload_and_loss_are_counted),
        cmocka_unit_test(lost_connections_stay_counted),
        cmocka_unit_test(connections_are_counted_however_they_end),
        cmocka_unit_test(copies_of_a_call_are_counted_at_the_client),
        cmocka_unit_test(copies_of_a_call_are_counted_at_the_server),
        cmocka_unit_test(calls_both_ways_are_counted),
        cmocka_unit_test(refusals_that_are_not_sent_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
