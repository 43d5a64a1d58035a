/* SPDX-License-Identifier: MIT */
/* Counters of both sides: known calls are counted as what they were, and every reading adds up. */
#include "conformance/cases.h"

#include <dari/counters.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Whether the calls add up as counters.h has it. */
static bool calls_add_up(const dari_call_counters *calls)
{
    uint64_t ok = 0, failed = 0;
    for (unsigned i = 0; i < DARI_LATENCY_BUCKETS; i++)
        ok += calls->latency[i];
    for (unsigned i = 0; i < DARI_ERROR_CODES; i++)
        failed += calls->errors[i];
    return ok == calls->ok && failed == calls->failed && calls->finished == ok + failed &&
           calls->started == calls->finished + calls->in_flight && calls->in_flight < UINT32_MAX;
}

static bool adds_up(const dari_counters *counters)
{
    bool right = calls_add_up(&counters->calls);
    uint64_t started = 0;
    for (uint32_t i = 0; i < counters->procedure_count; i++) {
        right &= calls_add_up(&counters->procedures[i].calls);
        started += counters->procedures[i].calls.started;
    }
    return right && started <= counters->calls.started &&
           counters->connections_open <= counters->connections_accepted;
}

static void read_client(dari_client *client, dari_counters *ret_counters)
{
    assert_int_equal(dari_client_counters(client, ret_counters), 0);
    assert_true(adds_up(ret_counters));
}

static void read_server(test_fixture *fixture, dari_counters *ret_counters)
{
    assert_int_equal(dari_server_counters(fixture->server, ret_counters), 0);
    assert_true(adds_up(ret_counters));
}

/* The calls of a procedure of ECHO; fails where it is not there. */
static const dari_call_counters *find(const dari_counters *counters, const char *name)
{
    for (uint32_t i = 0; i < counters->procedure_count; i++) {
        const dari_procedure_counters *at = &counters->procedures[i];
        if (at->program == ECHO && at->version == ECHO_V1 && strcmp(at->name, name) == 0) {
            assert_string_equal(at->interface, "ECHO_V1");
            return &at->calls;
        }
    }
    fail_msg("no counters of %s", name);
    return NULL;
}

static void check_calls(const dari_call_counters *calls, uint64_t ok, int error, uint64_t failed)
{
    assert_int_equal(calls->started, ok + failed);
    assert_int_equal(calls->ok, ok);
    assert_int_equal(calls->failed, failed);
    if (failed)
        assert_int_equal(calls->errors[-error], failed);
}

/* What both sides see of calls that are answered. */
static void check_answered(const dari_counters *counters)
{
    check_calls(find(counters, "ADD"), 3, 0, 0);
    check_calls(find(counters, "ECHO_DATA"), 1, 0, 0);
    const dari_call_counters *fails = find(counters, "FAIL");
    check_calls(fails, 1, DARI_SYSTEM_ERROR, 3);
    check_calls(find(counters, "UNANSWERED"), 0, DARI_PROCEDURE_UNAVAILABLE, 2);
    assert_int_equal(counters->calls.started, 11);
    assert_int_equal(counters->calls.ok, 5);
    assert_int_equal(counters->calls.errors[-DARI_PROGRAM_UNAVAILABLE], 1);
    assert_int_equal(counters->calls.in_flight, 0);
}

