/* SPDX-License-Identifier: MIT */
#include "rpc/reply_cache.h"

#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define AGE UINT64_C(1000)

static const uint64_t key[2] = {UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210)};

static void setup(di_reply_cache *cache, uint32_t count, size_t bytes)
{
    di_reply_cache_init(
        cache, &(di_reply_cache_limits){.count = count, .bytes = bytes, .age_ns = AGE}, key);
}

static int find(di_reply_cache *cache, const char *caller, const char *message, uint64_t now,
                di_cached_call **ret_call)
{
    return di_reply_cache_find(cache, caller, strlen(caller), (const uint8_t *)message,
                               strlen(message), now, ret_call);
}

static void answer(di_reply_cache *cache, di_cached_call *call, const char *reply, uint64_t now)
{
    di_reply_cache_answer(cache, call, (const uint8_t *)reply, strlen(reply), now);
}

/* Runs a call to its end. */
static void run(di_reply_cache *cache, const char *caller, const char *message, const char *reply,
                uint64_t now)
{
    di_cached_call *call = NULL;
    assert_int_equal(find(cache, caller, message, now, &call), DI_CALL_NEW);
    answer(cache, call, reply, now);
}

static void a_call_is_new_then_runs_then_is_answered(void **state)
{
    (void)state;
    di_reply_cache cache;
    di_cached_call *call = NULL, *again = NULL;
    size_t size;
    setup(&cache, 10, 1000);
    assert_int_equal(find(&cache, "anna", "add 1 2", 1, &call), DI_CALL_NEW);
    assert_int_equal(find(&cache, "anna", "add 1 2", 2, &again), DI_CALL_RUNS);
    assert_ptr_equal(again, call);
    answer(&cache, call, "three", 3);
    assert_int_equal(find(&cache, "anna", "add 1 2", 4, &again), DI_CALL_ANSWERED);
    const uint8_t *reply = di_cached_reply(again, &size);
    assert_int_equal(size, 5);
    assert_memory_equal(reply, "three", 5);
    di_reply_cache_free(&cache);
}

static void callers_and_messages_are_told_apart(void **state)
{
    (void)state;
    di_reply_cache cache;
    setup(&cache, 10, 1000);
    run(&cache, "anna", "add 1 2", "a", 1);
    run(&cache, "bert", "add 1 2", "b", 1);
    run(&cache, "anna", "add 1 3", "c", 1);
    run(&cache, "anna", "add 1 2 ", "d", 1);
    run(&cache, "annaa", "dd 1 2", "e", 1);
    assert_int_equal(cache.count, 5);
    di_reply_cache_free(&cache);
}

static void a_call_without_a_reply_is_forgotten(void **state)
{
    (void)state;
    di_reply_cache cache;
    di_cached_call *call = NULL;
    setup(&cache, 10, 1000);
    assert_int_equal(find(&cache, "anna", "m", 1, &call), DI_CALL_NEW);
    di_reply_cache_forget(&cache, call);
    assert_int_equal(cache.count, 0);
    assert_int_equal(find(&cache, "anna", "m", 2, &call), DI_CALL_NEW);
    di_reply_cache_free(&cache);
}

static void the_oldest_answered_one_makes_room(void **state)
{
    (void)state;
    di_reply_cache cache;
    di_cached_call *call = NULL;
    setup(&cache, 3, 1000);
    assert_int_equal(find(&cache, "anna", "runs", 1, &call), DI_CALL_NEW);
    run(&cache, "anna", "1", "one", 2);
    run(&cache, "anna", "2", "two", 3);
    run(&cache, "anna", "3", "three", 4);
    assert_int_equal(cache.count, 3);
    assert_int_equal(find(&cache, "anna", "runs", 5, &call), DI_CALL_RUNS);
    assert_int_equal(find(&cache, "anna", "3", 5, &call), DI_CALL_ANSWERED);
    assert_int_equal(find(&cache, "anna", "2", 5, &call), DI_CALL_ANSWERED);
    assert_int_equal(find(&cache, "anna", "1", 5, &call), DI_CALL_NEW);
    di_reply_cache_free(&cache);
}

static void calls_in_progress_are_never_forgotten(void **state)
{
    (void)state;
    di_reply_cache cache;
    di_cached_call *first = NULL, *second = NULL, *third = NULL;
    setup(&cache, 2, 1000);
    assert_int_equal(find(&cache, "anna", "1", 1, &first), DI_CALL_NEW);
    assert_int_equal(find(&cache, "anna", "2", 1, &second), DI_CALL_NEW);
    assert_int_equal(find(&cache, "anna", "3", 1, &third), DARI_LIMIT);
    assert_null(third);
    assert_int_equal(find(&cache, "anna", "1", 10 * AGE, &third), DI_CALL_RUNS);
    di_reply_cache_free(&cache);
}

