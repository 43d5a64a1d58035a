/* SPDX-License-Identifier: MIT */
/* When a lost connection is replaced, and how long after the attempt before. */
#include "loop/reconnect.h"

#include "base/clock.h"
#include "loop/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Chances taken of each back-off. */
#define TRIES 400

/* A client that has nothing but its part of connecting again. */
static dari_client made(uint64_t first_ns, uint64_t max_ns)
{
    dari_client client = {.pending = {.next_xid = 77}};
    di_reconnect_begin(
        &client, &(dari_client_options){.backoff_first_ns = first_ns, .backoff_max_ns = max_ns});
    return client;
}

/* The time until the next attempt, after so many without a reply. */
static uint64_t put_off(dari_client *client, uint32_t fruitless)
{
    client->reconnect.fruitless = fruitless;
    uint64_t before = di_now();
    di_reconnect_lost(client, DARI_CLOSED, 0);
    uint64_t after = di_now(), at = client->reconnect.not_before;
    if (at == 0 || at == DI_NEVER)
        return at;
    /* Between the two, it cannot be known more exactly. */
    assert_true(at >= before);
    return at - (before + (after - before) / 2);
}

/* Every back-off after so many attempts lies in the upper half of `time`, and all over it. */
static void check_back_off(dari_client *client, uint32_t fruitless, uint64_t time)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < TRIES; i++) {
        uint64_t off = put_off(client, fruitless);
        least = off < least ? off : least;
        most = off > most ? off : most;
    }
    /* A test may be held up between two looks at the clock. */
    uint64_t slack = time / 20;
    assert_in_range(least, time / 2 - slack, time / 2 + time / 10);
    assert_in_range(most, time - time / 10, time + slack);
}

static void the_first_attempt_is_not_put_off(void **state)
{
    (void)state;
    dari_client client = made(10 * DARI_S, 100 * DARI_S);
    assert_int_equal(put_off(&client, 0), 0);
    assert_true(put_off(&client, 1) > 0);
}

