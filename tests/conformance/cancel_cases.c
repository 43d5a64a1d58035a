/* SPDX-License-Identifier: MIT */
/* Cancelling: at each stage of a call, and from each place that may do it. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "loop/client.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* A call that a thread of its own makes. */
typedef struct cancelled_call {
    dari_client *client;
    opaque_data argument;
    dari_call call;
    int error;
} cancelled_call;

static void *make_call(void *argument)
{
    cancelled_call *made = argument;
    uint32_t size;
    made->error = sink_1(made->client, &made->argument, &size, &made->call);
    return NULL;
}

static dari_cancel *make_cancel(void)
{
    dari_cancel *cancel = NULL;
    assert_int_equal(dari_cancel_create(&cancel), 0);
    return cancel;
}

void cancelled_before_the_call(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_cancel *cancel = make_cancel();
    dari_call call = DARI_CALL(.cancel = cancel);
    assert_int_equal(nothing_1(client, &call), 0);
    assert_false(dari_cancel_is_set(cancel));
    dari_cancel_now(cancel);
    dari_cancel_now(cancel);
    assert_true(dari_cancel_is_set(cancel));
    assert_int_equal(nothing_1(client, &call), DARI_CANCELLED);
    assert_false(call.may_have_run);
    check_message(fixture, &call, "NOTHING: cancelled");
    check_add(client);
    fixture_stop(fixture);
    assert_int_equal(fixture_entered(fixture), 2);
    dari_client_close(client);
    dari_call_end(&call);
    dari_cancel_destroy(cancel);
    dari_cancel_destroy(NULL);
}

void cancelled_while_waiting(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_cancel *cancel = make_cancel();
    cancelled_call made = {.client = client, .call = DARI_CALL(.cancel = cancel)};
    pthread_t thread;
    fixture_close_gate(fixture);
    assert_int_equal(pthread_create(&thread, NULL, make_call, &made), 0);
    fixture_await_entered(fixture, 1);
    dari_cancel_now(cancel);
    pthread_join(thread, NULL);
    assert_int_equal(made.error, DARI_CANCELLED);
    assert_true(made.call.may_have_run);
    check_message(fixture, &made.call, "SINK: cancelled, may have run");
    fixture_open_gate(fixture);
    check_add(client);
    assert_int_equal(client->pending.dropped, 1);
    dari_client_close(client);
    dari_call_end(&made.call);
    dari_cancel_destroy(cancel);
}

/* Waits until the thread of a call has sent something, or waits for its turn. */
static void await_waiting(dari_client *client, bool turn)
{
    bool there = false;
    while (!there) {
        pthread_mutex_lock(&client->lock);
        there = turn ? client->asleep || client->sender : di_channel_unsent(&client->channel) > 0;
        pthread_mutex_unlock(&client->lock);
        sched_yield();
    }
}

void cancelled_while_sending(test_fixture *fixture)
{
    di_listener *silent = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(silent);
    uint8_t *bytes = pattern(15 << 20);
    dari_cancel *cancels[2] = {make_cancel(), make_cancel()};
    cancelled_call made[2] = {
        {.client = client, .argument = {15 << 20, bytes}, .call = DARI_CALL(.cancel = cancels[0])},
        {.client = client, .call = DARI_CALL(.cancel = cancels[1])}};
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, make_call, &made[0]), 0);
    await_waiting(client, false);
    assert_int_equal(pthread_create(&threads[1], NULL, make_call, &made[1]), 0);
    await_waiting(client, true);
    for (int i = 1; i >= 0; i--) {
        dari_cancel_now(cancels[i]);
        pthread_join(threads[i], NULL);
        assert_int_equal(made[i].error, DARI_CANCELLED);
    }
    assert_true(made[0].call.may_have_run);  /* its beginning is sent, so its end will be */
    assert_false(made[1].call.may_have_run); /* no byte of it was, nor will be */
    raw_close(peer);
    dari_client_close(client);
    silent->ops->close(silent);
    free(bytes);
    for (int i = 0; i < 2; i++) {
        dari_call_end(&made[i].call);
        dari_cancel_destroy(cancels[i]);
    }
}

void cancelled_while_another_receives(test_fixture *fixture)
{
    enum { COUNT = 4 };
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_cancel *cancel = make_cancel();
    cancelled_call made[COUNT] = {{.client = client}};
    pthread_t threads[COUNT];
    fixture_close_gate(fixture);
    for (int i = 0; i < COUNT; i++) {
        made[i] = (cancelled_call){.client = client};
        made[i].call.cancel = i ? cancel : NULL;
        assert_int_equal(pthread_create(&threads[i], NULL, make_call, &made[i]), 0);
        if (i == 0)
            fixture_await_entered(fixture, 1);
    }
    await_waiting(client, true);
    dari_cancel_now(cancel);
    for (int i = 1; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(made[i].error, DARI_CANCELLED);
    }
    fixture_open_gate(fixture);
    pthread_join(threads[0], NULL);
    assert_int_equal(made[0].error, 0);
    check_add(client);
    assert_null(client->asleep);
    for (int i = 0; i < COUNT; i++)
        dari_call_end(&made[i].call);
    dari_client_close(client);
    dari_cancel_destroy(cancel);
}

static dari_cancel *signalled;

static void cancel_it(int number)
{
    (void)number;
    dari_cancel_now(signalled);
}

/* ThreadSanitizer runs a handler only at the next call of the C library; where that is the one that
 * waits, it takes another signal to end it. */
static void join_signalled(pthread_t thread)
{
#ifdef __SANITIZE_THREAD__
    struct timespec soon;
    do {
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_sec++;
    } while (pthread_timedjoin_np(thread, NULL, &soon) == ETIMEDOUT &&
             pthread_kill(thread, SIGUSR1) == 0);
#else
    pthread_join(thread, NULL);
#endif
}

void cancelled_from_a_signal_handler(test_fixture *fixture)
{
    struct sigaction action = {.sa_handler = cancel_it}, before;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    signalled = make_cancel();
    cancelled_call made = {.client = client, .call = DARI_CALL(.cancel = signalled)};
    pthread_t thread;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    fixture_close_gate(fixture);
    assert_int_equal(pthread_create(&thread, NULL, make_call, &made), 0);
    fixture_await_entered(fixture, 1);
    assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
    join_signalled(thread);
    assert_int_equal(made.error, DARI_CANCELLED);
    sigaction(SIGUSR1, &before, NULL);
    dari_client_close(client);
    dari_call_end(&made.call);
    dari_cancel_destroy(signalled);
}

void a_reply_or_a_cancel(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    for (int i = 0; i < 50; i++) {
        dari_cancel *cancel = make_cancel();
        cancelled_call made = {.client = client, .call = DARI_CALL(.cancel = cancel)};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, make_call, &made), 0);
        dari_cancel_now(cancel);
        pthread_join(thread, NULL);
        assert_true(made.error == 0 || made.error == DARI_CANCELLED);
        dari_call_end(&made.call);
        dari_cancel_destroy(cancel);
    }
    check_add(client);
    dari_client_close(client);
}
