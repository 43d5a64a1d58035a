/* SPDX-License-Identifier: MIT */
/* Clients and servers that are killed at every instruction of a call, and at any moment.
 *
 * One pass follows a call and notes the addresses that it passes in this program, which has the
 * library in it. Then, for each of them, a process is killed that stands there. The other side must
 * be told at once, serve the next one, and hold nothing that it did not hold before. With DARI_ALL
 * every address has its turn, otherwise some. */
#include "kill.h"
#include "kill/process.h"
#include "kill/trace.h"

#include "base/clock.h"
#include "loop/client.h"
#include "loop/server.h"
#include "support/descriptors.h"

#include <dari/dari.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Something that must happen and has not after this long does not. */
#define PATIENCE_NS (UINT64_C(20) * DARI_S)
/* What is told at once is told in this time, on a busy machine too. */
#define AT_ONCE_NS (UINT64_C(5) * DARI_S)
/* Clients that call at the same time, to be killed at any moment. */
#define LOAD 4
/* How often an instruction is headed for. */
#define TRIES 2
#define ADDRESS_SIZE 128

typedef struct kill_case {
    const char *name;
    const char *address; /* "%s": a directory of our own; "%d": a number of our own */
    enum dari_spin spin;
    bool traced;     /* at every instruction, too */
    bool by_process; /* death is seen though a child has all that the dead one had */
} kill_case;

/* A server that is not killed, and a client that looks at what it holds. */
typedef struct stage {
    const kill_case *one;
    char directory[64];
    char address[ADDRESS_SIZE]; /* to listen at; then where the server does */
    pid_t server;
    dari_client *observer;
    holdings before;
    uint64_t noticed_ns; /* the longest time until a death was */
} stage;

/* Where the case's address is a place that all servers of the case have. */
static bool has_directory(const kill_case *one)
{
    return strstr(one->address, "%s") != NULL;
}

static void begin_address(stage *self)
{
    if (!has_directory(self->one)) {
        snprintf(self->address, sizeof self->address, self->one->address, getpid());
        return;
    }
    strcpy(self->directory, "/tmp/dari-kill-XXXXXX");
    assert_non_null(mkdtemp(self->directory));
    snprintf(self->address, sizeof self->address, self->one->address, self->directory);
}

/* What the dead have left may be there: the next server takes it over, and leaves nothing. */
static void end_address(stage *self)
{
    dari_server *server = NULL;
    assert_int_equal(dari_server_create(NULL, &server), 0);
    if (dari_server_listen(server, self->address) < 0)
        fail_msg("%s", dari_server_message(server));
    dari_server_destroy(server);
    if (has_directory(self->one) && rmdir(self->directory) < 0)
        fail_msg("something was left in %s", self->directory);
}

static unsigned count_memories(void)
{
    char line[512];
    unsigned count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    while (file && fgets(line, sizeof line, file))
        count += strstr(line, "memfd:") != NULL;
    if (file)
        fclose(file);
    return count;
}

static int handle_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    *ret = (int32_t)((uint32_t)arg->a + (uint32_t)arg->b);
    return 0;
}

static int handle_mark(dari_request *request)
{
    (void)request;
    raise(SIGSTOP);
    return 0;
}

static int handle_look(dari_request *request, holdings *ret)
{
    const dari_server *server = dari_request_user(request);
    *ret = (holdings){server->connections, count_descriptors(), count_memories()};
    return 0;
}

static const kill_1_handlers handlers = {
    .add = handle_add, .mark = handle_mark, .look = handle_look};

/* The server's process. Writes its address once it listens. */
static void serve(const stage *self, int ready)
{
    const dari_server_options options = {.spin = self->one->spin};
    dari_server *server = NULL;
    if (dari_server_create(&options, &server) < 0 || kill_1_serve(server, &handlers, server) < 0)
        _exit(1);
    if (dari_server_listen(server, self->address) < 0) {
        fprintf(stderr, "%s\n", dari_server_message(server));
        _exit(1);
    }
    char address[ADDRESS_SIZE] = "";
    snprintf(address, sizeof address, "%s", dari_server_address(server, 0));
    if (write(ready, address, sizeof address) == sizeof address)
        dari_server_run(server);
    _exit(2);
}

