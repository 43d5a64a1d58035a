/* SPDX-License-Identifier: MIT */
/* What calls over udp:// ask of the system fails in turn, at the client and at the server, at one
 * address and at all that the machine has. Whatever loses a datagram is made good by sending it
 * again: no caller sees it, and no call runs twice. */
#include "fault/scenes.h"

#include "loop/client.h"

#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define RETRY_NS (5 * DARI_MS)
#define PATIENCE_NS (20 * DARI_S)
#define STRUCK_MAX 6u
#define ALLOCATIONS_MAX 300u
#define CALLS_MAX 5000u
#define CALLS 3
#define FLIGHTS 4

typedef struct failure {
    fault_plan plan;
    bool harmless; /* no caller may see it */
} failure;

#define LOST(call, cause, count)                   \
    {                                              \
        {call, FAULT_FAILS, cause, 0, count}, true \
    }
#define CUT(call)                          \
    {                                      \
        {call, FAULT_SHORT, 0, 0, 1}, true \
    }
#define TOLD(call, cause)                       \
    {                                           \
        {call, FAULT_FAILS, cause, 0, 1}, false \
    }

static const failure failures[] = {
    /* The client's. */
    TOLD(FAULT_SOCKET, EMFILE),
    TOLD(FAULT_CONNECT, EACCES),
    TOLD(FAULT_CONNECT, ENETUNREACH),
    LOST(FAULT_SETSOCKOPT, ENOBUFS, 1),
    CUT(FAULT_SEND),
    LOST(FAULT_SEND, EINTR, 3),
    LOST(FAULT_SEND, EAGAIN, 1),
    LOST(FAULT_SEND, EAGAIN, 3),
    LOST(FAULT_SEND, ECONNREFUSED, 1),
    LOST(FAULT_SEND, ECONNREFUSED, 20),
    LOST(FAULT_SEND, ENOBUFS, 2),
    LOST(FAULT_SEND, EPERM, 1),
    LOST(FAULT_SEND, ENETUNREACH, 2),
    LOST(FAULT_SEND, EHOSTUNREACH, 1),
    TOLD(FAULT_SEND, ECONNRESET),
    TOLD(FAULT_SEND, ENOMEM),
    CUT(FAULT_RECEIVE),
    LOST(FAULT_RECEIVE, EINTR, 3),
    LOST(FAULT_RECEIVE, EAGAIN, 1),
    LOST(FAULT_RECEIVE, EAGAIN, 3),
    LOST(FAULT_RECEIVE, EHOSTUNREACH, 3),
    LOST(FAULT_RECEIVE, ENETDOWN, 1),
    TOLD(FAULT_RECEIVE, ECONNREFUSED),
    TOLD(FAULT_RECEIVE, ENOMEM),
    LOST(FAULT_POLL, EINTR, 3),
    LOST(FAULT_EPOLL_WAIT, EINTR, 3),
    TOLD(FAULT_EPOLL_CREATE, EMFILE),
    TOLD(FAULT_EPOLL_ADD, ENOMEM),
    TOLD(FAULT_EVENTFD, EMFILE),
    /* The server's, at one address, */
    CUT(FAULT_SEND_TO),
    LOST(FAULT_SEND_TO, EINTR, 3),
    LOST(FAULT_SEND_TO, EAGAIN, 1),
    LOST(FAULT_SEND_TO, EAGAIN, 3),
    LOST(FAULT_SEND_TO, ENOBUFS, 2),
    LOST(FAULT_SEND_TO, EPERM, 1),
    LOST(FAULT_SEND_TO, ECONNREFUSED, 1),
    LOST(FAULT_SEND_TO, ENOMEM, 1),
    LOST(FAULT_SEND_TO, EIO, 1),
    CUT(FAULT_RECEIVE_FROM),
    LOST(FAULT_RECEIVE_FROM, EINTR, 3),
    LOST(FAULT_RECEIVE_FROM, EAGAIN, 1),
    LOST(FAULT_RECEIVE_FROM, EAGAIN, 3),
    LOST(FAULT_RECEIVE_FROM, ECONNREFUSED, 1),
    LOST(FAULT_RECEIVE_FROM, EHOSTUNREACH, 2),
    LOST(FAULT_RECEIVE_FROM, ENOMEM, 1),
    /* and at all. */
    CUT(FAULT_RECEIVE_MESSAGE),
    LOST(FAULT_RECEIVE_MESSAGE, EINTR, 3),
    LOST(FAULT_RECEIVE_MESSAGE, EAGAIN, 3),
    LOST(FAULT_RECEIVE_MESSAGE, ECONNREFUSED, 1),
    LOST(FAULT_RECEIVE_MESSAGE, ENOMEM, 1),
};
#define FAILURES (sizeof failures / sizeof *failures)

