/* SPDX-License-Identifier: MIT */
/* memory [SCHEME]
 * Every allocation of calls fails in turn, at the client and at the server, over every scheme or
 * the one that is named. */
#include "fault/stage.h"

#include "support/queues.h"

#include <string.h>

#define ALLOCATIONS_MAX 500u

static const char *chosen; /* NULL: all */

static bool is_chosen(const char *scheme)
{
    return !chosen || strcmp(chosen, scheme) == 0;
}

static void starve(const scene_kind *kind)
{
    unsigned before = count_descriptors();
    for (unsigned server = 0; server < SCENE_SERVERS; server++) {
        if (!(kind->servers & 1u << server))
            continue;
        for (unsigned i = 0; i < SCENE_SCHEMES; i++) {
            if (!is_chosen(scene_schemes[i]))
                continue;
            const test_scheme *scheme = scheme_named(scene_schemes[i]);
            fault_plan plan = {.call = FAULT_ALLOCATE, .count = 1};
            while (scene_play(kind, server, scheme, &plan, false))
                assert_true(++plan.at < ALLOCATIONS_MAX);
            assert_true(plan.at > 0);
            /* From one allocation on, none succeeds any more. Those who connect by an inlet that
             * all share wait for that. */
            if (scheme->forgets || scheme->queue)
                continue;
            for (plan = (fault_plan){.call = FAULT_ALLOCATE, .count = 1000}; plan.at < 4; plan.at++)
                scene_play(kind, server, scheme, &plan, false);
        }
    }
    assert_int_equal(count_descriptors(), before);
}

static void calls(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_CALLS]);
}

static void a_large_call(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_LARGE]);
}

static void calls_in_flight(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_FLIGHT]);
}

static void calls_one_way(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_ONE_WAY]);
}

static void calls_that_can_be_cancelled(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_CANCEL]);
}

static void a_shared_client(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_SHARED]);
}

static void connecting(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_CONNECT]);
}

static void loans(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_LOANS]);
}

static void calls_both_ways(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_BOTH_WAYS]);
}

static void a_call_connects_again(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_LOST_CALL]);
}

static void calls_are_kept(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_LOST_FLIGHT]);
}

static void calls_are_repeated(void **state)
{
    (void)state;
    starve(&scene_kinds[SCENE_LOST_REPEAT]);
}

static void a_server_that_starts(void **state)
{
    (void)state;
    unsigned before = count_descriptors();
    for (unsigned i = 0; i < START_SCHEMES; i++) {
        if (!is_chosen(scene_schemes[i]))
            continue;
        for (uint32_t workers = 0; workers <= 3; workers += 3) {
            fault_plan plan = {.call = FAULT_ALLOCATE, .count = 1};
            while (scene_start_server(workers, scheme_named(scene_schemes[i]), &plan, false))
                assert_true(++plan.at < ALLOCATIONS_MAX);
            assert_true(plan.at > 3);
        }
    }
    assert_int_equal(count_descriptors(), before);
}

int main(int argc, char **argv)
{
    chosen = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls),
        cmocka_unit_test(a_large_call),
        cmocka_unit_test(calls_in_flight),
        cmocka_unit_test(calls_one_way),
        cmocka_unit_test(calls_that_can_be_cancelled),
        cmocka_unit_test(a_shared_client),
        cmocka_unit_test(connecting),
        cmocka_unit_test(loans),
        cmocka_unit_test(calls_both_ways),
        cmocka_unit_test(a_call_connects_again),
        cmocka_unit_test(calls_are_kept),
        cmocka_unit_test(calls_are_repeated),
        cmocka_unit_test(a_server_that_starts),
    };
    use_queues_of_ones_own();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
