/* SPDX-License-Identifier: MIT */
/* What it takes to make a pair of pipes, to connect and listen by them and to start a program fails
 * in turn. Nothing stays open, no program stays behind, and where it does not fail calls work. The
 * program is this one, started with a role. */
#include "fault/scenes.h"

#include "base/clock.h"

#include <dari/pipe.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOCATIONS_MAX 300u
#define PATIENCE_NS (10 * DARI_S)

static int handle_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    *ret = arg->a + arg->b;
    return 0;
}

static const echo_1_handlers handlers = {.add = handle_add};

static const fault_plan plans[] = {
    {FAULT_PIPE, FAULT_FAILS, EMFILE, 0, 1},          {FAULT_FCNTL, FAULT_FAILS, EMFILE, 0, 1},
    {FAULT_EVENTFD, FAULT_FAILS, EMFILE, 0, 1},       {FAULT_SPAWN, FAULT_FAILS, EAGAIN, 0, 1},
    {FAULT_SPAWN, FAULT_FAILS, ENOMEM, 0, 1},         {FAULT_SPAWN, FAULT_FAILS, ENOENT, 0, 1},
    {FAULT_PROCESS, FAULT_FAILS, EMFILE, 0, 1},       {FAULT_PROCESS, FAULT_FAILS, ENOSYS, 0, 1},
    {FAULT_WAIT, FAULT_FAILS, ECHILD, 0, 1},          {FAULT_WAIT, FAULT_FAILS, EINTR, 0, 1},
    {FAULT_THREAD, FAULT_FAILS, EAGAIN, 0, 1},        {FAULT_POLL, FAULT_FAILS, EINTR, 0, 3},
    {FAULT_MAP, FAULT_FAILS, ENOMEM, 0, 1},           {FAULT_EPOLL_ADD, FAULT_FAILS, ENOMEM, 0, 1},
    {FAULT_STATUS, FAULT_FAILS, ENOMEM, 0, 1},        {FAULT_OPEN, FAULT_FAILS, EMFILE, 0, 1},
    {FAULT_NEW_WRITE, FAULT_FAILS, EOPNOTSUPP, 0, 1}, {FAULT_PIPE_WRITE, FAULT_FAILS, EINTR, 0, 3},
    {FAULT_READ, FAULT_FAILS, EINTR, 0, 3},           {FAULT_ALLOCATE, FAULT_FAILS, 0, 0, 1},
};
#define PLANS (sizeof plans / sizeof *plans)

static void check(const fault_plan *plan, bool holds, const char *what, int error)
{
    char described[200];
    unsigned calls;
    if (holds)
        return;
    fault_end(&calls);
    fault_describe(plan, described, sizeof described);
    fail_msg("%s: %s (%s)", described, what, dari_error_name(error));
}

static bool is_fitting(const fault_plan *plan, int error)
{
    switch (error) {
    case 0:
    case DARI_ERRNO:
    case DARI_NO_MEMORY:
        return true;
    case DARI_ADDRESS: /* there is no such program, or descriptor */
        return plan->cause == ENOENT || plan->call == FAULT_FCNTL;
    case DARI_CLOSED: /* it ended at once */
        return plan->call == FAULT_WAIT;
    case DARI_SYSTEM_ERROR: /* of the server */
        return plan->call == FAULT_ALLOCATE;
    default:
        return false;
    }
}

static void call_add(const fault_plan *plan, dari_client *client)
{
    int32_t sum = 0;
    int error = add_1(client, &(pair){2, 3}, &sum, NULL);
    check(plan, is_fitting(plan, error) || error == DARI_CLOSED, "a call fails", error);
    check(plan, error < 0 || sum == 5, "the sum is wrong", error);
}

/* The thread that looks after a program takes its status, and tells nobody; but not where that is
 * what failed. */
