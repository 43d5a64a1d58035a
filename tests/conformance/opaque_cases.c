/* SPDX-License-Identifier: MIT */
/* Large opaque data, which is sent from where it lies: many sizes in one message, and peers that
 * take it bit by bit. What was given is overwritten as soon as it may be. */
#include "conformance/cases.h"

#include "loop/client.h"
#include "loop/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ITEMS_MAX 7u
/* A peer's: small, but no smaller than TCP needs to go on without pauses. */
#define RECEIVE_BUFFER 100000

static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* A list of our own, in one piece of memory. */
typedef struct drawn_list {
    opaque_list list;
    opaque_data items[ITEMS_MAX];
    uint8_t *memory;
    size_t size;
} drawn_list;

static uint32_t draw_size(uint32_t *seed)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 4, 5, 100, 4096, 30001};
    switch (draw(seed) % 3) {
    case 0:
        return sizes[draw(seed) % (sizeof sizes / sizeof *sizes)];
    case 1:
        return DARI_REFERENCE_MIN - 4 + draw(seed) % 9;
    default:
        return DARI_REFERENCE_MIN + draw(seed) % 200000;
    }
}

static void draw_list(drawn_list *drawn, uint32_t *seed)
{
    drawn->list = (opaque_list){draw(seed) % (ITEMS_MAX + 1), drawn->items};
    drawn->size = 0;
    for (uint32_t i = 0; i < drawn->list.count; i++)
        drawn->size += drawn->items[i].size = draw_size(seed);
    drawn->memory = malloc(drawn->size + 1);
    assert_non_null(drawn->memory);
    for (size_t at = 0; at < drawn->size; at++)
        drawn->memory[at] = (uint8_t)(draw(seed) >> 4);
    uint8_t *at = drawn->memory;
    for (uint32_t i = 0; i < drawn->list.count; at += drawn->items[i].size, i++)
        drawn->items[i].data = at;
}

static bool same(const opaque_list *one, const opaque_list *other)
{
    bool right = one->count == other->count;
    for (uint32_t i = 0; right && i < one->count; i++)
        right = one->items[i].size == other->items[i].size &&
                (!one->items[i].size ||
                 memcmp(one->items[i].data, other->items[i].data, one->items[i].size) == 0);
    return right;
}

static int echo_list(dari_request *request, const opaque_list *arg, opaque_list *ret)
{
    (void)request;
    *ret = *arg;
    return 0;
}

static int echo_list_later(dari_request *request, const opaque_list *arg, opaque_list *ret)
{
    (void)ret;
    echo_list_1_reply(request, arg);
    return DARI_LATER;
}

static const echo_1_handlers at_once = {.echo_list = echo_list};
static const echo_1_handlers later = {.echo_list = echo_list_later};

static void check_lists(test_fixture *fixture)
{
    enum { ROUNDS = 30 };
    uint32_t seed = 1;
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_call call = {0};
    for (int round = 0; round < ROUNDS; round++) {
        drawn_list drawn;
        opaque_list ret;
        draw_list(&drawn, &seed);
        assert_int_equal(echo_list_1(client, &drawn.list, &ret, &call), 0);
        assert_true(same(&ret, &drawn.list));
        dari_call_reset(&call);
        free(drawn.memory);
    }
    dari_call_end(&call);
    dari_client_close(client);
}

void opaques_of_many_sizes(test_fixture *fixture)
{
    fixture->handlers = &at_once;
    check_lists(fixture);
}

void opaques_answered_later(test_fixture *fixture)
{
    fixture->handlers = &later;
    check_lists(fixture);
}

void opaques_for_workers(test_fixture *fixture)
{
    fixture->handlers = &at_once;
    fixture->options.workers = 2;
    check_lists(fixture);
}

typedef struct expected_list {
    drawn_list drawn;
    bool right;
} expected_list;

static void take_list(void *user, const opaque_list *ret, dari_call *call)
{
    expected_list *expected = user;
    expected->right = call->error == 0 && same(ret, &expected->drawn.list);
}