static void back_off_doubles_up_to_the_limit(void **state)
{
    (void)state;
    dari_client client = made(10 * DARI_S, 70 * DARI_S);
    static const uint64_t seconds[] = {10, 20, 40, 70, 70, 70};
    for (uint32_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
        check_back_off(&client, i + 1, seconds[i] * DARI_S);
    check_back_off(&client, UINT32_MAX, 70 * DARI_S);
}

static void a_limit_below_the_first_time(void **state)
{
    (void)state;
    dari_client client = made(100 * DARI_S, 30 * DARI_S);
    check_back_off(&client, 1, 30 * DARI_S);
    check_back_off(&client, 9, 30 * DARI_S);
}

static void times_beyond_the_clock(void **state)
{
    (void)state;
    dari_client client = made(UINT64_MAX - 5, UINT64_MAX);
    for (uint32_t i = 1; i < 80; i++)
        assert_true(put_off(&client, i) > UINT64_MAX / 4);
    client = made(1, UINT64_MAX);
    for (uint32_t i = 66; i < 80; i++)
        assert_true(put_off(&client, i) > UINT64_MAX / 4);
}

static void the_defaults(void **state)
{
    (void)state;
    dari_client client = made(0, 0);
    assert_int_equal(client.reconnect.first_ns, 20 * DARI_MS);
    assert_int_equal(client.reconnect.max_ns, 5 * DARI_S);
    assert_int_equal(client.reconnect.connect_ns, 10 * DARI_S);
    assert_false(client.reconnect.never);
    check_back_off(&client, 20, 5 * DARI_S);
}

/* Clients that lose their server together do not come back together. */
static void clients_differ(void **state)
{
    (void)state;
    dari_client one = made(1000 * DARI_S, 1000 * DARI_S);
    dari_client other = one;
    other.pending.next_xid++;
    di_reconnect_begin(&other, &(dari_client_options){.backoff_first_ns = 1000 * DARI_S,
                                                      .backoff_max_ns = 1000 * DARI_S});
    uint64_t far = 0;
    for (int i = 0; i < 10; i++) {
        uint64_t a = put_off(&one, 1), b = put_off(&other, 1);
        far += (a > b ? a - b : b - a) > DARI_S;
    }
    assert_true(far > 5);
}

static void it_has_to_be_wanted(void **state)
{
    (void)state;
    dari_client client = made(10 * DARI_S, 10 * DARI_S);
    di_flight flight = {0};
    client.broken = DARI_CLOSED;
    put_off(&client, 1);
    assert_int_equal(di_reconnect_due(&client), DI_NEVER);
    client.reconnect.waiting = 1;
    assert_int_equal(di_reconnect_due(&client), client.reconnect.not_before);
    client.reconnect.waiting = 0;
    client.flights.grounded = &flight;
    assert_int_equal(di_reconnect_due(&client), client.reconnect.not_before);
    client.reconnect.never = true;
    assert_int_equal(di_reconnect_due(&client), DI_NEVER);
    client.reconnect.never = false;
    client.broken = 0;
    assert_int_equal(di_reconnect_due(&client), DI_NEVER);
    client.broken = DARI_CLOSED;
    client.reconnect.attempt = (di_attempt *)&flight; /* one is under way */
    assert_int_equal(di_reconnect_due(&client), DI_NEVER);
}

/* Whoever has to do with the lost connection leaves it first. */
static void the_old_connection_has_to_be_left(void **state)
{
    (void)state;
    dari_client client = made(10 * DARI_S, 10 * DARI_S);
    di_waiter waiter = {.bell = -1};
    client.broken = DARI_CLOSED;
    client.reconnect.waiting = 1;
    put_off(&client, 1);
    const uint64_t due = client.reconnect.not_before;
    assert_int_equal(di_reconnect_due(&client), due);
    client.held = true;
    assert_int_equal(di_reconnect_due(&client), DI_NEVER);
    client.held = false;
    client.engaged = 1;
    assert_int_equal(di_reconnect_due(&client), DI_NEVER);
    client.engaged = 0;
    client.receiver = &waiter;
    assert_int_equal(di_reconnect_due(&client), DI_NEVER);
    client.receiver = NULL;
    client.sender = &waiter;
    assert_int_equal(di_reconnect_due(&client), DI_NEVER);
    client.sender = NULL;
    client.writing = true;
    assert_int_equal(di_reconnect_due(&client), DI_NEVER);
    client.drafting = true; /* that is written elsewhere */
    assert_int_equal(di_reconnect_due(&client), due);
}

static void what_may_be_repeated(void **state)
{
    (void)state;
    static const int errors[] = {0,          DARI_DEADLINE,  DARI_CANCELLED, DARI_REFUSED,
                                 DARI_LIMIT, DARI_BAD_REPLY, DARI_CLOSED,    DARI_ERRNO};
    dari_client client = made(10 * DARI_S, 10 * DARI_S);
    for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
        dari_exchange exchange = {.idempotent = true};
        bool lost = errors[i] == DARI_CLOSED || errors[i] == DARI_ERRNO;
        client.broken = errors[i];
        assert_int_equal(di_reconnect_may_repeat(&client, &exchange, errors[i]), lost);
        exchange.repeats = DARI_REPEATS_MAX - 1;
        assert_int_equal(di_reconnect_may_repeat(&client, &exchange, errors[i]), lost);
        exchange.repeats = DARI_REPEATS_MAX;
        assert_false(di_reconnect_may_repeat(&client, &exchange, errors[i]));
        exchange = (dari_exchange){.idempotent = false};
        assert_false(di_reconnect_may_repeat(&client, &exchange, errors[i]));
    }
    dari_exchange exchange = {.idempotent = true};
    client.broken = DARI_CLOSED;
    assert_false(di_reconnect_may_repeat(&client, &exchange, DARI_ERRNO)); /* one of its own */
    client.reconnect.never = true;
    assert_false(di_reconnect_may_repeat(&client, &exchange, DARI_CLOSED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_attempt_is_not_put_off),
        cmocka_unit_test(back_off_doubles_up_to_the_limit),
        cmocka_unit_test(a_limit_below_the_first_time),
        cmocka_unit_test(times_beyond_the_clock),
        cmocka_unit_test(the_defaults),
        cmocka_unit_test(clients_differ),
        cmocka_unit_test(it_has_to_be_wanted),
        cmocka_unit_test(the_old_connection_has_to_be_left),
        cmocka_unit_test(what_may_be_repeated),
    };
    return cmocka_run_group_tests_name("unit/reconnect", tests, NULL, NULL);
}