static void await_no_child(const fault_plan *plan)
{
    siginfo_t state;
    uint64_t until = di_deadline_in(PATIENCE_NS);
    while (waitid(P_ALL, 0, &state, WEXITED | WNOHANG | WNOWAIT) == 0) {
        if (plan->call == FAULT_WAIT)
            waitpid(-1, NULL, WNOHANG);
        check(plan, di_now() < until, "a program is left", 0);
        poll(NULL, 0, 1);
    }
    assert_int_equal(errno, ECHILD);
}

static char self[4096];

static bool start_program(fault_plan *plan, const dari_client_options *options)
{
    char address[4200];
    unsigned calls, before = count_descriptors();
    dari_client *client = NULL;
    snprintf(address, sizeof address, "exec:%s serve", self);
    fault_begin(plan);
    int error = dari_connect(address, options, &client);
    check(plan, is_fitting(plan, error), "connecting fails", error);
    check(plan, (error == 0) == (client != NULL), "a client of a failure", error);
    if (client)
        call_add(plan, client);
    dari_client_close(client);
    unsigned struck = fault_end(&calls);
    await_no_child(plan);
    check(plan, await_descriptors(before), "a descriptor is left", 0);
    return struck > 0;
}

static void a_program(void **state)
{
    (void)state;
    for (unsigned keeps = 0; keeps < 2; keeps++) {
        dari_client_options options = {
            .exec = {.allowed = true, .keeps_standard = keeps, .grace_ns = 5 * DARI_S},
            .no_reconnect = true};
        unsigned kinds = 0;
        for (size_t i = 0; i < PLANS; i++) {
            fault_plan plan = plans[i];
            while (start_program(&plan, &options))
                assert_true(++plan.at < ALLOCATIONS_MAX);
            kinds += plan.at > 0;
        }
        assert_true(kinds >= 12);
    }
}

/* Makes the pipes, then both sides: with whatever of it fails the rest is closed. Client and server
 * turn about in one thread. */
static bool use_pipes(const fault_plan *plan)
{
    unsigned calls, before = count_descriptors();
    dari_pipes pipes;
    dari_server *server = NULL;
    dari_client *client = NULL;
    fault_begin(plan);
    int error = dari_pipe_pair(&pipes);
    check(plan, is_fitting(plan, error), "there is no pair", error);
    if (error == 0) {
        int made = dari_server_create(NULL, &server);
        if (made == 0)
            made = echo_1_serve(server, &handlers, NULL);
        if (made == 0 && (made = dari_server_listen(server, pipes.server)) == 0)
            pipes.in[DARI_PIPE_SERVER] = pipes.out[DARI_PIPE_SERVER] = -1;
        check(plan, is_fitting(plan, made), "listening fails", made);
        dari_client_options options = {.no_reconnect = true};
        error = dari_connect(pipes.client, &options, &client);
        if (error == 0)
            pipes.in[DARI_PIPE_CLIENT] = pipes.out[DARI_PIPE_CLIENT] = -1;
        check(plan, is_fitting(plan, error), "connecting fails", error);
        for (int i = 0; i < 3 && made == 0; i++)
            check(plan, dari_server_dispatch(server) >= 0, "the loop fails", 0);
        dari_client_close(client);
        dari_server_destroy(server);
        dari_pipe_close(&pipes);
    }
    unsigned struck = fault_end(&calls);
    check(plan, count_descriptors() == before, "a descriptor is left", 0);
    return struck > 0;
}

static void a_pair_of_pipes(void **state)
{
    (void)state;
    unsigned kinds = 0;
    for (size_t i = 0; i < PLANS; i++) {
        fault_plan plan = plans[i];
        while (use_pipes(&plan))
            assert_true(++plan.at < ALLOCATIONS_MAX);
        kinds += plan.at > 0;
    }
    assert_true(kinds >= 4);
}

static int serve(void)
{
    dari_server *server;
    const char *address = getenv("DARI_PIPE");
    if (!address || dari_server_create(NULL, &server) < 0 ||
        echo_1_serve(server, &handlers, NULL) < 0 || dari_server_listen(server, address) < 0 ||
        dari_server_run(server) < 0)
        return 1;
    dari_server_destroy(server);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        return serve();
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_of_pipes),
        cmocka_unit_test(a_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