void calls_are_counted(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    for (int i = 0; i < 3; i++) {
        check_add(client);
        assert_int_equal(fail_1(client, &(int32_t){DARI_NO_MEMORY}, NULL), DARI_SYSTEM_ERROR);
    }
    check_echo(client, 1000);
    assert_int_equal(fail_1(client, &(int32_t){0}, NULL), 0);
    assert_int_equal(unanswered_1(client, NULL), DARI_PROCEDURE_UNAVAILABLE);
    assert_int_equal(unanswered_1(client, NULL), DARI_PROCEDURE_UNAVAILABLE);
    assert_int_equal(dari_client_ping(client, 1, 1, NULL), DARI_PROGRAM_UNAVAILABLE);
    dari_counters ours, theirs;
    read_client(client, &ours);
    read_server(fixture, &theirs);
    dari_client_close(client);
    check_answered(&ours);
    check_answered(&theirs);
    assert_int_equal(ours.procedure_count, 5);
    assert_string_equal(ours.procedures[4].name, "NULL");
    assert_int_equal(theirs.procedure_count, 7);
    assert_int_equal(ours.dropped, 0);
    if (!fixture->scheme->datagrams) {
        assert_int_equal(ours.bytes_out, theirs.bytes_in);
        assert_int_equal(ours.bytes_in, theirs.bytes_out);
        assert_int_equal(ours.repeated, 0);
    }
    assert_in_range(theirs.bytes_in, 1000 + 11 * 40, 1000 + 11 * 60);
    assert_in_range(theirs.bytes_out, 1000 + 11 * 24, 1000 + 11 * 40);
    dari_counters_end(&ours);
    dari_counters_end(&theirs);
    dari_counters_end(&theirs);
    dari_counters_end(NULL);
}

void failures_of_clients_are_counted(test_fixture *fixture)
{
    uint8_t byte = 0;
    uint32_t size;
    int32_t sum;
    dari_cancel *cancel = NULL;
    assert_int_equal(dari_cancel_create(&cancel), 0);
    dari_cancel_now(cancel);
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.message_max = 4096});
    dari_call cancelled = DARI_CALL(.cancel = cancel);
    assert_int_equal(nothing_1(client, &cancelled), DARI_CANCELLED);
    assert_int_equal(sink_1(client, &(opaque_data){5000, &byte}, &size, NULL), DARI_LIMIT);
    assert_int_equal(sink_1(client, &(opaque_data){1, NULL}, &size, NULL), DARI_MISSING);
    check_add(client); /* then the next one is sent before its deadline passes */
    fixture_close_gate(fixture);
    dari_call short_call = DARI_CALL(.deadline_ns = 20 * DARI_MS);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, &short_call), DARI_DEADLINE);
    fixture_open_gate(fixture);
    check_add(client);
    dari_counters counters;
    read_client(client, &counters);
    check_calls(find(&counters, "NOTHING"), 0, DARI_CANCELLED, 1);
    check_calls(find(&counters, "ADD"), 2, DARI_DEADLINE, 1);
    const dari_call_counters *sink = find(&counters, "SINK");
    assert_int_equal(sink->failed, 2);
    assert_int_equal(sink->errors[-DARI_LIMIT], 1);
    assert_int_equal(sink->errors[-DARI_MISSING], 1);
    assert_int_equal(counters.dropped, 1);
    dari_counters_end(&counters);
    fixture_stop(fixture);
    assert_true(nothing_1(client, NULL) < 0);
    read_client(client, &counters);
    assert_int_equal(find(&counters, "NOTHING")->failed, 2);
    dari_counters_end(&counters);
    dari_client_close(client);
    dari_cancel_destroy(cancel);
    dari_call_end(&cancelled);
    dari_call_end(&short_call);
}

/* Stops the server once no handler runs any more. */
static void await_handlers(test_fixture *fixture)
{
    dari_server_stop(fixture->server);
    pthread_join(fixture->thread, NULL);
    fixture->running = false;
}

/* Waits until all calls that the server has begun are over: nobody may wait for their replies. */
static void await_ends(test_fixture *fixture)
{
    uint64_t in_flight;
    do {
        dari_counters counters;
        sched_yield();
        read_server(fixture, &counters);
        in_flight = counters.calls.in_flight;
        dari_counters_end(&counters);
    } while (in_flight > 0);
}

static void forget(void *user, const int32_t *ret, dari_call *call)
{
    (void)ret;
    (void)call;
    ++*(unsigned *)user;
}

