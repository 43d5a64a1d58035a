/* SPDX-License-Identifier: MIT */
/* conformance [PATTERN]...
 * The suite that every scheme passes, through the library's own client and server: each case runs
 * once for each scheme of the harness. With patterns, as the shell has them, those of which one
 * fits "SCHEME/CASE". */
#include "conformance/cases.h"

#include <errno.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

uint8_t *pattern(size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 131 + (i >> 8));
    return bytes;
}

void check_echo(dari_client *client, size_t size)
{
    dari_call call = {0};
    uint8_t *bytes = pattern(size);
    opaque_data arg = {(uint32_t)size, bytes}, ret = {0};
    if (echo_data_1(client, &arg, &ret, &call) < 0)
        fail_msg("%zu bytes: %s", size, dari_call_message(&call));
    assert_int_equal(ret.size, size);
    if (size)
        assert_memory_equal(ret.data, bytes, size);
    free(bytes);
    dari_call_end(&call);
}

void check_add(dari_client *client)
{
    int32_t sum = 0;
    assert_int_equal(add_1(client, &(pair){40, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 42);
}

void check_message(test_fixture *fixture, dari_call *call, const char *rest)
{
    char expected[512];
    snprintf(expected, sizeof expected, "%s: %s", fixture->address, rest);
    assert_string_equal(dari_call_message(call), expected);
}

void check_child(int (*child)(test_fixture *), test_fixture *fixture)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child(fixture) & 0xff);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child failed: status %#x, line %d", (unsigned)status, WEXITSTATUS(status));
}

bool step(dari_server *server, int milliseconds)
{
    struct pollfd one = {.fd = dari_server_descriptor(server), .events = POLLIN};
    uint64_t timeout = dari_server_timeout_ns(server);
    int limit =
        timeout < (uint64_t)milliseconds * DARI_MS ? (int)(timeout / DARI_MS) + 1 : milliseconds;
    int ready = poll(&one, 1, limit);
    int more;
    while ((more = dari_server_dispatch(server)) == 1)
        continue;
    assert_int_equal(more, 0);
    return ready > 0;
}

void queue_echo(di_connection *peer, uint32_t xid, uint32_t size)
{
    uint8_t *room = NULL;
    assert_int_equal(peer->ops->reserve(peer, 48 + size, &room), 0);
    dari_put_u32(room, 0x80000000u | (44 + size));
    uint8_t *at = raw_call(room + 4, xid, ECHO, ECHO_V1, 1);
    dari_put_u32(at, size);
    memset(at + 4, (int)xid, size);
    peer->ops->commit(peer, 48 + size);
}

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
    (void)argc;
    enum { MOST = 16 * CASE_COUNT };
    static run_of_case runs[MOST];
    static struct CMUnitTest tests[MOST];
    size_t count = 0;
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
            if (!is_wanted(scheme, &list[at], argv + 1))
                continue;
            runs[count] = (run_of_case){.scheme = scheme, .one = &list[at]};
            snprintf(runs[count].name, sizeof runs[count].name, "%s: %s", scheme->name,
                     list[at].name);
            tests[count] = (struct CMUnitTest){
                .name = runs[count].name, .test_func = run_case, .initial_state = &runs[count]};
            count++;
        }
    }
    if (count == 0) {
        puts("1..0 # SKIP no such case");
        return 0;
    }
    return _cmocka_run_group_tests("conformance", tests, count, NULL, NULL);
}