static void the_bytes_of_replies_are_limited(void **state)
{
    (void)state;
    di_reply_cache cache;
    di_cached_call *call = NULL;
    setup(&cache, 10, 10);
    run(&cache, "anna", "1", "12345", 1);
    run(&cache, "anna", "2", "12345", 2);
    run(&cache, "anna", "3", "1", 3);
    assert_int_equal(cache.bytes, 6);
    assert_int_equal(find(&cache, "anna", "2", 4, &call), DI_CALL_ANSWERED);
    assert_int_equal(find(&cache, "anna", "1", 4, &call), DI_CALL_NEW);
    answer(&cache, call, "12345678901", 5);
    assert_int_equal(find(&cache, "anna", "1", 6, &call), DI_CALL_NEW);
    assert_int_equal(find(&cache, "anna", "3", 6, &call), DI_CALL_ANSWERED);
    di_reply_cache_free(&cache);
}

static void what_is_old_is_forgotten(void **state)
{
    (void)state;
    di_reply_cache cache;
    di_cached_call *call = NULL;
    setup(&cache, 10, 1000);
    run(&cache, "anna", "1", "one", 1);
    run(&cache, "anna", "2", "two", 500);
    assert_int_equal(find(&cache, "anna", "2", AGE + 1, &call), DI_CALL_ANSWERED);
    assert_int_equal(cache.count, 1);
    assert_int_equal(find(&cache, "anna", "2", AGE + 500, &call), DI_CALL_NEW);
    di_reply_cache_free(&cache);
}

/* The thread that answers has looked at its clock later than the one that asks. */
static void an_answer_may_be_of_later(void **state)
{
    (void)state;
    di_reply_cache cache;
    di_cached_call *call = NULL;
    setup(&cache, 10, 1000);
    run(&cache, "anna", "1", "one", 2 * AGE);
    assert_int_equal(find(&cache, "anna", "1", 2 * AGE - 1, &call), DI_CALL_ANSWERED);
    assert_int_equal(find(&cache, "anna", "1", 0, &call), DI_CALL_ANSWERED);
    di_reply_cache_free(&cache);
}

/* So many that the table grows, and old ones are used again, with replies of every size. */
static void many_calls_are_kept_apart(void **state)
{
    (void)state;
    di_reply_cache cache;
    di_cached_call *call = NULL;
    uint8_t reply[2000];
    setup(&cache, 1000, (size_t)1 << 20);
    for (uint32_t i = 0; i < 5000; i++) {
        memset(reply, (int)(i & 0xff), sizeof reply);
        assert_int_equal(
            di_reply_cache_find(&cache, "anna", 4, (const uint8_t *)&i, sizeof i, 1, &call),
            DI_CALL_NEW);
        di_reply_cache_answer(&cache, call, reply, i % sizeof reply + 1, 1);
    }
    assert_in_range(cache.count, 900, 1000);
    for (uint32_t i = 5000 - 900; i < 5000; i++) {
        size_t size;
        assert_int_equal(
            di_reply_cache_find(&cache, "anna", 4, (const uint8_t *)&i, sizeof i, 1, &call),
            DI_CALL_ANSWERED);
        const uint8_t *kept = di_cached_reply(call, &size);
        assert_int_equal(size, i % sizeof reply + 1);
        assert_int_equal(kept[0], i & 0xff);
        assert_int_equal(kept[size - 1], i & 0xff);
    }
    di_reply_cache_free(&cache);
}

/* Calls in progress are forgotten in any order, and the others are found all the same. */
static void gaps_in_the_table_hide_nothing(void **state)
{
    (void)state;
    enum { CALLS = 200 };
    di_reply_cache cache;
    di_cached_call *calls[CALLS] = {NULL};
    uint32_t random = 1;
    setup(&cache, CALLS, 1000);
    for (unsigned round = 0; round < 100 * CALLS; round++) {
        random = random * 1664525u + 1013904223u;
        uint32_t i = (random >> 8) % CALLS;
        di_cached_call *call = NULL;
        int known = di_reply_cache_find(&cache, "anna", 4, (const uint8_t *)&i, sizeof i, 1, &call);
        assert_int_equal(known, calls[i] ? DI_CALL_RUNS : DI_CALL_NEW);
        if (calls[i]) {
            assert_ptr_equal(call, calls[i]);
            di_reply_cache_forget(&cache, call);
            call = NULL;
        }
        calls[i] = call;
    }
    di_reply_cache_free(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_new_then_runs_then_is_answered),
        cmocka_unit_test(callers_and_messages_are_told_apart),
        cmocka_unit_test(a_call_without_a_reply_is_forgotten),
        cmocka_unit_test(the_oldest_answered_one_makes_room),
        cmocka_unit_test(calls_in_progress_are_never_forgotten),
        cmocka_unit_test(the_bytes_of_replies_are_limited),
        cmocka_unit_test(what_is_old_is_forgotten),
        cmocka_unit_test(an_answer_may_be_of_later),
        cmocka_unit_test(many_calls_are_kept_apart),
        cmocka_unit_test(gaps_in_the_table_hide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