void calls_in_flight_are_counted(test_fixture *fixture)
{
    enum { COUNT = 5 };
    dari_call calls[COUNT] = {0};
    unsigned ends = 0;
    dari_counters counters;
    dari_cancel *cancel = NULL;
    assert_int_equal(dari_cancel_create(&cancel), 0);
    fixture->options.workers = COUNT;
    fixture_close_gate(fixture);
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    calls[0].cancel = cancel;
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(add_1_start(client, &(pair){i, 1}, &calls[i], forget, &ends), 0);
    while (fixture_entered(fixture) < COUNT)
        assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
    read_client(client, &counters);
    assert_int_equal(find(&counters, "ADD")->in_flight, COUNT);
    dari_counters_end(&counters);
    read_server(fixture, &counters);
    assert_int_equal(find(&counters, "ADD")->in_flight, COUNT);
    assert_int_equal(counters.calls.in_flight, COUNT);
    dari_counters_end(&counters);
    dari_cancel_now(cancel);
    assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
    assert_int_equal(ends, 1);
    fixture_open_gate(fixture);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    check_add(client);
    read_client(client, &counters);
    check_calls(find(&counters, "ADD"), COUNT, DARI_CANCELLED, 1);
    dari_counters_end(&counters);
    await_ends(fixture);
    dari_client_close(client);
    read_server(fixture, &counters);
    check_calls(find(&counters, "ADD"), COUNT + 1, 0, 0);
    dari_counters_end(&counters);
    for (int i = 0; i < COUNT; i++)
        dari_call_end(&calls[i]);
    dari_cancel_destroy(cancel);
}

void one_way_calls_are_counted(test_fixture *fixture)
{
    dari_counters counters;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(nothing_1_oneway(client, NULL), 0);
    check_add(client);
    read_client(client, &counters);
    check_calls(find(&counters, "NOTHING"), 4, 0, 0);
    assert_int_equal(counters.dropped, 4);
    dari_counters_end(&counters);
    read_server(fixture, &counters);
    check_calls(find(&counters, "NOTHING"), 4, 0, 0);
    dari_counters_end(&counters);
    dari_client_close(client);
}

/* Calls whose answers the test gives. */
static struct {
    test_fixture *fixture;
    dari_request *requests[2];
    unsigned count;
} kept;

static int keep_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)arg;
    (void)ret;
    pthread_mutex_lock(&kept.fixture->lock);
    kept.requests[kept.count++] = request;
    kept.fixture->entered++;
    pthread_cond_broadcast(&kept.fixture->changed);
    pthread_mutex_unlock(&kept.fixture->lock);
    return DARI_LATER;
}

static const echo_1_handlers keepers = {.add = keep_add};

void late_answers_are_counted(test_fixture *fixture)
{
    dari_counters counters;
    dari_call calls[2] = {0};
    unsigned ends = 0;
    kept.fixture = fixture;
    kept.count = 0;
    fixture->handlers = &keepers;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(add_1_start(client, &(pair){i, 1}, &calls[i], forget, &ends), 0);
    while (fixture_entered(fixture) < 2)
        assert_int_equal(dari_client_wait(client, DARI_MS), DARI_DEADLINE);
    read_server(fixture, &counters);
    assert_int_equal(find(&counters, "ADD")->in_flight, 2);
    dari_counters_end(&counters);
    assert_int_equal(add_1_reply(kept.requests[0], &(int32_t){3}), 0);
    dari_request_fail(kept.requests[1], DARI_AUTH);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    for (int side = 0; side < 2; side++) {
        if (side == 0)
            read_client(client, &counters);
        else
            read_server(fixture, &counters);
        check_calls(find(&counters, "ADD"), 1, DARI_AUTH, 1);
        dari_counters_end(&counters);
    }
    dari_client_close(client);
    for (int i = 0; i < 2; i++)
        dari_call_end(&calls[i]);
}