/* Forks a server; `traced`: it is to be killed at an instruction. */
static pid_t start_server(stage *self, bool traced)
{
    int ready[2];
    ssize_t size = sizeof self->address;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork_child();
    if (pid == 0) {
        close(ready[0]);
        if (traced)
            trace_me();
        serve(self, ready[1]);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], self->address, sizeof self->address), size);
    close(ready[0]);
    return pid;
}

static dari_client *connect_to(const stage *self)
{
    dari_call call = {0};
    const dari_client_options options = {
        .spin = self->one->spin, .no_reconnect = true, .deadline_ns = PATIENCE_NS, .call = &call};
    dari_client *client = NULL;
    if (dari_connect(self->address, &options, &client) < 0) {
        fprintf(stderr, "%s\n", dari_call_message(&call));
        return NULL;
    }
    return client;
}

static int add_once(dari_client *client)
{
    int32_t sum = 0;
    int error = add_1(client, &(pair){40, 2}, &sum, NULL);
    return error == 0 && sum != 42 ? DARI_BAD_REPLY : error;
}

static void begin_stage(stage *self, const kill_case *one)
{
    *self = (stage){.one = one};
    begin_address(self);
    self->server = start_server(self, false);
    self->observer = connect_to(self);
    assert_non_null(self->observer);
    assert_int_equal(look_1(self->observer, &self->before, NULL), 0);
    assert_int_equal(self->before.connections, 1);
}

static void end_stage(stage *self)
{
    dari_client_close(self->observer);
    trace_kill(self->server);
    end_address(self);
}

/* Waits until the server holds what it held before, and sees it serve somebody new. */
static void expect_served(stage *self)
{
    holdings now = {0};
    uint64_t begin = di_now();
    do {
        assert_int_equal(look_1(self->observer, &now, NULL), 0);
        if (di_now() - begin > PATIENCE_NS)
            fail_msg("%u connections, %u descriptors, %u memories; before %u, %u, %u",
                     now.connections, now.descriptors, now.memories, self->before.connections,
                     self->before.descriptors, self->before.memories);
    } while (memcmp(&now, &self->before, sizeof now) != 0);
    uint64_t took = di_now() - begin;
    if (took > self->noticed_ns)
        self->noticed_ns = took;
    dari_client *next = connect_to(self);
    assert_non_null(next);
    assert_int_equal(add_once(next), 0);
    dari_client_close(next);
}

/* What a client does that is killed: connects, then calls. It stops itself before each. The call is
 * one of a connection that was idle, however fast it comes: so each takes the same path. */
static void be_victim(const stage *self)
{
    trace_me();
    raise(SIGSTOP);
    dari_client *client = connect_to(self);
    if (!client || add_once(client) < 0)
        _exit(1);
    client->reconnect.used = 0;
    raise(SIGSTOP);
    if (add_once(client) < 0)
        _exit(1);
    raise(SIGSTOP);
    _exit(0);
}

/* A client that stands before its step 0: connecting, 1: a call. */
static pid_t start_victim(const stage *self, int step)
{
    pid_t pid = fork_child();
    if (pid == 0)
        be_victim(self);
    assert_true(trace_await_stop(pid));
    if (step == 1)
        assert_true(trace_run_on(pid));
    return pid;
}

static size_t stride_of(const trace_path *path)
{
    const size_t some = 40;
    return getenv("DARI_ALL") || getenv("DARI_LONG") || path->count < some ? 1 : path->count / some;
}

/* The other side's timing decides on a few branches: so what is not reached at full speed is tried
 * again as slowly as it was recorded. Returns whether it was reached. */
static bool kill_client_at(stage *self, int step, uintptr_t address)
{
    bool there = false;
    for (int i = 0; i < TRIES && !there; i++) {
        pid_t victim = start_victim(self, step);
        there = i % 2 ? trace_step_to(victim, address) : trace_run_to(victim, address);
        trace_kill(victim);
        expect_served(self);
    }
    return there;
}

static void kill_clients_at(stage *self, int step, const char *what)
{
    trace_path path;
    size_t reached = 0, tried = 0;
    pid_t victim = start_victim(self, step);
    assert_true(trace_record(victim, &path));
    trace_kill(victim);
    expect_served(self);
    size_t stride = stride_of(&path);
    for (size_t i = 0; i < path.count; i += stride, tried++)
        reached += kill_client_at(self, step, path.addresses[i]);
    printf("# %s, client, %s: %zu addresses, of %zu instructions with those of the C library; "
           "killed at %zu of %zu; noticed within %.1f ms\n",
           self->one->name, what, path.count, path.steps, reached, tried,
           (double)self->noticed_ns / 1e6);
    assert_true(path.count > 100);
    assert_true(reached * 10 >= tried * 9);
    assert_true(self->noticed_ns < AT_ONCE_NS);
    trace_path_free(&path);
}

