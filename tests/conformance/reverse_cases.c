/* SPDX-License-Identifier: MIT */
/* Calls against the direction of the connection: the server calls, the client answers. */
#include "conformance/cases.h"

#include "loop/client.h"

#include <dari/counters.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The client's side: a server without an address, which answers what comes to the client. */
typedef struct test_home {
    test_fixture fixture; /* its server, the thread of that, and how many calls came */
    dari_client *client;
} test_home;

/* The other side's add gives a sum, this one a product. */
static int multiply(dari_request *request, const pair *arg, int32_t *ret)
{
    echo_handlers.add(request, arg, ret);
    *ret = arg->a * arg->b;
    return 0;
}

static void go_home(test_home *home, test_fixture *fixture, const dari_server_options *options)
{
    memset(home, 0, sizeof *home);
    pthread_mutex_init(&home->fixture.lock, NULL);
    pthread_cond_init(&home->fixture.changed, NULL);
    static echo_1_handlers handlers;
    handlers = echo_handlers;
    handlers.add = multiply;
    assert_int_equal(dari_server_create(options, &home->fixture.server), 0);
    assert_int_equal(echo_1_serve(home->fixture.server, &handlers, &home->fixture), 0);
    home->client = fixture_connect(fixture, NULL);
    assert_int_equal(dari_server_serve_client(home->fixture.server, home->client), 0);
}

static void stay_home(test_home *home, test_fixture *fixture)
{
    go_home(home, fixture, NULL);
    fixture_start(&home->fixture);
}

static void leave_home(test_home *home)
{
    fixture_stop(&home->fixture);
    dari_client_close(home->client);
    pthread_cond_destroy(&home->fixture.changed);
    pthread_mutex_destroy(&home->fixture.lock);
}

/* Asks the caller for the product, and returns that and the sum. */
static int add_product(dari_request *request, const pair *arg, int32_t *ret)
{
    dari_client *client = NULL;
    int32_t product = 0;
    int error = dari_request_client(request, &client);
    if (error == 0)
        error = add_1(client, arg, &product, NULL);
    dari_client_close(client);
    *ret = arg->a + arg->b + product;
    return error;
}

static const echo_1_handlers callers = {.add = add_product};

static void check_both(dari_client *client)
{
    int32_t result = 0;
    assert_int_equal(add_1(client, &(pair){3, 4}, &result, NULL), 0);
    assert_int_equal(result, 3 + 4 + 3 * 4);
}

void a_handler_calls_its_caller(test_fixture *fixture)
{
    test_home home;
    fixture->handlers = &callers;
    fixture->options.workers = 2;
    fixture_serve(fixture);
    stay_home(&home, fixture);
    for (int i = 0; i < 20; i++)
        check_both(home.client);
    assert_int_equal(home.fixture.entered, 20);
    leave_home(&home);
}

void calls_do_not_hold_back_answers(test_fixture *fixture)
{
    test_home home;
    fixture->handlers = &callers;
    fixture->options.workers = 1;
    fixture->options.calls_per_connection_max = fixture->options.calls_max = 1;
    fixture_serve(fixture);
    stay_home(&home, fixture);
    for (int i = 0; i < 20; i++)
        check_both(home.client);
    leave_home(&home);
}

/* What a handler in the loop knows while its call is in flight. */
typedef struct relayed {
    dari_request *request;
    dari_client *client;
    dari_call call;
    int32_t sum;
} relayed;

static void relay(void *user, const int32_t *ret, dari_call *call)
{
    relayed *one = user;
    assert_int_equal(call->error, 0);
    int32_t result = one->sum + *ret;
    assert_int_equal(add_1_reply(one->request, &result), 0);
    dari_client_close(one->client);
    dari_call_end(&one->call);
    free(one);
}

static int add_later(dari_request *request, const pair *arg, int32_t *ret)
{
    relayed *one = calloc(1, sizeof *one);
    assert_non_null(one);
    one->request = request;
    one->sum = arg->a + arg->b;
    assert_int_equal(dari_request_client(request, &one->client), 0);
    assert_int_equal(add_1(one->client, arg, ret, NULL), DARI_DEADLOCK);
    assert_int_equal(dari_client_wait(one->client, UINT64_MAX), DARI_DEADLOCK);
    assert_int_equal(add_1_start(one->client, arg, &one->call, relay, one), 0);
    return DARI_LATER;
}

