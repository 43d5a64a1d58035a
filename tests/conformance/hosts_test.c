/* SPDX-License-Identifier: MIT */
/* Client and server on two hosts: two network namespaces, joined by a pair of virtual interfaces.
 * Only root can make them; elsewhere the cases are skipped. */
#include "conformance/harness.h"
#include "support/relay.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER_HOST "10.77.0.2"
#define CALLS 300u
#define SECOND_NS UINT64_C(1000000000)

/* What both processes see. */
typedef struct shared {
    atomic_uint runs[CALLS]; /* how often each call has run */
} shared;

typedef struct hosts {
    shared *shared;
    pid_t server;
    char addresses[2][64]; /* tcp, udp */
    const char *missing;   /* why there are none */
} hosts;

static int run_command(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run_command(const char *format, ...)
{
    char command[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    return system(command);
}

static int count_add(dari_request *request, const pair *arg, int32_t *ret)
{
    shared *seen = dari_request_user(request);
    if (arg->a < 0 || arg->a >= (int32_t)CALLS)
        return DARI_GARBAGE_ARGUMENTS;
    atomic_fetch_add(&seen->runs[arg->a], 1);
    *ret = arg->a + arg->b;
    return 0;
}

static int echo(dari_request *request, const opaque_data *arg, opaque_data *ret)
{
    (void)request;
    *ret = *arg;
    return 0;
}

/* The other host: says when it has a network of its own, waits until that is set up, and serves. */
static int serve(shared *seen, int ready, int go)
{
    static const echo_1_handlers handlers = {.add = count_add, .echo_data = echo};
    dari_server *server = NULL;
    char byte = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
        return 1;
    if (dari_server_create(NULL, &server) < 0 || echo_1_serve(server, &handlers, seen) < 0 ||
        dari_server_listen(server, "tcp://" SERVER_HOST ":0") < 0 ||
        dari_server_listen(server, "udp://0.0.0.0:0") < 0)
        return 1;
    char text[130] = "";
    snprintf(text, sizeof text, "%s %s", dari_server_address(server, 0),
             dari_server_address(server, 1));
    return write(ready, text, sizeof text) == sizeof text ? dari_server_run(server) : 1;
}

/* Joins the two, and learns where the server listens. */
static const char *join(hosts *both, int ready, int go)
{
    char byte = 'n', text[130] = "";
    unsigned port;
    if (read(ready, &byte, 1) != 1 || byte != 'y' || unshare(CLONE_NEWNET) < 0)
        return "no network namespaces here";
    if (run_command("ip link set lo up && ip link add dari0 type veth peer name dari1 netns %d && "
                    "ip address add 10.77.0.1/24 dev dari0 && ip link set dari0 up && "
                    "nsenter --target %d --net sh -c 'ip link set lo up && "
                    "ip address add " SERVER_HOST "/24 dev dari1 && ip link set dari1 up'",
                    both->server, both->server) != 0)
        return "no pair of virtual interfaces here";
    if (write(go, "g", 1) != 1 || read(ready, text, sizeof text) != sizeof text ||
        sscanf(text, "%63s udp://0.0.0.0:%u", both->addresses[0], &port) != 2)
        return "the server did not start";
    snprintf(both->addresses[1], sizeof both->addresses[1], "udp://" SERVER_HOST ":%u", port);
    return NULL;
}

static int set_up(void **state)
{
    static hosts both;
    int ready[2], go[2];
    both.shared =
        mmap(NULL, sizeof *both.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (both.shared == MAP_FAILED || pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
        return -1;
    both.server = fork();
    if (both.server == 0)
        _exit(serve(both.shared, ready[1], go[0]));
    close(ready[1]);
    close(go[0]);
    both.missing = geteuid() == 0 ? join(&both, ready[0], go[1]) : "only root can make hosts";
    close(ready[0]);
    close(go[1]);
    if (both.missing)
        printf("# left out: %s\n", both.missing);
    *state = &both;
    return 0;
}

static int tear_down(void **state)
{
    hosts *both = *state;
    kill(both->server, SIGKILL);
    waitpid(both->server, NULL, 0);
    return munmap(both->shared, sizeof *both->shared);
}

static hosts *begin(void **state)
{
    hosts *both = *state;
    if (both->missing)
        skip();
    for (unsigned i = 0; i < CALLS; i++)
        atomic_store(&both->shared->runs[i], 0);
    return both;
}

static dari_client *connect_to(const char *address, uint64_t retry_ns)
{
    dari_client *client = NULL;
    dari_call call = {.deadline_ns = 20 * SECOND_NS};
    if (dari_connect(address, &(dari_client_options){.call = &call, .retry_ns = retry_ns},
                     &client) < 0)
        fail_msg("%s", dari_call_message(&call));
    dari_call_end(&call);
    return client;
}

static void both_schemes_reach_the_other_host(void **state)
{
    hosts *both = begin(state);
    for (int i = 0; i < 2; i++) {
        dari_client *client = connect_to(both->addresses[i], 0);
        dari_call call = {.deadline_ns = 20 * SECOND_NS};
        uint8_t bytes[60000];
        opaque_data ret;
        memset(bytes, i + 1, sizeof bytes);
        /* Over UDP this goes in fragments of the network's. */
        if (echo_data_1(client, &(opaque_data){sizeof bytes, bytes}, &ret, &call) < 0)
            fail_msg("%s", dari_call_message(&call));
        assert_int_equal(ret.size, sizeof bytes);
        assert_memory_equal(ret.data, bytes, sizeof bytes);
        dari_call_end(&call);
        dari_client_close(client);
    }
}

typedef struct one_call {
    dari_call call;
    unsigned index, ended;
    bool answered;
} one_call;

static void end_call(void *user, const int32_t *ret, dari_call *call)
{
    one_call *one = user;
    one->ended++;
    one->answered = ret != NULL;
    assert_true(ret ? *ret == (int32_t)one->index + 1 : call->error == DARI_DEADLINE);
}

static one_call *start_calls(dari_client *client, uint64_t deadline_ns)
{
    one_call *calls = calloc(CALLS, sizeof *calls);
    assert_non_null(calls);
    for (unsigned i = 0; i < CALLS; i++) {
        calls[i].index = i;
        calls[i].call.deadline_ns = deadline_ns;
        assert_int_equal(
            add_1_start(client, &(pair){(int32_t)i, 1}, &calls[i].call, end_call, &calls[i]), 0);
    }
    return calls;
}

/* Each has ended once, and has run at most once; an answered one has run. Returns how many are
 * answered. */
static unsigned account(const hosts *both, one_call *calls)
{
    unsigned answered = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        unsigned runs = atomic_load(&both->shared->runs[i]);
        assert_int_equal(calls[i].ended, 1);
        assert_true(runs <= 1);
        assert_true(!calls[i].answered || runs == 1);
        assert_true(calls[i].call.may_have_run || runs == 0);
        answered += calls[i].answered;
        dari_call_end(&calls[i].call);
    }
    free(calls);
    return answered;
}

static void a_bad_network_between_hosts(void **state)
{
    hosts *both = begin(state);
    static const relay_options networks[] = {
        {.seed = 11, .lost = 200, .doubled = 100, .delayed = 500, .delay_ms = 10},
        {.seed = 12, .lost = 0, .doubled = 1000, .delayed = 1000, .delay_ms = 30},
        {.seed = 13, .lost = 400, .delayed = 100, .delay_ms = 5},
    };
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        char address[64];
        uint16_t port;
        begin(state);
        test_relay *relay =
            relay_start(&networks[i], SERVER_HOST,
                        (uint16_t)strtoul(strrchr(both->addresses[1], ':') + 1, NULL, 10), &port);
        assert_non_null(relay);
        snprintf(address, sizeof address, "udp://127.0.0.1:%u", port);
        dari_client *client = connect_to(address, 10 * DARI_MS);
        one_call *calls = start_calls(client, 3 * SECOND_NS);
        assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
        dari_client_close(client);
        relay_stop(relay);
        assert_in_range(account(both, calls), CALLS / 2, CALLS);
    }
}

/* The link goes down under calls in flight, and comes up again in time for those sent again. */
static void a_link_that_fails(void **state)
{
    hosts *both = begin(state);
    dari_client *client = connect_to(both->addresses[1], 20 * DARI_MS);
    assert_int_equal(run_command("ip link set dari0 down"), 0);
    one_call *calls = start_calls(client, 200 * DARI_MS);
    assert_int_equal(dari_client_wait(client, UINT64_MAX), 0);
    dari_client_close(client);
    unsigned refused = 0;
    for (unsigned i = 0; i < CALLS; i++)
        refused += calls[i].ended == 1 && !calls[i].answered;
    assert_int_equal(refused, CALLS);
    account(both, calls);
    assert_int_equal(run_command("ip link set dari0 up"), 0);
    client = connect_to(both->addresses[1], 20 * DARI_MS);
    int32_t sum = 0;
    dari_call call = {.deadline_ns = 20 * SECOND_NS};
    if (add_1(client, &(pair){1, 2}, &sum, &call) < 0)
        fail_msg("%s", dari_call_message(&call));
    assert_int_equal(sum, 3);
    dari_call_end(&call);
    dari_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_schemes_reach_the_other_host),
        cmocka_unit_test(a_bad_network_between_hosts),
        cmocka_unit_test(a_link_that_fails),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
