/* SPDX-License-Identifier: MIT */
/* What other threads do while one waits by receiving. */
#include "conformance/harness.h"

#include "base/clock.h"
#include "loop/client.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

/* More than a socket takes. */
#define LARGE ((uint32_t)8 << 20)

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
    fixture.options = (dari_server_options){.workers = 2, .message_max = 2 * LARGE};
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

static size_t unsent(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    size_t size = di_channel_unsent(&client->channel);
    pthread_mutex_unlock(&client->lock);
    return size;
}

static void take_size(void *user, const uint32_t *size, dari_call *call)
{
    (void)call;
    *(uint32_t *)user = size ? *size : 0;
}

/* Whether the loop tells when to send the rest of a call while another thread receives. It may have
 * come to rest before the call is started. */
static bool goes_out(test_fixture *fixture, bool rests_before)
{
    static uint8_t bytes[LARGE];
    uint32_t size = 0;
    dari_call call = {0};
    waiting_call waiting = {
        .client = fixture_connect(fixture, &(dari_client_options){.message_max = 2 * LARGE})};
    dari_client *client = waiting.client;
    fixture_close_gate(fixture);
    begin_waiting(&waiting);
    struct pollfd descriptor = {.fd = dari_client_descriptor(client), .events = POLLIN};
    if (rests_before)
        dari_client_dispatch(client);
    assert_int_equal(sink_1_start(client, &(opaque_data){LARGE, bytes}, &call, take_size, &size),
                     0);
    dari_client_dispatch(client);
    bool receives = unsent(client) > 0, sent = false;
    while (!sent && receives) {
        if (poll(&descriptor, 1, 10) > 0)
            dari_client_dispatch(client);
        sent = unsent(client) == 0;
        receives = is_receiving(client);
    }
    fixture_open_gate(fixture);
    assert_int_equal(dari_client_wait(client, 10 * DARI_S), 0);
    assert_int_equal(size, LARGE);
    pthread_join(waiting.thread, NULL);
    dari_client_close(client);
    dari_call_end(&waiting.call);
    dari_call_end(&call);
    return sent && receives;
}

/* On a machine that is busy, receiving may be over before, or the server as fast as the client. */
static void what_is_unsent_goes_out(void **state)
{
    for (int rests_before = 0; rests_before < 2; rests_before++) {
        bool out = false;
        for (int i = 0; i < 50 && !out; i++)
            out = goes_out(*state, rests_before);
        assert_true(out);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sending_fails),
        CASE(what_is_unsent_goes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