static const echo_1_handlers relayers = {.add = add_later};

void a_handler_in_the_loop_starts_calls(test_fixture *fixture)
{
    test_home home;
    fixture->handlers = &relayers;
    fixture_serve(fixture);
    stay_home(&home, fixture);
    for (int i = 0; i < 20; i++)
        check_both(home.client);
    leave_home(&home);
}

static void take_result(void *user, const int32_t *ret, dari_call *call)
{
    assert_int_equal(call->error, 0);
    *(int32_t *)user = *ret;
}

void one_loop_for_both_sides(test_fixture *fixture)
{
    test_home home;
    fixture->handlers = &relayers;
    fixture_listen(fixture);
    go_home(&home, fixture, NULL);
    int32_t result = 0;
    dari_call call = {0};
    assert_int_equal(add_1_start(home.client, &(pair){3, 4}, &call, take_result, &result), 0);
    while (result == 0) {
        step(home.fixture.server, 1);
        step(fixture->server, 1);
    }
    assert_int_equal(result, 19);
    dari_call_end(&call);
    leave_home(&home);
}

/* Keeps the client by which its caller can be called. */
static dari_client *kept;

static int keep_client(dari_request *request)
{
    dari_client *client;
    assert_int_equal(dari_request_client(request, &client), 0);
    kept = client;
    return 0;
}

static const echo_1_handlers keepers = {.nothing = keep_client};

static void subscribe(test_fixture *fixture, test_home *home, const dari_server_options *options)
{
    kept = NULL;
    fixture->handlers = &keepers;
    fixture_serve(fixture);
    go_home(home, fixture, options);
    assert_int_equal(nothing_1(home->client, NULL), 0);
    assert_non_null(kept);
}

void a_server_calls_from_its_own_threads(test_fixture *fixture)
{
    enum { COUNT = 1000 };
    test_home home;
    subscribe(fixture, &home, NULL);
    fixture_start(&home.fixture);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(nothing_1_oneway(kept, NULL), 0);
    fixture_await_entered(&home.fixture, COUNT);
    check_echo(kept, 0);
    check_echo(kept, 100);
    check_echo(kept, (size_t)1 << 20);
    dari_client_close(kept);
    leave_home(&home);
}

void calls_that_nobody_takes_are_refused(test_fixture *fixture)
{
    enum { SENT = 5 };
    uint8_t message[64], reply[64];
    test_home home;
    di_listener *listener = raw_listen(fixture);
    go_home(&home, fixture, &(dari_server_options){.queued_max = 1});
    di_connection *peer = raw_accept(listener);
    for (uint32_t i = 0; i < SENT; i++) {
        const uint8_t *at = raw_call(message, i, ECHO, ECHO_V1, 0);
        raw_send_record(peer, message, (size_t)(at - message));
    }
    dari_counters counters = {0};
    /* The client receives, but its server does not run: one call waits. */
    do {
        dari_counters_end(&counters);
        assert_in_range(dari_client_dispatch(home.client), 0, 1);
        assert_int_equal(dari_client_counters(home.client, &counters), 0);
    } while (counters.dropped < SENT - 1);
    dari_counters_end(&counters);
    assert_in_range(dari_client_dispatch(home.client), 0, 1);
    for (uint32_t i = 1; i < SENT; i++) {
        assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
        assert_int_equal(dari_get_u32(reply), i);
        assert_int_equal(dari_get_u32(reply + 20), 5);
    }
    fixture_start(&home.fixture);
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
    assert_int_equal(dari_get_u32(reply), 0);
    assert_int_equal(dari_get_u32(reply + 20), 0);
    raw_close(peer);
    listener->ops->close(listener);
    leave_home(&home);
}

typedef struct test_echoing {
    dari_client *client;
    unsigned answered, refused, failed;
} test_echoing;

