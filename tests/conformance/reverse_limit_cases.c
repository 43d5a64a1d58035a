/* SPDX-License-Identifier: MIT */
/* Calls both ways at their limits: calls in progress, what waits to be sent, sizes, time. */
#include "conformance/home.h"

#include "base/clock.h"
#include "loop/inlet.h"
#include "loop/server.h"

#include <dari/counters.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void send_call(di_connection *peer, uint32_t xid)
{
    uint8_t message[64];
    const uint8_t *at = raw_call(message, xid, ECHO, ECHO_V1, 0);
    raw_send_record(peer, message, (size_t)(at - message));
}

static void check_answer(di_connection *peer, uint32_t xid, uint32_t status)
{
    uint8_t reply[64];
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
    assert_int_equal(dari_get_u32(reply), xid);
    assert_int_equal(dari_get_u32(reply + 20), status);
}

static void dispatch_until_dropped(dari_client *client, uint64_t count)
{
    uint64_t dropped;
    uint64_t until = di_deadline_in(10 * DARI_S);
    do {
        dari_counters counters;
        assert_in_range(dari_client_dispatch(client), 0, 1);
        assert_int_equal(dari_client_counters(client, &counters), 0);
        dropped = counters.dropped;
        dari_counters_end(&counters);
    } while (dropped < count && di_now() < until);
    assert_int_equal(dropped, count);
}

void calls_that_nobody_takes_are_refused(test_fixture *fixture)
{
    enum { SENT = 4 };
    test_home home = {.options.queued_max = 1};
    di_listener *listener = raw_listen(fixture);
    go_home(&home, fixture);
    di_connection *peer = raw_accept(listener);
    /* The client receives, but its server does not run: one call waits. */
    for (uint32_t i = 0; i < SENT; i++)
        send_call(peer, i);
    dispatch_until_dropped(home.client, SENT - 1);
    assert_in_range(dari_client_dispatch(home.client), 0, 1);
    for (uint32_t i = 1; i < SENT; i++)
        check_answer(peer, i, 5);
    fixture_start(&home.fixture);
    check_answer(peer, 0, 0);
    raw_close(peer);
    listener->ops->close(listener);
    leave_home(&home);
}

typedef struct test_echoing {
    dari_client *client;
    unsigned answered, refused, failed;
} test_echoing;

/* Who is refused while others are served goes on until there is room for him. */
static void *echo_often(void *argument)
{
    enum { SIZE = 400000, TIMES = 15, TIMES_MAX = 1000000 };
    test_echoing *all = argument;
    dari_call call = {0};
    uint8_t *bytes = pattern(SIZE);
    for (int i = 0; i < TIMES || (all->answered + all->failed == 0 && i < TIMES_MAX); i++) {
        opaque_data result;
        int error = echo_data_1(all->client, &(opaque_data){SIZE, bytes}, &result, &call);
        bool right = error == 0 && result.size == SIZE && !memcmp(result.data, bytes, SIZE);
        all->answered += right;
        all->refused += error == DARI_SYSTEM_ERROR;
        all->failed += !right && error != DARI_SYSTEM_ERROR;
        dari_call_reset(&call);
    }
    free(bytes);
    dari_call_end(&call);
    return NULL;
}

/* Both outputs are full most of the time: the server's calls may be too many for the client, but
 * all end before their deadlines. */
