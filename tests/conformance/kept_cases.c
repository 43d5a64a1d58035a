/* SPDX-License-Identifier: MIT */
/* Calls in flight that are started while there is no connection, and kept until there is one. The
 * server is raw, so that a test decides when it is there, and sees what is sent. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "loop/client.h"

#include <errno.h>
#include <sys/socket.h>

static const dari_client_options eager = {.backoff_first_ns = DARI_MS,
                                          .backoff_max_ns = 4 * DARI_MS};

typedef struct kept_call {
    dari_call call;
    int ended, error;
    int32_t sum;
} kept_call;

static void take_sum(void *user, const int32_t *ret, dari_call *call)
{
    kept_call *one = user;
    one->ended++;
    one->error = call->error;
    one->sum = ret ? *ret : 0;
}

static void start(dari_client *client, kept_call *one, int32_t number, dari_cancel *cancel)
{
    one->call.cancel = cancel;
    assert_int_equal(add_1_start(client, &(pair){number, 0}, &one->call, take_sum, one), 0);
}

/* A client that has seen the end of its connection. */
static dari_client *connect_and_lose(test_fixture *fixture, di_listener *listener)
{
    dari_client *client = fixture_connect(fixture, &eager);
    raw_close(raw_accept(listener));
    while (!client->broken)
        assert_true(dari_client_dispatch(client) >= 0);
    return client;
}

/* The bytes of the calls that are kept. */
static size_t kept_size(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    size_t size = client->flights.grounded_size;
    pthread_mutex_unlock(&client->lock);
    return size;
}

static void *wait_for_all(void *client)
{
    dari_client_wait(client, 20 * DARI_S);
    return NULL;
}

static void wait_in_thread(dari_client *client, pthread_t *thread)
{
    assert_int_equal(pthread_create(thread, NULL, wait_for_all, client), 0);
}

/* Reads a call of ADD; returns its xid. */
static uint32_t read_add(di_connection *peer, int32_t *ret_number)
{
    uint8_t message[64];
    assert_int_equal(raw_read_record(peer, message, sizeof message), 48);
    *ret_number = (int32_t)dari_get_u32(message + 40);
    return dari_get_u32(message);
}

static void answer_add(di_connection *peer, uint32_t xid, int32_t sum)
{
    uint8_t reply[32];
    uint8_t *end = raw_reply(reply, xid);
    dari_put_u32(end, (uint32_t)sum);
    raw_send_record(peer, reply, 28);
}

/* Whatever has ended between them: the first one, one in the middle and the last one. */
void kept_calls_go_out_in_order(test_fixture *fixture)
{
    enum { COUNT = 7 };
    static const int32_t expected[] = {1, 3, 4, 6};
    di_listener *listener = raw_listen(fixture);
    dari_client *client = connect_and_lose(fixture, listener);
    listener->ops->close(listener); /* attempts fail until all have been started */
    dari_cancel *cancel = NULL;
    kept_call all[COUNT] = {0};
    pthread_t thread;
    assert_int_equal(dari_cancel_create(&cancel), 0);
    for (int32_t i = 0; i < 6; i++)
        start(client, &all[i], i, i == 0 || i == 2 || i == 5 ? cancel : NULL);
    dari_cancel_now(cancel);
    while (!all[0].ended || !all[2].ended || !all[5].ended)
        assert_true(dari_client_dispatch(client) >= 0);
    start(client, &all[6], 6, NULL);
    assert_int_equal(kept_size(client), 4 * 48);
    listener = raw_listen(fixture);
    wait_in_thread(client, &thread);
    di_connection *peer = raw_accept(listener);
    for (unsigned i = 0; i < 4; i++) {
        int32_t number;
        uint32_t xid = read_add(peer, &number);
        assert_int_equal(number, expected[i]);
        answer_add(peer, xid, number);
    }
    pthread_join(thread, NULL);
    for (int32_t i = 0; i < COUNT; i++) {
        bool ran = i == 1 || i == 3 || i == 4 || i == 6;
        assert_int_equal(all[i].ended, 1);
        assert_int_equal(all[i].error, ran ? 0 : DARI_CANCELLED);
        assert_int_equal(all[i].sum, ran ? i : 0);
        assert_int_equal(all[i].call.may_have_run, ran);
        dari_call_end(&all[i].call);
    }
    raw_close(peer);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_cancel_destroy(cancel);
}

/* Kept until it was sent, and no longer: it may have run then. */
void kept_calls_are_sent_once(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = connect_and_lose(fixture, listener);
    kept_call first = {0}, second = {0};
    pthread_t thread;
    int32_t number;
    start(client, &first, 1, NULL);
    wait_in_thread(client, &thread);
    di_connection *peer = raw_accept(listener);
    read_add(peer, &number);
    assert_int_equal(number, 1);
    raw_close(peer);
    pthread_join(thread, NULL);
    assert_int_equal(first.ended, 1);
    assert_int_equal(first.error, DARI_CLOSED);
    assert_true(first.call.may_have_run);
    assert_int_equal(kept_size(client), 0);
    start(client, &second, 2, NULL);
    wait_in_thread(client, &thread);
    peer = raw_accept(listener);
    uint32_t xid = read_add(peer, &number);
    assert_int_equal(number, 2);
    answer_add(peer, xid, 2);
    pthread_join(thread, NULL);
    assert_int_equal(second.error, 0);
    assert_int_equal(client->repeated, 0);
    raw_close(peer);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&first.call);
    dari_call_end(&second.call);
}

/* An attempt that comes to its end after the client's gives its connection back. */
void a_connection_that_nobody_wants(test_fixture *fixture)
{
    if (fixture->scheme->forgets)
        return; /* it would be given back unseen */
    di_listener *listener = raw_listen(fixture);
    dari_client *client = connect_and_lose(fixture, listener);
    unsigned descriptors = count_descriptors();
    raw_fill(listener);
    dari_client *fillers[16] = {NULL};
    unsigned filled = 0;
    while (filled < 16 &&
           dari_connect(fixture->address, &(dari_client_options){.deadline_ns = 30 * DARI_MS},
                        &fillers[filled]) == 0)
        filled++;
    assert_in_range(filled, 1, 15); /* the queue is full: connecting waits */
    kept_call one = {0};
    start(client, &one, 1, NULL);
    assert_true(dari_client_dispatch(client) >= 0);
    assert_non_null(client->reconnect.attempt);
    dari_client_close(client);
    assert_int_equal(one.error, DARI_CLOSED);
    for (unsigned i = 0; i < filled; i++)
        dari_client_close(fillers[i]);
    for (unsigned i = 0; i < filled + 1; i++) {
        di_connection *peer = raw_accept(listener);
        assert_true(raw_ended(peer));
        raw_close(peer);
    }
    assert_true(count_descriptors() < descriptors); /* the client had two or three */
    listener->ops->close(listener);
    dari_call_end(&one.call);
}
