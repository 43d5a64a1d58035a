/* SPDX-License-Identifier: MIT */
/* Loans: the same calls over every scheme. Over shm: the data is where the client has put it, or is
 * copied once; elsewhere it is copied as any. */
#include "conformance/cases.h"

#include "loop/client.h"

#include <dari/counters.h>
#include <dari/interface.h>
#include <dari/loan.h>

#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define GRANTED (4 * MIB)

static const dari_client_options wanted = {
    .shm_loan_size = GRANTED, .backoff_first_ns = DARI_MS, .backoff_max_ns = 4 * DARI_MS};

/* What the handlers have seen. */
static atomic_uint seen_in_place, last_sum;

/* Whether the memory is of a file that processes share. */
static bool is_shared(const void *data)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (!found && fgets(line, sizeof line, maps)) {
        uintptr_t begin, end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &begin, &end) == 2)
            found = (uintptr_t)data >= begin && (uintptr_t)data < end && strstr(line, "memfd:dari");
    }
    fclose(maps);
    return found;
}

static uint32_t sum_of(const uint8_t *data, size_t size)
{
    uint32_t sum = (uint32_t)size;
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + data[i];
    return sum;
}

static void fill(void *memory, size_t size, uint32_t seed)
{
    uint8_t *bytes = memory;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
}

static void note(const opaque_data *arg)
{
    seen_in_place += arg->size > 0 && is_shared(arg->data);
}

/* Waits at the fixture's gate. */
static void enter(dari_request *request)
{
    test_fixture *fixture = dari_request_user(request);
    pthread_mutex_lock(&fixture->lock);
    fixture->entered++;
    pthread_cond_broadcast(&fixture->changed);
    while (fixture->gate_closed)
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    pthread_mutex_unlock(&fixture->lock);
}

static int sum_data(dari_request *request, const opaque_data *arg, uint32_t *ret)
{
    note(arg);
    enter(request);
    *ret = sum_of(arg->data, arg->size);
    last_sum = *ret;
    return 0;
}

static int sum_data_later(dari_request *request, const opaque_data *arg, uint32_t *ret)
{
    sum_data(request, arg, ret);
    sink_1_reply(request, ret);
    return DARI_LATER;
}

static int echo_list(dari_request *request, const opaque_list *arg, opaque_list *ret)
{
    (void)request;
    for (uint32_t i = 0; i < arg->count; i++)
        note(&arg->items[i]);
    *ret = *arg;
    return 0;
}

static int add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    *ret = arg->a + arg->b;
    return 0;
}

static int nothing(dari_request *request)
{
    (void)request;
    return 0;
}

static const echo_1_handlers at_once = {
    .nothing = nothing, .sink = sum_data, .echo_list = echo_list, .add = add};
static const echo_1_handlers later = {.sink = sum_data_later, .add = add};

static bool is_shm(const test_fixture *fixture)
{
    return strcmp(fixture->scheme->name, "shm") == 0;
}

static void serve(test_fixture *fixture, const echo_1_handlers *handlers, bool in_place)
{
    fixture->handlers = handlers;
    fixture->options.shm_loan_max = GRANTED;
    fixture->options.shm_read_loans = in_place;
    seen_in_place = 0;
    fixture_serve(fixture);
}

static void *borrow(dari_client *client, size_t size)
{
    void *memory;
    assert_int_equal(dari_loan(client, size, &memory), 0);
    return memory;
}

/* Calls with `size` bytes of a loan. */
static void check_sum(dari_client *client, const void *memory, size_t size)
{
    uint32_t sum;
    const opaque_data data = {(uint32_t)size, memory};
    assert_int_equal(sink_1(client, &data, &sum, NULL), 0);
    assert_int_equal(sum, sum_of(memory, size));
}

static void check_sizes(test_fixture *fixture, bool in_place)
{
    static const size_t sizes[] = {1, 4096, 65532, 65535, 65536, 65537, 65539, 300001, MIB};
    dari_client *client = fixture_connect(fixture, &wanted);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *memory = borrow(client, sizes[i]);
        assert_int_equal((uintptr_t)memory % 4096, 0);
        for (uint32_t round = 0; round < 3; round++) {
            unsigned before = seen_in_place;
            fill(memory, sizes[i], (uint32_t)i + round);
            check_sum(client, memory, sizes[i]);
            bool large = sizes[i] >= DARI_REFERENCE_MIN;
            assert_int_equal(seen_in_place - before, is_shm(fixture) && in_place && large);
        }
        /* A part of it, that begins anywhere. */
        if (sizes[i] > 1)
            check_sum(client, memory + 1, sizes[i] - 1);
        dari_loan_end(client, memory);
    }
    dari_client_close(client);
    fixture_stop(fixture);
}