void both_sides_full_never_lock(test_fixture *fixture)
{
    enum { THREADS = 8 };
    test_home home = {.options = {.workers = 2, .queued_max = 1000000}};
    fixture->options.queued_max = 100000;
    dari_client *kept = subscribe(fixture, 2, &home);
    fixture_start(&home.fixture);
    pthread_t threads[THREADS];
    test_echoing all[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        all[i].client = i % 2 ? home.client : kept;
        assert_int_equal(pthread_create(&threads[i], NULL, echo_often, &all[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(all[i].failed, 0);
        assert_true(all[i].answered > 0);
        assert_true(all[i].refused == 0 || all[i].client == kept);
    }
    dari_client_close(kept);
    leave_home(&home);
}

static void count_sum(void *user, const int32_t *ret, dari_call *call)
{
    (void)call;
    *(unsigned *)user += ret && *ret == 19;
}

/* More calls than may be in progress, each of which waits for its caller. */
static void check_many(test_fixture *fixture, uint32_t workers, unsigned count)
{
    test_home home = {0};
    unsigned answered = 0;
    dari_call *calls = calloc(count, sizeof *calls);
    assert_non_null(calls);
    serve_callers(fixture, workers, &home);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(add_1_start(home.client, &(pair){3, 4}, &calls[i], count_sum, &answered),
                         0);
    assert_int_equal(dari_client_wait(home.client, UINT64_MAX), 0);
    assert_int_equal(answered, count);
    for (unsigned i = 0; i < count; i++)
        dari_call_end(&calls[i]);
    free(calls);
    leave_home(&home);
}

void many_calls_wait_for_their_caller(test_fixture *fixture)
{
    fixture->options.calls_per_connection_max = 40;
    check_many(fixture, 4, 300);
}

void many_calls_in_the_loop_call_back(test_fixture *fixture)
{
    fixture->options.calls_max = 10;
    check_many(fixture, 0, 70);
}

/* Calls that their handler has left for later, in the loop's thread. */
static dari_request *left[DI_CALLS_BEYOND];
static unsigned left_count;

static int call_over(dari_request *request)
{
    dari_client *client;
    int error = dari_request_client(request, &client);
    if (error == 0)
        dari_client_close(client);
    return error;
}

static int leave(dari_request *request, const pair *arg, int32_t *ret)
{
    left[left_count++ % DI_CALLS_BEYOND] = request;
    echo_handlers.add(request, arg, ret);
    return DARI_LATER;
}

static const echo_1_handlers leavers = {.nothing = call_over, .add = leave};

/* A limit of one call in progress becomes one of DI_CALLS_BEYOND where the server calls. */
static void check_beyond(test_fixture *fixture, unsigned connections)
{
    dari_client *clients[2];
    test_ending calls[DI_CALLS_BEYOND] = {0};
    left_count = 0;
    fixture->handlers = &leavers;
    fixture_serve(fixture);
    for (unsigned i = 0; i < connections; i++) {
        clients[i] = fixture_connect(fixture, NULL);
        assert_int_equal(nothing_1(clients[i], NULL), 0);
    }
    for (unsigned i = 0; i < DI_CALLS_BEYOND; i++) {
        start_ending(&calls[i], clients[i % connections]);
        assert_in_range(dari_client_dispatch(clients[i % connections]), 0, 1);
        fixture_await_entered(fixture, i + 1);
    }
    int32_t sum = 3;
    for (unsigned i = 0; i < connections; i++)
        assert_int_equal(add_1(clients[i], &(pair){1, 2}, &sum, NULL), DARI_SYSTEM_ERROR);
    assert_int_equal(left_count, DI_CALLS_BEYOND);
    assert_int_equal(add_1_reply(left[0], &sum), 0);
    test_ending another = {0};
    start_ending(&another, clients[0]);
    assert_in_range(dari_client_dispatch(clients[0]), 0, 1);
    fixture_await_entered(fixture, DI_CALLS_BEYOND + 1);
    for (unsigned i = 0; i < DI_CALLS_BEYOND; i++)
        assert_int_equal(add_1_reply(left[i], &sum), 0);
    for (unsigned i = 0; i < connections; i++)
        assert_int_equal(dari_client_wait(clients[i], UINT64_MAX), 0);
    for (unsigned i = 0; i < DI_CALLS_BEYOND; i++)
        await_ending(&calls[i], 0);
    await_ending(&another, 0);
    for (unsigned i = 0; i < connections; i++)
        dari_client_close(clients[i]);
}

void calls_beyond_the_limit_are_refused(test_fixture *fixture)
{
    fixture->options.calls_per_connection_max = 1;
    check_beyond(fixture, 1);
}

void calls_beyond_all_limits_are_refused(test_fixture *fixture)
{
    fixture->options.calls_max = 1;
    check_beyond(fixture, 2);
}

static void ignore(void *user, const opaque_data *ret, dari_call *call)
{
    (void)ret;
    (void)call;
    ++*(unsigned *)user;
}

void calls_to_a_peer_that_reads_nothing(test_fixture *fixture)
{
    enum { SIZE = 400000, MOST = 100 };
    test_home home = {0};
    static uint8_t bytes[SIZE];
    dari_client *kept = subscribe(fixture, 0, &home);
    dari_call calls[MOST] = {0};
    int error = 0;
    unsigned count = 0;
    unsigned ended = 0;
    while (count < MOST && error == 0)
        error =
            echo_data_1_start(kept, &(opaque_data){SIZE, bytes}, &calls[count++], ignore, &ended);
    assert_int_equal(error, DARI_FULL);
    fixture_stop(fixture);
    assert_int_equal(ended, count - 1);
    dari_client_close(kept);
    for (unsigned i = 0; i < count; i++)
        dari_call_end(&calls[i]);
    leave_home(&home);
}

static void *wait_for_all(void *argument)
{
    dari_client_wait(argument, UINT64_MAX);
    return NULL;
}

/* Answers that say so are sent as long as few of them wait. */
void refusals_that_nobody_reads_are_limited(test_fixture *fixture)
{
    enum { BEYOND = 50, SIZE = 400000, MOST = 100 };
    static uint8_t bytes[SIZE + 64];
    test_home home = {.options.queued_max = 1};
    di_listener *listener = raw_listen(fixture);
    go_home(&home, fixture);
    di_connection *peer = raw_accept(listener);
    dari_call calls[MOST] = {0};
    unsigned count = 0, ended = 0;
    while (count < MOST && echo_data_1_start(home.client, &(opaque_data){SIZE, bytes},
                                             &calls[count], ignore, &ended) == 0)
        count++;
    assert_in_range(count, 1, MOST - 1);
    for (uint32_t i = 0; i <= DI_REFUSALS_MAX + BEYOND; i++) {
        send_call(peer, i);
        assert_in_range(dari_client_dispatch(home.client), 0, 1);
    }
    dispatch_until_dropped(home.client, DI_REFUSALS_MAX + BEYOND);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_all, home.client), 0);
    for (unsigned i = 0; i < count; i++)
        assert_true(raw_read_record(peer, bytes, sizeof bytes) > SIZE);
    for (uint32_t i = 1; i <= DI_REFUSALS_MAX; i++)
        check_answer(peer, i, 5);
    /* All are sent: it says so again. */
    send_call(peer, 77);
    check_answer(peer, 77, 5);
    raw_close(peer);
    listener->ops->close(listener);
    pthread_join(thread, NULL);
    assert_int_equal(ended, count);
    for (unsigned i = 0; i < MOST; i++)
        dari_call_end(&calls[i]);
    leave_home(&home);
}

/* More than the client takes, of arguments or results; its server would take it. */
static int grow(dari_request *request, const opaque_data *arg, opaque_data *ret)
{
    static uint8_t bytes[6000];
    echo_handlers.echo_data(request, arg, ret);
    *ret = (opaque_data){arg->size == 1 ? sizeof bytes : arg->size, bytes};
    return 0;
}

void limits_of_a_client_that_serves(test_fixture *fixture)
{
    static const uint8_t bytes[6000];
    echo_1_handlers growers = echo_handlers;
    growers.echo_data = grow;
    test_home home = {.client_options.message_max = 5000, .fixture.handlers = &growers};
    dari_client *kept = subscribe(fixture, 0, &home);
    fixture_start(&home.fixture);
    dari_call call = {0};
    opaque_data ret;
    uint32_t size = 0;
    assert_int_equal(sink_1(kept, &(opaque_data){4956, bytes}, &size, &call), 0);
    assert_int_equal(size, 4956);
    assert_int_equal(sink_1(kept, &(opaque_data){4957, bytes}, &size, &call),
                     DARI_GARBAGE_ARGUMENTS);
    assert_int_equal(sink_1(kept, &(opaque_data){6000, bytes}, &size, &call),
                     DARI_GARBAGE_ARGUMENTS);
    assert_false(call.may_have_run);
    assert_int_equal(echo_data_1(kept, &(opaque_data){1, bytes}, &ret, &call), DARI_SYSTEM_ERROR);
    check_add(kept);
    check_add(home.client);
    dari_call_end(&call);
    dari_client_close(kept);
    leave_home(&home);
}

/* A server's call that its peer is long about. */
static dari_client *waiting;
static test_ending waited;

static int wait_for_peer(dari_request *request)
{
    assert_int_equal(dari_request_client(request, &waiting), 0);
    start_ending(&waited, waiting);
    return 0;
}

static const echo_1_handlers waiters = {.nothing = wait_for_peer};

/* The connection is not idle until that has ended. */
void who_waits_for_a_peer_is_not_idle(test_fixture *fixture)
{
    waited = (test_ending){.call.deadline_ns = 750 * DARI_MS, .error = 1};
    fixture->options.idle_ns = 250 * DARI_MS;
    fixture->handlers = &waiters;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    assert_int_equal(nothing_1(client, NULL), 0);
    await_ending(&waited, DARI_DEADLINE);
    fixture_await_logged(fixture, 1);
    assert_non_null(strstr(fixture->log_text, "idle"));
    int error;
    while ((error = nothing_1_oneway(waiting, NULL)) == 0)
        sched_yield();
    assert_int_equal(error, DARI_CLOSED);
    dari_client_close(waiting);
    dari_client_close(client);
}