static void *echo_often(void *argument)
{
    enum { SIZE = 400000, TIMES = 15 };
    test_echoing *all = argument;
    dari_call call = {0};
    uint8_t *bytes = pattern(SIZE);
    for (int i = 0; i < TIMES; i++) {
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
    test_home home;
    const dari_server_options options = {.workers = 2, .queued_max = 1000000};
    echo_1_handlers handlers = echo_handlers;
    handlers.nothing = keep_client;
    fixture->handlers = &handlers;
    fixture->options.workers = 2;
    fixture->options.queued_max = 100000;
    kept = NULL;
    fixture_serve(fixture);
    go_home(&home, fixture, &options);
    assert_int_equal(nothing_1(home.client, NULL), 0);
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

typedef struct test_calling {
    dari_client *client;
    int32_t (*expected)(int32_t a, int32_t b);
    unsigned failed;
} test_caller;

static int32_t add(int32_t a, int32_t b)
{
    return a + b;
}

static int32_t product(int32_t a, int32_t b)
{
    return a * b;
}

static void *call_often(void *argument)
{
    test_caller *calling = argument;
    for (int32_t i = 0; i < 300; i++) {
        int32_t result = -1;
        int error = add_1(calling->client, &(pair){i, 7}, &result, NULL);
        calling->failed += error < 0 || result != calling->expected(i, 7);
    }
    return NULL;
}

void both_sides_call_at_once(test_fixture *fixture)
{
    enum { THREADS = 6 };
    test_home home;
    const dari_server_options options = {.workers = 2};
    fixture->options.workers = 2;
    echo_1_handlers handlers = echo_handlers;
    handlers.nothing = keep_client;
    fixture->handlers = &handlers;
    kept = NULL;
    fixture_serve(fixture);
    go_home(&home, fixture, &options);
    assert_int_equal(nothing_1(home.client, NULL), 0);
    fixture_start(&home.fixture);
    pthread_t threads[THREADS];
    test_caller all[THREADS];
    for (int i = 0; i < THREADS; i++) {
        all[i] = i % 2 ? (test_caller){home.client, add, 0} : (test_caller){kept, product, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &all[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(all[i].failed, 0);
    }
    dari_client_close(kept);
    leave_home(&home);
}

/* How a call in flight ended. */
typedef struct test_ending {
    dari_call call;
    atomic_int error; /* 1: not yet */
} test_ending;

static void end_flight(void *user, const int32_t *ret, dari_call *call)
{
    (void)ret;
    test_ending *ending = user;
    atomic_store(&ending->error, call->error);
}

static void await_ending(test_ending *ending, int error)
{
    while (atomic_load(&ending->error) == 1)
        sched_yield();
    assert_int_equal(atomic_load(&ending->error), error);
    dari_call_end(&ending->call);
}

void deadlines_of_calls_to_clients(test_fixture *fixture)
{
    test_home home;
    subscribe(fixture, &home, NULL);
    fixture_start(&home.fixture);
    fixture_close_gate(&home.fixture);
    int32_t result;
    dari_call call = {.deadline_ns = 30 * DARI_MS};
    assert_int_equal(add_1(kept, &(pair){1, 2}, &result, &call), DARI_DEADLINE);
    assert_true(call.may_have_run);
    test_ending flight = {.call = {.deadline_ns = 30 * DARI_MS}, .error = 1};
    assert_int_equal(add_1_start(kept, &(pair){1, 2}, &flight.call, end_flight, &flight), 0);
    await_ending(&flight, DARI_DEADLINE);
    fixture_open_gate(&home.fixture);
    assert_int_equal(add_1(kept, &(pair){3, 5}, &result, NULL), 0);
    assert_int_equal(result, 15);
    dari_client_close(kept);
    leave_home(&home);
}

void a_called_client_goes(test_fixture *fixture)
{
    test_home home;
    subscribe(fixture, &home, NULL);
    test_ending flight = {.error = 1};
    assert_int_equal(add_1_start(kept, &(pair){1, 2}, &flight.call, end_flight, &flight), 0);
    dari_client_close(home.client);
    home.client = NULL;
    await_ending(&flight, DARI_CLOSED);
    int32_t result;
    assert_int_equal(add_1(kept, &(pair){1, 2}, &result, NULL), DARI_CLOSED);
    assert_int_equal(nothing_1_oneway(kept, NULL), DARI_CLOSED);
    dari_client_close(kept);
    leave_home(&home);
}

void a_calling_server_goes(test_fixture *fixture)
{
    test_home home;
    subscribe(fixture, &home, NULL);
    test_ending flight = {.error = 1};
    assert_int_equal(add_1_start(kept, &(pair){1, 2}, &flight.call, end_flight, &flight), 0);
    fixture_stop(fixture);
    await_ending(&flight, DARI_CLOSED);
    assert_int_equal(nothing_1(kept, NULL), DARI_CLOSED);
    dari_client_close(kept);
    leave_home(&home);
}

void the_server_of_a_client_goes(test_fixture *fixture)
{
    test_home home;
    fixture->handlers = &callers;
    fixture->options.workers = 1;
    fixture_serve(fixture);
    stay_home(&home, fixture);
    check_both(home.client);
    fixture_stop(&home.fixture);
    /* Nobody answers the server, but the client goes on. */
    int32_t result;
    dari_call call = {.deadline_ns = 30 * DARI_MS};
    assert_int_equal(add_1(home.client, &(pair){1, 2}, &result, &call), DARI_DEADLINE);
    dari_counters counters;
    assert_int_equal(dari_client_counters(home.client, &counters), 0);
    assert_int_equal(counters.dropped, 1);
    dari_counters_end(&counters);
    leave_home(&home);
}

void a_client_that_serves_connects_again(test_fixture *fixture)
{
    test_home home;
    fixture->handlers = &callers;
    fixture->options.workers = 1;
    fixture_serve(fixture);
    stay_home(&home, fixture);
    check_both(home.client);
    fixture_stop(fixture);
    fixture_serve(fixture);
    int32_t result = 0;
    int error;
    do
        error = add_1(home.client, &(pair){3, 4}, &result, NULL);
    while (error == DARI_CLOSED);
    assert_int_equal(error, 0);
    assert_int_equal(result, 19);
    check_both(home.client);
    leave_home(&home);
}

void a_client_serves_by_the_wire(test_fixture *fixture)
{
    uint8_t message[64], reply[64];
    test_home home;
    di_listener *listener = raw_listen(fixture);
    stay_home(&home, fixture);
    di_connection *peer = raw_accept(listener);
    uint8_t *at = raw_call(message, 77, ECHO, ECHO_V1, ADD);
    dari_put_i32(at, 6);
    dari_put_i32(at + 4, 7);
    raw_send_record(peer, message, (size_t)(at + 8 - message));
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 28);
    assert_int_equal(dari_get_u32(reply), 77);
    assert_int_equal(dari_get_u32(reply + 4), 1);
    assert_int_equal(dari_get_i32(reply + 24), 42);
    /* What is called in vain is told so; what is no call ends the connection. */
    at = raw_call(message, 78, ECHO + 1, ECHO_V1, ADD);
    raw_send_record(peer, message, (size_t)(at - message));
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
    assert_int_equal(dari_get_u32(reply + 20), 1);
    raw_send_record(peer, message, 12);
    assert_true(raw_ended(peer));
    raw_close(peer);
    listener->ops->close(listener);
    leave_home(&home);
}

void a_server_calls_by_the_wire(test_fixture *fixture)
{
    uint8_t message[64], call[64];
    fixture->handlers = &callers;
    fixture->options.workers = 1;
    fixture_serve(fixture);
    di_connection *peer = raw_connect(fixture);
    uint8_t *at = raw_call(message, 77, ECHO, ECHO_V1, ADD);
    dari_put_i32(at, 6);
    dari_put_i32(at + 4, 7);
    raw_send_record(peer, message, (size_t)(at + 8 - message));
    assert_int_equal(raw_read_record(peer, call, sizeof call), 48);
    uint32_t xid = dari_get_u32(call);
    assert_int_equal(dari_get_u32(call + 4), 0);
    assert_memory_equal(call + 8, message + 8, 40);
    /* A reply that nobody waits for is dropped; the right one is taken. */
    at = raw_reply(message, xid + 1);
    dari_put_i32(at, 41);
    raw_send_record(peer, message, (size_t)(at + 4 - message));
    at = raw_reply(message, xid);
    dari_put_i32(at, 42);
    raw_send_record(peer, message, (size_t)(at + 4 - message));
    assert_int_equal(raw_read_record(peer, message, sizeof message), 28);
    assert_int_equal(dari_get_u32(message), 77);
    assert_int_equal(dari_get_i32(message + 24), 13 + 42);
    raw_close(peer);
}

void what_cannot_call_back_says_so(test_fixture *fixture)
{
    test_home home;
    subscribe(fixture, &home, NULL);
    dari_server *other = NULL;
    assert_int_equal(dari_server_create(NULL, &other), 0);
    assert_int_equal(dari_server_serve_client(other, home.client), DARI_IN_USE);
    assert_int_equal(dari_server_serve_client(other, kept), DARI_INVALID);
    dari_server_destroy(other);
    dari_cancel *cancel = NULL;
    assert_int_equal(dari_cancel_create(&cancel), 0);
    test_ending flight = {.call = {.cancel = cancel}, .error = 1};
    assert_int_equal(add_1_start(kept, &(pair){1, 2}, &flight.call, end_flight, &flight),
                     DARI_INVALID);
    dari_cancel_destroy(cancel);
    dari_client_close(kept);
    leave_home(&home);
}

/* A caller that waits while its server is told to stop, or to finish. */
static void *call_both(void *argument)
{
    test_home *home = argument;
    int32_t result;
    int error = add_1(home->client, &(pair){3, 4}, &result, NULL);
    return error == 0 && result == 19 ? NULL : home;
}

void a_finish_waits_for_callers(test_fixture *fixture)
{
    test_home home;
    pthread_t thread;
    void *failed;
    fixture->handlers = &callers;
    fixture->options.workers = 1;
    fixture_serve(fixture);
    stay_home(&home, fixture);
    fixture_close_gate(&home.fixture);
    assert_int_equal(pthread_create(&thread, NULL, call_both, &home), 0);
    fixture_await_entered(&home.fixture, 1);
    dari_server_finish(fixture->server, 10 * DARI_S);
    fixture_open_gate(&home.fixture);
    pthread_join(thread, &failed);
    assert_null(failed);
    pthread_join(fixture->thread, NULL);
    fixture->running = false;
    assert_int_equal(fixture->run_result, 0);
    leave_home(&home);
}

void a_stop_waits_for_no_caller(test_fixture *fixture)
{
    test_home home;
    pthread_t thread;
    void *failed;
    fixture->handlers = &callers;
    fixture->options.workers = 1;
    fixture_serve(fixture);
    stay_home(&home, fixture);
    fixture_close_gate(&home.fixture);
    assert_int_equal(pthread_create(&thread, NULL, call_both, &home), 0);
    fixture_await_entered(&home.fixture, 1);
    fixture_stop(fixture);
    pthread_join(thread, &failed);
    assert_non_null(failed);
    leave_home(&home);
}

static void count_sum(void *user, const int32_t *ret, dari_call *call)
{
    (void)call;
    *(unsigned *)user += ret && *ret == 19;
}

/* More calls than may be in progress, each of which waits for its caller. */
static void check_many(test_fixture *fixture, unsigned count)
{
    test_home home;
    unsigned answered = 0;
    dari_call *calls = calloc(count, sizeof *calls);
    assert_non_null(calls);
    fixture_serve(fixture);
    stay_home(&home, fixture);
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
    fixture->handlers = &callers;
    fixture->options.workers = 4;
    fixture->options.calls_per_connection_max = 40;
    check_many(fixture, 300);
}

void many_calls_in_the_loop_call_back(test_fixture *fixture)
{
    fixture->handlers = &relayers;
    fixture->options.calls_max = 10;
    check_many(fixture, 70);
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
    test_home home;
    static uint8_t bytes[SIZE];
    subscribe(fixture, &home, NULL);
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
