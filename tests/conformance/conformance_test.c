/* SPDX-License-Identifier: MIT */
/* conformance [PATTERN]...
 * The suite that every scheme passes, through the library's own client and server: each case runs
 * once for each scheme of the harness. With patterns, as the shell has them, those of which one
 * fits "SCHEME/CASE". */
#include "conformance/cases.h"
#include "conformance/relay_program.h"
#include "support/queues.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define LIST_CASE(name) {#name, name},
typedef struct suite_case {
    const char *name;
    void (*run)(test_fixture *fixture);
} suite_case;

static const suite_case cases[] = {CASES(LIST_CASE)};
static const suite_case datagram_cases[] = {DATAGRAM_CASES(LIST_CASE)};
static const suite_case single_cases[] = {SINGLE_CASES(LIST_CASE)};

#define CASE_COUNT (sizeof cases / sizeof *cases)
#define DATAGRAM_CASE_COUNT (sizeof datagram_cases / sizeof *datagram_cases)
#define SINGLE_CASE_COUNT (sizeof single_cases / sizeof *single_cases)

typedef struct run_of_case {
    const test_scheme *scheme;
    const suite_case *one;
    char name[96];
} run_of_case;

static void run_case(void **state)
{
    const run_of_case *run = *state;
    test_fixture fixture = {.scheme = run->scheme};
    fixture_begin(&fixture);
    run->one->run(&fixture);
    fixture_end(&fixture);
}

static bool is_among(const suite_case *one, void (*const *list)(test_fixture *), size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (one->run == list[i])
            return true;
    return false;
}

/* A queue cannot be half closed. Two clients can share the ends of pipes, but not a program; and
 * one that relays takes what is sent before it hears that nobody reads, brings it when it gets to
 * that, and is to the server nothing but pipes. */
static bool applies(const test_scheme *scheme, const suite_case *one)
{
    static void (*const halves[])(test_fixture *) = {half_close_gets_its_replies,
                                                     a_caller_that_sends_no_more};
    static void (*const direct[])(test_fixture *) = {
        a_reply_over_the_clients_limit,  a_child_inherits_nothing,
        all_calls_in_flight_are_limited, idle_connections_have_no_buffers,
        a_server_dies_before_it_reads,   replies_behind_a_full_dispatch,
        requests_are_asked_about,
    };
    if (scheme->queue)
        return !is_among(one, halves, sizeof halves / sizeof *halves);
    return !scheme->relayed || !is_among(one, direct, sizeof direct / sizeof *direct);
}

static bool is_wanted(const test_scheme *scheme, const suite_case *one, char **patterns)
{
    char name[96];
    snprintf(name, sizeof name, "%s/%s", scheme->name, one->name);
    if (!*patterns)
        return true;
    for (; *patterns; patterns++)
        if (fnmatch(*patterns, name, 0) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], RELAY_ROLE) == 0)
        return relay_play(argc - 1, argv + 1);
    use_queues_of_ones_own();
    enum { MOST = 16 * CASE_COUNT };
    static run_of_case runs[MOST];
    static struct CMUnitTest tests[MOST];
    size_t count = 0;
    bool has_queues = false;
    for (size_t i = 0; i < scheme_count; i++) {
        const test_scheme *scheme = &schemes[i];
        const suite_case *list = cases;
        size_t list_count = CASE_COUNT;
        if (scheme->datagrams) {
            list = datagram_cases;
            list_count = DATAGRAM_CASE_COUNT;
        } else if (scheme->single) {
            list = single_cases;
            list_count = SINGLE_CASE_COUNT;
        }
        if (!scheme_is_there(scheme)) {
            printf("# %s left out: this machine has none\n", scheme->name);
            continue;
        }
        for (size_t at = 0; at < list_count; at++) {
            if (!applies(scheme, &list[at]) || !is_wanted(scheme, &list[at], argv + 1))
                continue;
            runs[count] = (run_of_case){.scheme = scheme, .one = &list[at]};
            snprintf(runs[count].name, sizeof runs[count].name, "%s: %s", scheme->name,
                     list[at].name);
            has_queues |= scheme->queue;
            tests[count] = (struct CMUnitTest){
                .name = runs[count].name, .test_func = run_case, .initial_state = &runs[count]};
            count++;
        }
    }
    if (count == 0) {
        puts("1..0 # SKIP no such case");
        return 0;
    }
    if (has_queues)
        take_turns_with_queues();
    return _cmocka_run_group_tests("conformance", tests, count, NULL, NULL);
}