void loans_are_read(test_fixture *fixture)
{
    serve(fixture, &at_once, true);
    check_sizes(fixture, true);
}

void loans_are_copied(test_fixture *fixture)
{
    serve(fixture, &at_once, false);
    check_sizes(fixture, false);
}

void loans_for_workers(test_fixture *fixture)
{
    fixture->options.workers = 2;
    serve(fixture, &at_once, true);
    check_sizes(fixture, true);
}

void loans_answered_later(test_fixture *fixture)
{
    serve(fixture, &later, true);
    check_sizes(fixture, true);
}

/* Loans, other large data and small data in one message, more of each than are referred to. */
static void check_mixtures(test_fixture *fixture, size_t ring_size, bool in_place)
{
    enum { ITEMS = 7, ROUNDS = 20 };
    fixture->options.shm_ring_size = ring_size;
    serve(fixture, &at_once, in_place);
    dari_client *client = fixture_connect(fixture, &wanted);
    uint8_t *own = malloc(MIB), *lent = borrow(client, MIB);
    assert_non_null(own);
    dari_call call = {0};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        opaque_data items[ITEMS];
        opaque_list ret;
        fill(own, MIB, round);
        fill(lent, MIB, round + 100);
        for (uint32_t i = 0; i < ITEMS; i++) {
            uint32_t kind = (round * 7 + i * (round + 3)) % 5;
            const uint8_t *from = kind % 2 ? own : lent;
            items[i] = (opaque_data){kind < 3 ? 100000 + i : 1000 * kind + i, from + 1000 * i};
        }
        const opaque_list list = {ITEMS, items};
        assert_int_equal(echo_list_1(client, &list, &ret, &call), 0);
        assert_int_equal(ret.count, ITEMS);
        for (uint32_t i = 0; i < ITEMS; i++) {
            assert_int_equal(ret.items[i].size, items[i].size);
            assert_memory_equal(ret.items[i].data, items[i].data, items[i].size);
        }
        dari_call_reset(&call);
    }
    assert_int_equal(seen_in_place > 0, is_shm(fixture) && in_place);
    dari_call_end(&call);
    dari_loan_end(client, lent);
    free(own);
    dari_client_close(client);
    fixture_stop(fixture);
}

void loans_among_other_data(test_fixture *fixture)
{
    check_mixtures(fixture, 4096, true);
}

void loans_among_other_data_copied(test_fixture *fixture)
{
    check_mixtures(fixture, 4096, false);
}

/* Messages are written in the ring itself. */
void loans_within_a_large_ring(test_fixture *fixture)
{
    check_mixtures(fixture, 2 * MIB, true);
}

/* What is in no loan, or not in one alone, is copied. */
void loans_that_are_none(test_fixture *fixture)
{
    serve(fixture, &at_once, true);
    dari_client *client = fixture_connect(fixture, &wanted);
    uint8_t *first = borrow(client, MIB), *second = borrow(client, MIB);
    fill(first, MIB, 1);
    fill(second, MIB, 2);
    dari_loan_end(client, NULL);
    if (is_shm(fixture)) {
        assert_ptr_equal(first + MIB, second);
        check_sum(client, first + MIB / 2, MIB);
        dari_loan_end(client, second);
        check_sum(client, second, MIB);
        assert_int_equal(seen_in_place, 0);
    }
    check_sum(client, first, MIB);
    assert_int_equal(seen_in_place, is_shm(fixture));
    /* Ended with the client. */
    dari_client_close(client);
}