static atomic_uint entered;

static int handle_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    *ret = arg->a + arg->b;
    atomic_fetch_add(&entered, 1);
    return 0;
}

static const echo_1_handlers handlers = {.add = handle_add};

typedef struct scene {
    test_fixture fixture;
    const fault_plan *plan;
    bool harmless;
    unsigned started, failed;
} scene;

static void fails(const scene *one, const char *what, int error)
{
    char described[200];
    unsigned calls;
    fault_end(&calls);
    fault_describe(one->plan, described, sizeof described);
    fail_msg("%s: %s: %s (%s)", one->fixture.address, described, what, dari_error_name(error));
}

static bool is_fitting(const scene *one, int error)
{
    return error == DARI_ERRNO || error == DARI_NO_MEMORY ||
           (error == DARI_REFUSED && one->plan->cause == ECONNREFUSED) ||
           (error == DARI_PERMISSION && one->plan->cause == EACCES) ||
           (error == DARI_SYSTEM_ERROR && one->plan->call == FAULT_ALLOCATE);
}

static void check_error(scene *one, int error)
{
    if (error == 0)
        return;
    one->failed++;
    if (one->harmless || !is_fitting(one, error))
        fails(one, "a call fails", error);
}

static void take_sum(void *user, const int32_t *ret, dari_call *call)
{
    *(int32_t *)user = ret ? *ret : call->error;
}

static void call_some(scene *one, dari_client *client)
{
    int32_t sums[FLIGHTS] = {0};
    dari_call calls[FLIGHTS] = {0};
    for (int32_t i = 0; i < CALLS; i++) {
        int32_t sum = 0;
        int error = add_1(client, &(pair){i, 1}, &sum, NULL);
        check_error(one, error);
        if (error == 0 && sum != i + 1)
            fails(one, "a sum is wrong", 0);
    }
    for (int32_t i = 0; i < FLIGHTS; i++) {
        int error = add_1_start(client, &(pair){i, 7}, &calls[i], take_sum, &sums[i]);
        check_error(one, error);
        if (error < 0)
            sums[i] = error;
    }
    int error = dari_client_wait(client, PATIENCE_NS);
    check_error(one, error);
    if (error < 0 && (error = dari_client_wait(client, PATIENCE_NS)) < 0)
        fails(one, "no loop can be made", error);
    for (int32_t i = 0; i < FLIGHTS; i++) {
        check_error(one, sums[i] < 0 ? sums[i] : 0);
        if (sums[i] >= 0 && sums[i] != i + 7)
            fails(one, "a sum of a call in flight is wrong", 0);
        dari_call_end(&calls[i]);
    }
    one->started += CALLS + FLIGHTS;
}

static void check_afterwards(scene *one, dari_client *client)
{
    unsigned ran = atomic_load(&entered);
    int32_t sum = 0;
    if (ran > one->started || (one->failed == 0 && ran != one->started))
        fails(one, "calls did not run once", 0);
    dari_client *fresh = fixture_connect(&one->fixture, NULL);
    int error = add_1(fresh, &(pair){2, 3}, &sum, NULL);
    if (error < 0)
        fails(one, "a new client fails", error);
    dari_client_close(fresh);
    if (!client)
        return;
    error = add_1(client, &(pair){2, 3}, &sum, NULL);
    if (error < 0) /* what was lost is known now */
        error = add_1(client, &(pair){2, 3}, &sum, NULL);
    if (error < 0 || sum != 5)
        fails(one, "the client fails for good", error);
    if (client->pending.count || client->engaged)
        fails(one, "a call was never left", 0);
}