void answers_to_nobody_are_counted(test_fixture *fixture)
{
    dari_counters counters;
    dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_MS);
    int32_t sum;
    kept.fixture = fixture;
    kept.count = 0;
    fixture->handlers = &keepers;
    fixture_listen(fixture);
    fixture_start(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    /* Both sides meet, so that the next call is sent before its deadline passes. */
    assert_int_equal(nothing_1(client, NULL), 0);
    assert_int_equal(add_1(client, &(pair){1, 1}, &sum, &call), DARI_DEADLINE);
    fixture_await_entered(fixture, 1);
    await_handlers(fixture);
    dari_client_close(client);
    dari_server_finish(fixture->server, 0);
    dari_server_run(fixture->server);
    assert_int_equal(add_1_reply(kept.requests[0], &sum), DARI_CLOSED);
    read_server(fixture, &counters);
    check_calls(find(&counters, "ADD"), 0, DARI_CLOSED, 1);
    assert_int_equal(counters.connections_open, 0);
    dari_counters_end(&counters);
    dari_call_end(&call);
}

void connections_are_counted(test_fixture *fixture)
{
    enum { COUNT = 4 };
    dari_counters counters;
    dari_client *clients[COUNT];
    fixture->options.connections_per_peer_max = COUNT;
    fixture_serve(fixture);
    for (int i = 0; i < COUNT; i++) {
        clients[i] = fixture_connect(fixture, NULL);
        check_add(clients[i]);
    }
    di_connection *refused = raw_connect(fixture);
    assert_true(raw_ended(refused));
    raw_close(refused);
    fixture_await_logged(fixture, 1);
    check_add(clients[0]);
    read_server(fixture, &counters);
    assert_int_equal(counters.connections_open, COUNT);
    assert_int_equal(counters.connections_accepted, COUNT);
    assert_int_equal(counters.connections_refused, 1);
    dari_counters_end(&counters);
    for (int i = 0; i < COUNT; i++)
        dari_client_close(clients[i]);
    fixture_stop(fixture);
}

/* Threads that share a client and a server, and one that reads all the while. */
typedef struct busy {
    test_fixture *fixture;
    dari_client *client;
    atomic_bool over;
    atomic_uint wrong;
    unsigned readings;
} busy;

static void *call_on(void *argument)
{
    enum { CALLS = 200 };
    busy *all = argument;
    dari_call call = {0};
    for (int i = 0; i < CALLS; i++) {
        int32_t sum;
        call.deadline_ns = i % 10 == 9 ? 1 : 0;
        int error = i % 3 == 0 ? fail_1(all->client, &(int32_t){DARI_CLOSED}, &call)
                               : add_1(all->client, &(pair){i, i}, &sum, &call);
        bool expected = error == DARI_DEADLINE ? i % 10 == 9 : i % 3 ? !error : error != 0;
        all->wrong += !expected;
    }
    dari_call_end(&call);
    return NULL;
}

static void *read_on(void *argument)
{
    busy *all = argument;
    uint64_t before = 0;
    do {
        dari_counters ours, theirs;
        if (dari_client_counters(all->client, &ours) < 0 ||
            dari_server_counters(all->fixture->server, &theirs) < 0) {
            all->wrong++;
            return NULL;
        }
        all->wrong += !adds_up(&ours) + !adds_up(&theirs) + (ours.calls.finished < before);
        before = ours.calls.finished;
        dari_counters_end(&ours);
        dari_counters_end(&theirs);
        all->readings++;
    } while (!all->over);
    return NULL;
}

void every_reading_adds_up(test_fixture *fixture)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS], reader;
    fixture->options.workers = 2;
    fixture_serve(fixture);
    busy all = {.fixture = fixture, .client = fixture_connect(fixture, NULL)};
    assert_int_equal(pthread_create(&reader, NULL, read_on, &all), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_on, &all), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    all.over = true;
    pthread_join(reader, NULL);
    assert_int_equal(all.wrong, 0);
    assert_true(all.readings > 0);
    dari_counters counters;
    read_client(all.client, &counters);
    assert_int_equal(counters.calls.started, THREADS * 200);
    assert_int_equal(counters.calls.in_flight, 0);
    dari_counters_end(&counters);
    dari_client_close(all.client);
    read_server(fixture, &counters);
    assert_int_equal(counters.connections_accepted, !fixture->scheme->datagrams);
    dari_counters_end(&counters);
}