void loans_run_out(test_fixture *fixture)
{
    void *blocks[4], *more;
    serve(fixture, &at_once, true);
    dari_client *client = fixture_connect(fixture, &wanted);
    assert_int_equal(dari_loan(client, 0, &more), DARI_INVALID);
    assert_int_equal(dari_loan(NULL, 1, &more), DARI_INVALID);
    assert_int_equal(dari_loan(client, SIZE_MAX, &more), DARI_LIMIT);
    if (is_shm(fixture)) {
        assert_int_equal(dari_loan(client, GRANTED + 1, &more), DARI_LIMIT);
        for (int i = 0; i < 4; i++)
            blocks[i] = borrow(client, MIB);
        assert_int_equal(dari_loan(client, 1, &more), DARI_FULL);
        /* Two gaps, and none that is large enough. */
        dari_loan_end(client, blocks[0]);
        dari_loan_end(client, blocks[2]);
        assert_int_equal(dari_loan(client, MIB + 1, &more), DARI_FULL);
        dari_loan_end(client, blocks[1]);
        more = borrow(client, 3 * MIB);
        assert_ptr_equal(more, blocks[0]);
        fill(more, 3 * MIB, 1);
        check_sum(client, more, 3 * MIB);
        assert_int_equal(seen_in_place, 1);
        dari_loan_end(client, more);
        dari_loan_end(client, blocks[3]);
        more = borrow(client, GRANTED);
    } else {
        more = borrow(client, GRANTED + 1);
    }
    dari_loan_end(client, more);
    dari_loan_end(client, more); /* it is none any more */
    dari_client_close(client);
}

/* A server that grants less, or nothing; a client that does not ask. */
void loans_that_are_not_granted(test_fixture *fixture)
{
    void *memory;
    fixture->handlers = &at_once;
    fixture->options.shm_read_loans = true;
    fixture_serve(fixture);
    seen_in_place = 0;
    dari_client *client = fixture_connect(fixture, &wanted);
    memory = borrow(client, 2 * GRANTED);
    fill(memory, MIB, 1);
    check_sum(client, memory, MIB);
    dari_client_close(client);
    client = fixture_connect(fixture, NULL);
    memory = borrow(client, MIB);
    fill(memory, MIB, 2);
    check_sum(client, memory, MIB);
    assert_int_equal(seen_in_place, 0);
    dari_client_close(client);
    fixture_stop(fixture);
}

void loans_that_are_granted_in_part(test_fixture *fixture)
{
    void *memory;
    fixture->handlers = &at_once;
    fixture->options.shm_read_loans = true;
    fixture->options.shm_loan_max = MIB;
    fixture_serve(fixture);
    seen_in_place = 0;
    dari_client *client = fixture_connect(fixture, &wanted);
    if (is_shm(fixture))
        assert_int_equal(dari_loan(client, MIB + 1, &memory), DARI_LIMIT);
    memory = borrow(client, MIB);
    fill(memory, MIB, 1);
    check_sum(client, memory, MIB);
    assert_int_equal(seen_in_place, is_shm(fixture));
    dari_client_close(client);
}

static void ignore_sum(void *user, const uint32_t *ret, dari_call *call)
{
    (void)user;
    (void)ret;
    (void)call;
}

/* A call is cancelled while the server has the loan: that is given out again only once the late
 * answer has come. */
typedef struct cancelled_loan {
    dari_client *client;
    opaque_data data;
    dari_call call;
    int error;
} cancelled_loan;

static void *call_with_loan(void *argument)
{
    cancelled_loan *made = argument;
    uint32_t sum;
    made->error = sink_1(made->client, &made->data, &sum, &made->call);
    return NULL;
}

/* A call of a mebibyte that is cancelled while its handler runs. */
static void cancel_call(test_fixture *fixture, dari_client *client, const void *memory)
{
    pthread_t thread;
    dari_cancel *cancel;
    assert_int_equal(dari_cancel_create(&cancel), 0);
    cancelled_loan made = {
        .client = client, .data = {(uint32_t)MIB, memory}, .call = DARI_CALL(.cancel = cancel)};
    assert_int_equal(pthread_create(&thread, NULL, call_with_loan, &made), 0);
    fixture_await_entered(fixture, 1);
    dari_cancel_now(cancel);
    pthread_join(thread, NULL);
    assert_int_equal(made.error, DARI_CANCELLED);
    assert_true(made.call.may_have_run);
    dari_call_end(&made.call);
    dari_cancel_destroy(cancel);
}

void loans_of_calls_without_answer(test_fixture *fixture)
{
    void *other;
    fixture->options.workers = 1;
    serve(fixture, &at_once, true);
    fixture_close_gate(fixture);
    dari_client *client = fixture_connect(fixture, &wanted);
    void *memory = borrow(client, GRANTED);
    fill(memory, MIB, 1);
    cancel_call(fixture, client, memory);
    dari_loan_end(client, memory);
    dari_loan_end(client, memory);
    if (is_shm(fixture)) {
        assert_int_equal(dari_loan(client, 1, &other), DARI_FULL);
        assert_non_null(client->loans.lent);
    }
    fixture_open_gate(fixture);
    /* Its answer comes behind the late one. */
    check_add(client);
    assert_null(client->loans.lent);
    memory = borrow(client, GRANTED);
    check_sum(client, memory, MIB);
    dari_client_close(client);
}