/* Returns whether the plan struck. */
static bool play(const test_scheme *scheme, const fault_plan *plan, bool harmless)
{
    unsigned calls;
    scene one = {
        .fixture = {.scheme = scheme, .handlers = &handlers}, .plan = plan, .harmless = harmless};
    dari_client *client = NULL;
    dari_client_options options = {.deadline_ns = PATIENCE_NS,
                                   .retry_ns = RETRY_NS,
                                   .backoff_first_ns = DARI_MS,
                                   .backoff_max_ns = 4 * DARI_MS};
    atomic_store(&entered, 0);
    fixture_begin(&one.fixture);
    one.fixture.handlers = &handlers;
    fixture_serve(&one.fixture);
    fault_begin(plan);
    int error = dari_connect(one.fixture.address, &options, &client);
    check_error(&one, error);
    if (client)
        call_some(&one, client);
    unsigned struck = fault_end(&calls);
    if (calls > CALLS_MAX)
        fails(&one, "a loop spins", 0);
    check_afterwards(&one, client);
    dari_client_close(client);
    fixture_end(&one.fixture);
    return struck > 0;
}

static const test_scheme sockets[] = {
    {.name = "udp at one address", .address = "udp://127.0.0.1:0"},
    {.name = "udp at all addresses", .address = "udp://0.0.0.0:0"},
};

static void every_call_of_the_system(void **state)
{
    (void)state;
    unsigned before = count_descriptors();
    for (size_t i = 0; i < 2; i++) {
        unsigned kinds = 0;
        for (const failure *at = failures; at < failures + FAILURES; at++) {
            fault_plan plan = at->plan;
            while (plan.at < STRUCK_MAX && play(&sockets[i], &plan, at->harmless))
                plan.at++;
            kinds += plan.at > 0;
        }
        assert_true(kinds >= FAILURES - 18);
    }
    assert_int_equal(count_descriptors(), before);
}

static void every_allocation(void **state)
{
    (void)state;
    unsigned before = count_descriptors();
    for (size_t i = 0; i < 2; i++) {
        fault_plan plan = {.call = FAULT_ALLOCATE, .count = 1};
        while (play(&sockets[i], &plan, false))
            assert_true(++plan.at < ALLOCATIONS_MAX);
        assert_true(plan.at > 5);
    }
    assert_int_equal(count_descriptors(), before);
}

static void a_server_that_starts(void **state)
{
    (void)state;
    static const fault_plan plans[] = {
        {FAULT_ALLOCATE, FAULT_FAILS, 0, 0, 1},
        {FAULT_SOCKET, FAULT_FAILS, EMFILE, 0, 1},
        {FAULT_BIND, FAULT_FAILS, EADDRINUSE, 0, 1},
        {FAULT_BIND, FAULT_FAILS, EACCES, 0, 1},
        {FAULT_SETSOCKOPT, FAULT_FAILS, ENOBUFS, 0, 1},
        {FAULT_GETSOCKNAME, FAULT_FAILS, ENOBUFS, 0, 1},
        {FAULT_EPOLL_ADD, FAULT_FAILS, ENOMEM, 0, 1},
        {FAULT_RESOLVE, FAULT_FAILS, EAI_AGAIN, 0, 1},
        {FAULT_RECEIVE_FROM, FAULT_FAILS, ENOMEM, 0, 1},
        {FAULT_RECEIVE_MESSAGE, FAULT_FAILS, ENOMEM, 0, 1},
    };
    unsigned before = count_descriptors();
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < sizeof plans / sizeof *plans; k++) {
            fault_plan plan = plans[k];
            while (scene_start_server(0, &sockets[i], &plan, false))
                assert_true(++plan.at < ALLOCATIONS_MAX);
        }
    }
    assert_int_equal(count_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_of_the_system),
        cmocka_unit_test(every_allocation),
        cmocka_unit_test(a_server_that_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