static void clients_are_killed(void **state)
{
    stage self;
    begin_stage(&self, *state);
    kill_clients_at(&self, 0, "connecting");
    kill_clients_at(&self, 1, "a call");
    end_stage(&self);
}

/* Connects and calls until the server is dead. Exits with 0 where it was told so at once. */
static void call_until_closed(const stage *self, bool marks)
{
    dari_call call = {.deadline_ns = PATIENCE_NS};
    const dari_client_options options = {
        .spin = self->one->spin, .no_reconnect = true, .call = &call};
    dari_client *client = NULL;
    uint64_t begin = di_now();
    int error = dari_connect(self->address, &options, &client);
    bool refused = error == DARI_REFUSED;
    while (error == 0) {
        begin = di_now();
        if (marks)
            error = mark_1(client, &call);
        if (error == 0)
            error = add_1(client, &(pair){40, 2}, &(int32_t){0}, &call);
    }
    bool at_once = di_now() - begin < AT_ONCE_NS;
    bool told = error == DARI_CLOSED || (refused && !marks);
    if (!told)
        fprintf(stderr, "%s\n", dari_call_message(&call));
    dari_client_close(client);
    _exit(told && at_once ? 0 : 1);
}

/* `marks`: it has the server stop itself in a handler before each call. */
static pid_t start_caller(const stage *self, bool marks)
{
    pid_t pid = fork_child();
    if (pid == 0)
        call_until_closed(self, marks);
    return pid;
}

