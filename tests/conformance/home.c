/* SPDX-License-Identifier: MIT */
#include "conformance/home.h"

#include "base/clock.h"

#include <sched.h>
#include <stdlib.h>

static int multiply(dari_request *request, const pair *arg, int32_t *ret)
{
    echo_handlers.add(request, arg, ret);
    *ret = arg->a * arg->b;
    return 0;
}

void go_home(test_home *home, test_fixture *fixture)
{
    static echo_1_handlers multipliers;
    multipliers = echo_handlers;
    multipliers.add = multiply;
    const echo_1_handlers *handlers = home->fixture.handlers;
    pthread_mutex_init(&home->fixture.lock, NULL);
    pthread_cond_init(&home->fixture.changed, NULL);
    assert_int_equal(dari_server_create(&home->options, &home->fixture.server), 0);
    assert_int_equal(
        echo_1_serve(home->fixture.server, handlers ? handlers : &multipliers, &home->fixture), 0);
    home->client = fixture_connect(fixture, &home->client_options);
    assert_int_equal(dari_server_serve_client(home->fixture.server, home->client), 0);
}

void stay_home(test_home *home, test_fixture *fixture)
{
    go_home(home, fixture);
    fixture_start(&home->fixture);
}

void leave_home(test_home *home)
{
    fixture_stop(&home->fixture);
    dari_client_close(home->client);
    pthread_cond_destroy(&home->fixture.changed);
    pthread_mutex_destroy(&home->fixture.lock);
}

static _Atomic(dari_client *) kept;

static int keep_client(dari_request *request)
{
    dari_client *client;
    assert_int_equal(dari_request_client(request, &client), 0);
    atomic_store(&kept, client);
    return 0;
}

dari_client *subscribe(test_fixture *fixture, uint32_t workers, test_home *home)
{
    static echo_1_handlers keepers;
    keepers = echo_handlers;
    keepers.nothing = keep_client;
    atomic_store(&kept, NULL);
    fixture->handlers = &keepers;
    fixture->options.workers = workers;
    fixture_serve(fixture);
    go_home(home, fixture);
    assert_int_equal(nothing_1(home->client, NULL), 0);
    dari_client *client = atomic_load(&kept);
    assert_non_null(client);
    return client;
}

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

const echo_1_handlers callers = {.add = add_product};

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

const echo_1_handlers relayers = {.add = add_later};

void serve_callers(test_fixture *fixture, uint32_t workers, test_home *home)
{
    fixture->handlers = workers ? &callers : &relayers;
    fixture->options.workers = workers;
    fixture_serve(fixture);
    stay_home(home, fixture);
}

void check_both(dari_client *client)
{
    int32_t result = 0;
    assert_int_equal(add_1(client, &(pair){3, 4}, &result, NULL), 0);
    assert_int_equal(result, 3 + 4 + 3 * 4);
}

static void end_flight(void *user, const int32_t *ret, dari_call *call)
{
    (void)ret;
    test_ending *ending = user;
    atomic_store(&ending->error, call->error);
}

void start_ending(test_ending *ending, dari_client *client)
{
    atomic_store(&ending->error, 1);
    assert_int_equal(add_1_start(client, &(pair){1, 2}, &ending->call, end_flight, ending), 0);
}

void await_ending(test_ending *ending, int error)
{
    uint64_t until = di_deadline_in(10 * DARI_S);
    while (atomic_load(&ending->error) == 1 && di_now() < until)
        sched_yield();
    assert_int_equal(atomic_load(&ending->error), error);
    dari_call_end(&ending->call);
}