static void cut(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->channel.connection->ops->shut(client->channel.connection);
    client->reconnect.used = 0; /* it is looked at before the next call */
    pthread_mutex_unlock(&client->lock);
}

/* A loan outlives its connection, and is copied over the next one. */
void loans_over_a_new_connection(test_fixture *fixture)
{
    serve(fixture, &at_once, true);
    dari_client *client = fixture_connect(fixture, &wanted);
    uint8_t *old = borrow(client, MIB);
    fill(old, MIB, 1);
    check_sum(client, old, MIB);
    cut(client);
    /* There is no connection at present, perhaps. */
    uint8_t *between = borrow(client, MIB);
    fill(between, MIB, 2);
    fill(old, MIB, 3);
    check_sum(client, old, MIB);
    check_sum(client, between, MIB);
    assert_int_equal(seen_in_place, is_shm(fixture));
    uint8_t *fresh = borrow(client, MIB);
    fill(fresh, MIB, 4);
    check_sum(client, fresh, MIB);
    assert_int_equal(seen_in_place, is_shm(fixture) ? 2 : 0);
    dari_loan_end(client, old);
    dari_loan_end(client, between);
    check_sum(client, fresh, MIB);
    dari_client_close(client);
}

static void await_no_connection(const test_fixture *fixture)
{
    dari_counters counters;
    do {
        assert_int_equal(dari_server_counters(fixture->server, &counters), 0);
        dari_counters_end(&counters);
        sched_yield();
    } while (counters.connections_open > 0);
}

/* The client goes while a handler reads what it has lent. */
void loans_of_a_client_that_goes(test_fixture *fixture)
{
    static dari_call call;
    fixture->options.workers = 1;
    serve(fixture, &at_once, true);
    fixture_close_gate(fixture);
    dari_client *client = fixture_connect(fixture, &wanted);
    void *memory = borrow(client, MIB);
    fill(memory, MIB, 5);
    uint32_t sum = sum_of(memory, MIB);
    const opaque_data data = {(uint32_t)MIB, memory};
    assert_int_equal(sink_1_start(client, &data, &call, ignore_sum, NULL), 0);
    while (fixture_entered(fixture) == 0)
        assert_true(dari_client_dispatch(client) >= 0);
    dari_client_close(client);
    assert_int_equal(call.error, DARI_CLOSED);
    dari_call_end(&call);
    await_no_connection(fixture);
    fixture_open_gate(fixture);
    fixture_stop(fixture);
    assert_int_equal(last_sum, sum);
}

/* The server goes while it has loans. */
void loans_to_a_server_that_goes(test_fixture *fixture)
{
    uint32_t sum;
    serve(fixture, &at_once, true);
    dari_client *client = fixture_connect(
        fixture, &(dari_client_options){.shm_loan_size = GRANTED, .no_reconnect = true});
    void *memory = borrow(client, MIB);
    fill(memory, MIB, 1);
    check_sum(client, memory, MIB);
    fixture_stop(fixture);
    const opaque_data data = {(uint32_t)MIB, memory};
    assert_int_equal(sink_1(client, &data, &sum, NULL), DARI_CLOSED);
    fill(memory, MIB, 2);
    void *other = borrow(client, 2 * GRANTED);
    dari_loan_end(client, memory);
    dari_loan_end(client, other);
    dari_client_close(client);
}

/* Sends a call of SINK for whose reply nobody waits. */
static void post(dari_client *client, const opaque_data *data)
{
    uint32_t index = 0;
    dari_exchange exchange;
    while (echo_1_interface.procedures[index].number != SINK)
        index++;
    dari_exchange_begin(&exchange, client, &echo_1_interface, index, NULL);
    uint8_t *at = dari_exchange_reserve(&exchange, xdr_size_opaque_data(&exchange.encoder, data));
    assert_non_null(at);
    xdr_encode_opaque_data(&exchange.encoder, at, data);
    assert_int_equal(dari_exchange_post(&exchange), 0);
}