static void expect_told(pid_t caller)
{
    int status;
    assert_int_equal(waitpid(caller, &status, 0), caller);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A server that stands in a handler, and the client that waits for it. */
static pid_t start_doomed(stage *self, pid_t *ret_caller)
{
    pid_t server = start_server(self, true);
    *ret_caller = start_caller(self, true);
    assert_true(trace_await_stop(server));
    return server;
}

/* As kill_client_at. */
static bool kill_server_at(stage *self, uintptr_t address)
{
    bool there = false;
    for (int i = 0; i < TRIES && !there; i++) {
        pid_t caller, server = start_doomed(self, &caller);
        there = i % 2 ? trace_step_to(server, address) : trace_run_to(server, address);
        trace_kill(server);
        expect_told(caller);
    }
    return there;
}

static void servers_are_killed(void **state)
{
    stage self = {.one = *state};
    trace_path path;
    pid_t caller;
    size_t reached = 0, tried = 0;
    begin_address(&self);
    pid_t server = start_doomed(&self, &caller);
    assert_true(trace_record(server, &path));
    trace_kill(server);
    expect_told(caller);
    size_t stride = stride_of(&path);
    for (size_t i = 0; i < path.count; i += stride, tried++)
        reached += kill_server_at(&self, path.addresses[i]);
    printf("# %s, server: %zu addresses, of %zu instructions with those of the C library; "
           "killed at %zu of %zu\n",
           self.one->name, path.count, path.steps, reached, tried);
    assert_true(path.count > 100);
    assert_true(reached * 10 >= tried * 9);
    trace_path_free(&path);
    end_address(&self);
}

static void call_for_ever(const stage *self)
{
    dari_client *client = connect_to(self);
    while (client && add_once(client) == 0)
        continue;
    _exit(1);
}

static pid_t start_load(const stage *self)
{
    pid_t pid = fork_child();
    if (pid == 0)
        call_for_ever(self);
    return pid;
}

static unsigned kill_count(void)
{
    return getenv("DARI_ALL") || getenv("DARI_LONG") ? 1000 : 60;
}

/* Some of them while they connect, most of them while they call. */
static void clients_are_killed_at_any_moment(void **state)
{
    stage self;
    pid_t load[LOAD];
    begin_stage(&self, *state);
    for (int i = 0; i < LOAD; i++)
        load[i] = start_load(&self);
    srandom(1);
    for (unsigned i = 0; i < kill_count(); i++) {
        unsigned chosen = (unsigned)random() % LOAD;
        struct timespec moment = {.tv_nsec = random() % 3000000};
        nanosleep(&moment, NULL);
        trace_kill(load[chosen]);
        load[chosen] = start_load(&self);
    }
    for (int i = 0; i < LOAD; i++)
        trace_kill(load[i]);
    expect_served(&self);
    end_stage(&self);
}

/* Most of them while they are called, some while clients connect. */
static void servers_are_killed_at_any_moment(void **state)
{
    stage self = {.one = *state};
    char address[ADDRESS_SIZE];
    begin_address(&self);
    strcpy(address, self.address);
    srandom(2);
    for (unsigned i = 0; i < kill_count(); i++) {
        pid_t callers[LOAD];
        strcpy(self.address, address);
        pid_t server = start_server(&self, false);
        for (int j = 0; j < LOAD; j++)
            callers[j] = start_caller(&self, false);
        struct timespec moment = {.tv_nsec = random() % 6000000};
        nanosleep(&moment, NULL);
        trace_kill(server);
        for (int j = 0; j < LOAD; j++)
            expect_told(callers[j]);
    }
    end_address(&self);
}

/* A child of the dead one has its descriptors and its memory. */
static void a_client_that_forked_is_killed(void **state)
{
    stage self;
    int told[2];
    pid_t child;
    begin_stage(&self, *state);
    assert_int_equal(pipe(told), 0);
    pid_t victim = fork_child();
    if (victim == 0) {
        dari_client *client = connect_to(&self);
        if (!client || add_once(client) < 0)
            _exit(1);
        child = fork();
        if (child == 0) {
            close(told[0]);
            pause();
        }
        if (write(told[1], &child, sizeof child) != sizeof child)
            _exit(1);
        for (;;)
            add_once(client);
    }
    assert_int_equal(read(told[0], &child, sizeof child), sizeof child);
    trace_kill(victim);
    expect_served(&self);
    kill(child, SIGKILL);
    close(told[1]);
    char byte;
    assert_int_equal(read(told[0], &byte, 1), 0); /* it is gone */
    close(told[0]);
    end_stage(&self);
}

static const kill_case cases[] = {
    {"unix", "unix:%s/socket", DARI_SPIN_BALANCED, true, false},
    {"shm, spinning", "shm:%s/memory", DARI_SPIN_LATENCY, true, true},
    {"shm, sleeping", "shm:%s/memory", DARI_SPIN_NEVER, true, true},
    {"fifo", "fifo:%s/fifo", DARI_SPIN_BALANCED, false, false},
    {"mq", "mq:dari-kill-%d", DARI_SPIN_BALANCED, false, true},
    {"tcp", "tcp://127.0.0.1:0", DARI_SPIN_BALANCED, false, false},
};

#define CASE_COUNT (sizeof cases / sizeof *cases)

typedef struct named_test {
    const char *name;
    CMUnitTestFunction run;
    bool traces;
    bool by_process; /* only where death is seen by that */
} named_test;

static const named_test kinds[] = {
    {"clients_are_killed", clients_are_killed, true, false},
    {"servers_are_killed", servers_are_killed, true, false},
    {"clients_are_killed_at_any_moment", clients_are_killed_at_any_moment, false, false},
    {"servers_are_killed_at_any_moment", servers_are_killed_at_any_moment, false, false},
    {"a_client_that_forked_is_killed", a_client_that_forked_is_killed, false, true},
};

#define KIND_COUNT (sizeof kinds / sizeof *kinds)

int main(void)
{
    static char names[CASE_COUNT * KIND_COUNT][96];
    static struct CMUnitTest tests[CASE_COUNT * KIND_COUNT];
    size_t count = 0;
    bool traces = trace_is_there();
    if (!traces)
        puts("# not at every instruction: that needs x86, ptrace and no sanitizer");
    for (size_t i = 0; i < CASE_COUNT; i++) {
        for (size_t j = 0; j < KIND_COUNT; j++) {
            if ((kinds[j].traces && !(traces && cases[i].traced)) ||
                (kinds[j].by_process && !cases[i].by_process))
                continue;
            snprintf(names[count], sizeof names[count], "%s: %s", cases[i].name, kinds[j].name);
            tests[count] = (struct CMUnitTest){.name = names[count],
                                               .test_func = kinds[j].run,
                                               .initial_state = (void *)(uintptr_t)&cases[i]};
            count++;
        }
    }
    return _cmocka_run_group_tests("kill", tests, count, NULL, NULL);
}