/* What a call in flight was given may be overwritten once it has started. */
void opaques_in_flight(test_fixture *fixture)
{
    enum { COUNT = 24 };
    static expected_list expected[COUNT];
    static dari_call calls[COUNT];
    uint32_t seed = 2;
    fixture->handlers = &at_once;
    fixture_serve(fixture);
    dari_client *client =
        fixture_connect(fixture, &(dari_client_options){.queued_max = (size_t)64 << 20});
    for (int i = 0; i < COUNT; i++) {
        uint32_t again = seed;
        drawn_list given;
        draw_list(&given, &seed);
        draw_list(&expected[i].drawn, &again);
        assert_int_equal(echo_list_1_start(client, &given.list, &calls[i], take_list, &expected[i]),
                         0);
        memset(given.memory, 0, given.size);
        free(given.memory);
    }
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_true(expected[i].right);
        free(expected[i].drawn.memory);
        dari_call_end(&calls[i]);
    }
    dari_client_close(client);
}

/* The record of a call or of its reply, all of it written. */
static uint8_t *make_record(const opaque_list *list, uint32_t xid, bool reply, size_t *ret_size)
{
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    int64_t size = xdr_size_opaque_list(&encoder, list);
    assert_true(size > 0);
    uint8_t *record = malloc((size_t)size + 64);
    assert_non_null(record);
    uint8_t *at = reply ? raw_reply(record + 4, xid) : raw_call(record + 4, xid, ECHO, ECHO_V1, 7);
    at = xdr_encode_opaque_list(&encoder, at, list);
    *ret_size = (size_t)(at - record);
    dari_put_u32(record, 0x80000000u | (uint32_t)(*ret_size - 4));
    return record;
}

/* Large results lie in memory that was the connection's: it stays with the context. */
void large_results_outlive_the_client(test_fixture *fixture)
{
    enum { CALLS = 6 };
    drawn_list drawn[CALLS];
    opaque_list ret[CALLS];
    uint32_t seed = 5;
    dari_call call = {0};
    fixture->handlers = &at_once;
    fixture_serve(fixture);
    for (int round = 0; round < 3; round++) {
        dari_client *client = fixture_connect(fixture, NULL);
        for (int i = 0; i < CALLS; i++) {
            draw_list(&drawn[i], &seed);
            assert_int_equal(echo_list_1(client, &drawn[i].list, &ret[i], &call), 0);
        }
        dari_client_close(client);
        for (int i = 0; i < CALLS; i++) {
            assert_true(same(&ret[i], &drawn[i].list));
            free(drawn[i].memory);
        }
        dari_call_reset(&call);
    }
    dari_call_end(&call);
    dari_call_end(&call);
}

/* Several replies in one piece of memory, some of which are taken over while others lie behind. */
void large_results_behind_each_other(test_fixture *fixture)
{
    enum { COUNT = 8, ROUNDS = 3 };
    static expected_list expected[COUNT];
    static dari_call calls[COUNT];
    uint32_t seed = 6;
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(listener);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t xid = client->pending.next_xid;
        for (int i = 0; i < COUNT; i++) {
            draw_list(&expected[i].drawn, &seed);
            expected[i].right = false;
            assert_int_equal(
                echo_list_1_start(client, &(opaque_list){0}, &calls[i], take_list, &expected[i]),
                0);
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            size_t size;
            uint8_t *reply = make_record(&expected[i].drawn.list, xid + i, true, &size);
            for (size_t sent = 0; sent < size;) {
                size_t went = raw_send_some(peer, reply + sent, size - sent);
                sent += went;
                if (went == 0)
                    assert_true(dari_client_dispatch(client) >= 0);
            }
            free(reply);
        }
        assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
        for (int i = 0; i < COUNT; i++) {
            assert_true(expected[i].right);
            free(expected[i].drawn.memory);
        }
    }
    dari_client_close(client);
    for (int i = 0; i < COUNT; i++)
        dari_call_end(&calls[i]);
    raw_close(peer);
    listener->ops->close(listener);
}

/* Reads a few bytes, if there are some, and compares them. Returns how many. */
static size_t take_some(di_connection *peer, const uint8_t *expected, size_t size, uint32_t *seed)
{
    static uint8_t bytes[70000];
    size_t most = draw(seed) % 4 ? 1 + draw(seed) % 3000 : sizeof bytes;
    size_t got = raw_read_some(peer, bytes, most < size ? most : size);
    if (got)
        assert_memory_equal(bytes, expected, got);
    return got;
}