/* Calls whose arguments are copied: those that nobody waits for, so that nobody would know when the
 * loan has been read; idempotent ones, which may be sent again. */
void loans_of_other_calls(test_fixture *fixture)
{
    serve(fixture, &at_once, true);
    dari_client *client = fixture_connect(fixture, &wanted);
    void *memory = borrow(client, MIB);
    fill(memory, MIB, 1);
    uint32_t sum = sum_of(memory, MIB);
    const opaque_data data = {(uint32_t)MIB, memory};
    post(client, &data);
    memset(memory, 0, MIB);
    check_add(client);
    assert_int_equal(last_sum, sum);
    assert_int_equal(dari_client_idempotent(client, &echo_1_interface, SINK), 0);
    check_sum(client, memory, MIB);
    assert_int_equal(seen_in_place, 0);
    assert_null(client->loans.lent);
    dari_client_close(client);
}

typedef struct lent_call {
    dari_client *client;
    dari_call call;
    void *memory;
    uint32_t expected;
    bool right;
} lent_call;

static void take_sum(void *user, const uint32_t *ret, dari_call *call)
{
    lent_call *one = user;
    one->right = call->error == 0 && *ret == one->expected;
    dari_loan_end(one->client, one->memory);
}

/* More calls in flight than there are references, and than there is memory for. */
void loans_in_flight(test_fixture *fixture)
{
    enum { CALLS = 200 };
    static lent_call calls[CALLS];
    const size_t size = DARI_REFERENCE_MIN;
    serve(fixture, &at_once, true);
    const dari_client_options options = {.shm_loan_size = GRANTED, .queued_max = 64 * MIB};
    dari_client *client = fixture_connect(fixture, &options);
    unsigned full = 0;
    for (uint32_t i = 0; i < CALLS; i++) {
        lent_call *one = &calls[i];
        *one = (lent_call){.client = client};
        while (dari_loan(client, size, &one->memory) == DARI_FULL) {
            full++;
            assert_true(dari_client_dispatch(client) >= 0);
        }
        fill(one->memory, size, i);
        one->expected = sum_of(one->memory, size);
        const opaque_data data = {(uint32_t)size, one->memory};
        assert_int_equal(sink_1_start(client, &data, &one->call, take_sum, one), 0);
    }
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_true(calls[i].right);
        dari_call_end(&calls[i].call);
    }
    assert_int_equal(full > 0, is_shm(fixture));
    assert_int_equal(seen_in_place > 0, is_shm(fixture));
    assert_null(client->loans.first);
    assert_null(client->loans.lent);
    dari_client_close(client);
}

typedef struct lender_thread {
    dari_client *client;
    uint32_t number;
    pthread_t thread;
} lender_thread;

static void *lend_and_call(void *argument)
{
    const lender_thread *self = argument;
    for (uint32_t i = 0; i < 30; i++) {
        size_t size = DARI_REFERENCE_MIN + 5000 * self->number + i;
        void *memory = borrow(self->client, size);
        fill(memory, size, self->number + i);
        check_sum(self->client, memory, size);
        dari_loan_end(self->client, memory);
    }
    return NULL;
}

void loans_of_threads(test_fixture *fixture)
{
    enum { THREADS = 4 };
    lender_thread threads[THREADS];
    fixture->options.workers = 2;
    serve(fixture, &at_once, true);
    dari_client *client = fixture_connect(fixture, &wanted);
    for (uint32_t i = 0; i < THREADS; i++) {
        threads[i] = (lender_thread){.client = client, .number = i};
        assert_int_equal(pthread_create(&threads[i].thread, NULL, lend_and_call, &threads[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    dari_client_close(client);
}

static dari_client *inherited;

static int use_in_child(test_fixture *fixture)
{
    (void)fixture;
    void *memory = NULL;
    if (dari_loan(inherited, 1, &memory) != DARI_FORKED)
        return __LINE__;
    dari_loan_end(inherited, inherited->loans.first->memory);
    if (inherited->loans.first->ended)
        return __LINE__;
    dari_client_close(inherited);
    return 0;
}

void loans_of_a_parent(test_fixture *fixture)
{
    serve(fixture, &at_once, true);
    dari_client *client = fixture_connect(fixture, &wanted);
    void *memory = borrow(client, MIB);
    fill(memory, MIB, 1);
    inherited = client;
    check_child(use_in_child, fixture);
    check_sum(client, memory, MIB);
    dari_client_close(client);
}
