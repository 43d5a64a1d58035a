/* SPDX-License-Identifier: MIT */
/* What other threads do while one waits by receiving. */
#include "conformance/harness.h"

#include "base/clock.h"
#include "loop/client.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

ssize_t __real_send(int descriptor, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags);

/* What the sends of this thread fail with, or 0. */
static _Thread_local int send_fails_with;

ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags)
{
    if (send_fails_with) {
        errno = send_fails_with;
        return -1;
    }
    return __real_send(descriptor, bytes, size, flags);
}

static int begin(void **state)
{
    static test_fixture fixture;
    fixture = (test_fixture){.scheme = scheme_named("unix_path")};
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    *state = &fixture;
    return 0;
}

static int end(void **state)
{
    fixture_end(*state);
    return 0;
}

typedef struct waiting_call {
    dari_client *client;
    dari_call call;
    pthread_t thread;
} waiting_call;

static void *wait_for_reply(void *argument)
{
    waiting_call *waiting = argument;
    nothing_1(waiting->client, &waiting->call);
    return NULL;
}

static bool is_receiving(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool receiving = client->receiving;
    pthread_mutex_unlock(&client->lock);
    return receiving;
}

/* Has a thread call, and returns while it receives. */
static void begin_waiting(waiting_call *waiting)
{
    uint64_t until = di_deadline_in(10 * DARI_S);
    assert_int_equal(pthread_create(&waiting->thread, NULL, wait_for_reply, waiting), 0);
    while (!is_receiving(waiting->client)) {
        assert_true(di_now() < until);
        sched_yield();
    }
}

static void sending_fails(void **state)
{
    test_fixture *fixture = *state;
    dari_call call = {0};
    waiting_call waiting = {
        .client = fixture_connect(fixture, &(dari_client_options){.no_reconnect = true})};
    fixture_close_gate(fixture);
    begin_waiting(&waiting);
    send_fails_with = ENOBUFS;
    int error = nothing_1(waiting.client, &call);
    send_fails_with = 0;
    pthread_join(waiting.thread, NULL);
    assert_int_equal(error, DARI_ERRNO);
    assert_int_equal(call.system_error, ENOBUFS);
    assert_int_equal(waiting.call.error, DARI_ERRNO);
    assert_int_equal(waiting.call.system_error, ENOBUFS);
    fixture_open_gate(fixture);
    dari_client_close(waiting.client);
    dari_call_end(&waiting.call);
    dari_call_end(&call);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sending_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