static void set_buffer(int descriptor, int which, uint32_t size)
{
    int bytes = (int)size;
    struct stat status;
    assert_int_equal(fstat(descriptor, &status), 0);
    if (!S_ISSOCK(status.st_mode))
        return; /* pipes are small as they are */
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, which, &bytes, sizeof bytes), 0);
}

static void ignore_list(void *user, const opaque_list *ret, dari_call *call)
{
    (void)user;
    (void)ret;
    (void)call;
}

/* A client whose peer is slow: the kernel takes a part of each message, more or less of it. */
void a_slow_server_gets_every_byte(test_fixture *fixture)
{
    enum { ROUNDS = 12 };
    static dari_call calls[2 * ROUNDS];
    uint32_t seed = 3;
    di_listener *listener = raw_listen(fixture);
    dari_client *client =
        fixture_connect(fixture, &(dari_client_options){.queued_max = (size_t)64 << 20});
    di_connection *peer = raw_accept(listener);
    set_buffer(di_connection_descriptor(peer), SO_RCVBUF, RECEIVE_BUFFER);
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t *records[2];
        size_t sizes[2];
        set_buffer(di_connection_descriptor(client->channel.connection), SO_SNDBUF,
                   2000 + draw(&seed) % 100000);
        for (int i = 0; i < 2; i++) {
            drawn_list drawn;
            draw_list(&drawn, &seed);
            records[i] = make_record(&drawn.list, client->pending.next_xid, false, &sizes[i]);
            assert_int_equal(
                echo_list_1_start(client, &drawn.list, &calls[2 * round + i], ignore_list, NULL),
                0);
            memset(drawn.memory, 0, drawn.size);
            free(drawn.memory);
        }
        for (int i = 0; i < 2; i++) {
            for (size_t taken = 0; taken < sizes[i];) {
                assert_true(dari_client_dispatch(client) >= 0);
                taken += take_some(peer, records[i] + taken, sizes[i] - taken, &seed);
            }
            free(records[i]);
        }
    }
    dari_client_close(client);
    for (int i = 0; i < 2 * ROUNDS; i++)
        dari_call_end(&calls[i]);
    raw_close(peer);
    listener->ops->close(listener);
}

/* A server whose peer is slow. The memory of one call is used for the next while its reply is
 * still being taken. */
static void serve_slowly(test_fixture *fixture)
{
    enum { ROUNDS = 12 };
    uint32_t seed = 4;
    fixture_listen(fixture);
    /* TCP connections inherit it. */
    set_buffer(fixture->server->addresses->listener->descriptor, SO_SNDBUF, 30000);
    fixture_start(fixture);
    di_connection *peer = raw_connect(fixture);
    set_buffer(di_connection_descriptor(peer), SO_RCVBUF, RECEIVE_BUFFER);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        drawn_list drawn;
        size_t call_size, reply_size;
        draw_list(&drawn, &seed);
        uint8_t *call = make_record(&drawn.list, round, false, &call_size);
        uint8_t *reply = make_record(&drawn.list, round, true, &reply_size);
        size_t sent = 0;
        /* Two calls, which are the same: their replies come one after the other. */
        for (size_t taken = 0; taken < 2 * reply_size;) {
            size_t left = 2 * call_size - sent;
            size_t begin = sent % call_size, most = call_size - begin;
            if (left > 0) {
                sent += raw_send_some(peer, call + begin, most);
                left = 2 * call_size - sent;
            }
            size_t before = taken;
            begin = taken % reply_size;
            taken += take_some(peer, reply + begin, reply_size - begin, &seed);
            if (taken == before)
                raw_await(peer, left > 0 ? DI_WANTS_RECEIVE | DI_WANTS_SEND : DI_WANTS_RECEIVE);
        }
        free(call);
        free(reply);
        free(drawn.memory);
    }
    raw_close(peer);
}

void a_slow_client_gets_every_byte(test_fixture *fixture)
{
    fixture->handlers = &at_once;
    serve_slowly(fixture);
}

void a_slow_client_of_workers(test_fixture *fixture)
{
    fixture->handlers = &later;
    fixture->options.workers = 1;
    serve_slowly(fixture);
}
