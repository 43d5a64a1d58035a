/* SPDX-License-Identifier: MIT */
/* Pairs of pipes one of whose sides is killed at any moment while both have much to do.
 *
 * pipe: has no address where a server awaits one client after the other, so that a process outlives
 * many pairs instead: it makes one, forks the other side, and is told when that is dead, again and
 * again. It must be told at once, hold nothing then that it did not hold before, and serve or be
 * served over the next pair. Several such processes run at the same time. exec: is the same with a
 * program, which is this one with arguments: where its client is killed, it must end by itself. */
#include "kill.h"
#include "kill/process.h"

#include "base/clock.h"
#include "support/descriptors.h"

#include <dari/dari.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Something that must happen and has not after this long does not. */
#define PATIENCE_S 20
/* What is told at once is told in this time, on a busy machine too. */
#define AT_ONCE_NS (UINT64_C(5) * DARI_S)
/* Processes that outlive others at the same time. */
#define LOAD 4
/* The latest moment to die: after the start, and after the first call. */
#define STARTING_NS 300000
#define CALLING_NS 3000000
/* Calls in flight, each fourth of which is larger than both pipes. */
#define FLIGHTS 16
#define BULK_SIZE 200000

/* When a process kills itself: so long after its start, or after its first call. */
typedef struct death {
    long after_ns;
    bool from_call;
} death;

/* One side of a pair. */
typedef struct side {
    const death *death; /* NULL: it is to survive */
    bool doomed;        /* its end has been set */
    uint64_t life_ns;   /* when the other side last gave a sign of life, or was started */
    unsigned calls;     /* that have come, or were answered */
    unsigned closed;    /* that have ended because the other side is dead */
} side;

/* What came of it, in memory that all processes share. */
typedef struct tally {
    atomic_uint kills;
    atomic_uint calling;         /* of them, after the first call */
    atomic_uint closed;          /* calls that were in flight then */
    _Atomic uint64_t noticed_ns; /* the longest time from a sign of life to the news of the death */
} tally;

static tally *sums;
static char self_path[512];
static uint8_t bulk_bytes[BULK_SIZE];

/* Ends a process that is not the test itself. */
static _Noreturn void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(1);
}

/* The kernel does it, wherever the process is then. */
static void die_after(long time_ns)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec when = {.it_value.tv_nsec = time_ns + 1};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
        timer_settime(timer, 0, &when, NULL) < 0)
        give_up("timer: %s", strerror(errno));
}

static side begin_side(const death *how)
{
    side self = {.death = how, .life_ns = di_now()};
    alarm(PATIENCE_S);
    if (how && !how->from_call) {
        self.doomed = true;
        die_after(how->after_ns);
    }
    return self;
}

/* A call has come, or was answered. */
static void see_life(side *self)
{
    self->calls++;
    self->life_ns = di_now();
    if (self->death && !self->doomed) {
        self->doomed = true;
        die_after(self->death->after_ns);
    }
}

/* The other side is dead, as this one has just been told. */
static void see_death(const side *self)
{
    uint64_t took = di_now() - self->life_ns;
    if (took > AT_ONCE_NS)
        give_up("a death is noticed after %" PRIu64 " ms", took / 1000000);
    uint64_t longest = atomic_load(&sums->noticed_ns);
    while (took > longest && !atomic_compare_exchange_weak(&sums->noticed_ns, &longest, took))
        continue;
    atomic_fetch_add(&sums->calling, self->calls > 0);
    atomic_fetch_add(&sums->closed, self->closed);
}

/* The server's side. */

static int handle_add(dari_request *request, const pair *arg, int32_t *ret)
{
    see_life(dari_request_user(request));
    *ret = (int32_t)((uint32_t)arg->a + (uint32_t)arg->b);
    return 0;
}

static int handle_echo(dari_request *request, const bulk *arg, bulk *ret)
{
    see_life(dari_request_user(request));
    *ret = *arg;
    return 0;
}

static const kill_1_handlers handlers = {.add = handle_add, .echo = handle_echo};

/* Serves until the client has gone. */
static void serve(side *self, const char *address)
{
    dari_server *server = NULL;
    if (dari_server_create(NULL, &server) < 0 || kill_1_serve(server, &handlers, self) < 0)
        give_up("no server");
    if (dari_server_listen(server, address) < 0)
        give_up("%s", dari_server_message(server));
    int error = dari_server_run(server);
    if (error < 0)
        give_up("a server ends: %s", dari_error_text(error));
    dari_server_destroy(server);
}

/* What exec: starts. With arguments it is killed, otherwise it ends with its client. */
static int be_program(int count, char **arguments)
{
    unsigned before = count_descriptors();
    death own = {0};
    if (count > 3)
        own = (death){strtol(arguments[2], NULL, 10), *arguments[3] == '1'};
    side self = begin_side(count > 3 ? &own : NULL);
    serve(&self, "pipe:0,1");
    return count_descriptors() == before ? 0 : 2;
}

/* The client's side. */

static dari_client_options options_with(dari_call *call)
{
    return (dari_client_options){
        .no_reconnect = true, .deadline_ns = PATIENCE_S * DARI_S, .call = call};
}

/* A call has ended. */
static void account(side *self, int error, bool right)
{
    if (error == DARI_CLOSED)
        self->closed++;
    else if (error < 0)
        give_up("a call ends: %s", dari_error_text(error));
    else if (!right)
        give_up("a wrong answer");
    else
        see_life(self);
}

static void take_sum(void *user, const int32_t *ret, dari_call *call)
{
    account(user, call->error, ret && *ret == 42);
}

static void take_echo(void *user, const bulk *ret, dari_call *call)
{
    account(user, call->error,
            ret && ret->size == BULK_SIZE && memcmp(ret->data, bulk_bytes, BULK_SIZE) == 0);
}

static void call_together(side *self, dari_client *client)
{
    dari_call calls[FLIGHTS] = {0};
    for (unsigned i = 0; i < FLIGHTS; i++) {
        int error = i % 4 == 3 ? echo_1_start(client, &(bulk){BULK_SIZE, bulk_bytes}, &calls[i],
                                              take_echo, self)
                               : add_1_start(client, &(pair){40, 2}, &calls[i], take_sum, self);
        if (error < 0)
            account(self, error, false);
    }
    int error = dari_client_wait(client, UINT64_MAX);
    if (error < 0)
        give_up("wait: %s", dari_error_text(error));
    for (unsigned i = 0; i < FLIGHTS; i++)
        dari_call_end(&calls[i]);
}

static void call_alone(side *self, dari_client *client)
{
    int32_t sum = 0;
    int error = add_1(client, &(pair){40, 2}, &sum, NULL);
    account(self, error, sum == 42);
}

/* Calls until the server is dead. */
static void call(side *self, dari_client *client)
{
    while (self->closed == 0) {
        for (unsigned i = 0; i < FLIGHTS && self->closed == 0; i++)
            call_alone(self, client);
        if (self->closed == 0)
            call_together(self, client);
    }
}

/* To an address, or to a program with these arguments. */
static void connect_and_call(side *self, const char *address, char *const arguments[])
{
    dari_call about = {0};
    dari_client_options options = options_with(&about);
    dari_client *client = NULL;
    int error = arguments ? dari_connect_program(arguments, &options, &client)
                          : dari_connect(address, &options, &client);
    if (error < 0)
        give_up("%s", dari_call_message(&about));
    call(self, client);
    dari_client_close(client);
}

/* Pairs. Each of these has one side killed as `how` says. */

typedef void pair_kind(const death *how);

/* Forks the side that is killed. */
static pid_t fork_doomed(dari_pipes *pipes, enum dari_pipe_side which, const death *how)
{
    if (dari_pipe_pair(pipes) < 0)
        give_up("pipes: %s", strerror(errno));
    pid_t pid = fork_child();
    if (pid > 0) {
        dari_pipe_keep(pipes, (enum dari_pipe_side)(1 - which));
        return pid;
    }
    dari_pipe_keep(pipes, which);
    side self = begin_side(how);
    if (which == DARI_PIPE_SERVER)
        serve(&self, pipes->server);
    else
        connect_and_call(&self, pipes->client, NULL);
    _exit(1);
}

/* One that was not killed has not been served, or was told that the survivor is dead. */
static void expect_killed(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        give_up("who was to be killed ends by itself");
    atomic_fetch_add(&sums->kills, 1);
}

static void pair_without_server(const death *how)
{
    dari_pipes pipes;
    pid_t server = fork_doomed(&pipes, DARI_PIPE_SERVER, how);
    side self = begin_side(NULL);
    connect_and_call(&self, pipes.client, NULL);
    see_death(&self);
    expect_killed(server);
}

static void pair_without_client(const death *how)
{
    dari_pipes pipes;
    pid_t client = fork_doomed(&pipes, DARI_PIPE_CLIENT, how);
    side self = begin_side(NULL);
    serve(&self, pipes.server);
    see_death(&self);
    expect_killed(client);
}

/* Whose zombie the library takes away. */
static void pair_without_program(const death *how)
{
    char moment[24];
    snprintf(moment, sizeof moment, "%ld", how->after_ns);
    char *const arguments[] = {self_path, "program", moment, how->from_call ? "1" : "0", NULL};
    side self = begin_side(NULL);
    connect_and_call(&self, NULL, arguments);
    see_death(&self);
    atomic_fetch_add(&sums->kills, 1);
}

/* The program becomes a child of this process, and leaves it a status. */
static void program_without_client(const death *how)
{
    char *const arguments[] = {self_path, "program", NULL};
    pid_t client = fork_child();
    if (client == 0) {
        side self = begin_side(how);
        connect_and_call(&self, NULL, arguments);
        _exit(1);
    }
    expect_killed(client);
    side self = begin_side(NULL);
    int status;
    pid_t program = waitpid(-1, &status, 0);
    if (program < 0 && errno == ECHILD)
        return; /* its client died before it started it */
    if (program < 0 || status != 0)
        give_up("a program ends with status %d", status);
    self.calls = how->from_call; /* one at least */
    see_death(&self);
}

/* No child, no zombie, and no descriptor. */
static void expect_nothing_left(unsigned descriptors)
{
    siginfo_t child;
    uint64_t begin = di_now();
    while (waitid(P_ALL, 0, &child, WEXITED | WNOWAIT | WNOHANG) == 0 ||
           count_descriptors() != descriptors) {
        if (di_now() - begin > AT_ONCE_NS)
            give_up("what is left: a child, or descriptors: %u, before %u", count_descriptors(),
                    descriptors);
        sched_yield();
    }
}

static void outlive(pair_kind *kind, unsigned seed, unsigned count)
{
    unsigned descriptors = count_descriptors();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    srandom(seed);
    for (unsigned i = 0; i < count; i++) {
        bool calls = random() % 4 != 0;
        death how = {random() % (calls ? CALLING_NS : STARTING_NS), calls};
        kind(&how);
        alarm(0);
        expect_nothing_left(descriptors);
    }
}

static unsigned kill_count(void)
{
    return getenv("DARI_ALL") || getenv("DARI_LONG") ? 1000 : 60;
}

static void expect_survivors(const char *what, pair_kind *kind)
{
    pid_t survivors[LOAD];
    *sums = (tally){0};
    fflush(NULL);
    for (unsigned i = 0; i < LOAD; i++) {
        survivors[i] = fork_child();
        if (survivors[i] == 0) {
            outlive(kind, i + 1, kill_count() / LOAD);
            exit(0); /* as whatever looks for leaks wants it */
        }
    }
    unsigned failed = 0;
    for (unsigned i = 0; i < LOAD; i++) {
        int status;
        failed += waitpid(survivors[i], &status, 0) != survivors[i] || status != 0;
    }
    printf("# %s: %u killed, %u of them while they called, with %u calls in flight; noticed within "
           "%.1f ms\n",
           what, sums->kills, sums->calling, sums->closed, (double)sums->noticed_ns / 1e6);
    assert_int_equal(failed, 0);
    assert_int_equal(sums->kills, kill_count() / LOAD * LOAD);
    assert_true(sums->calling * 4 > sums->kills);
}

static void servers_are_killed(void **state)
{
    (void)state;
    expect_survivors("pipe, servers", pair_without_server);
}

static void clients_are_killed(void **state)
{
    (void)state;
    expect_survivors("pipe, clients", pair_without_client);
}

static void programs_are_killed(void **state)
{
    (void)state;
    expect_survivors("exec, programs", pair_without_program);
}

static void clients_of_programs_are_killed(void **state)
{
    (void)state;
    expect_survivors("exec, clients", program_without_client);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_are_killed),
        cmocka_unit_test(clients_are_killed),
        cmocka_unit_test(programs_are_killed),
        cmocka_unit_test(clients_of_programs_are_killed),
    };
    if (count > 1)
        return be_program(count, arguments);
    for (uint32_t i = 0; i < BULK_SIZE; i++)
        bulk_bytes[i] = (uint8_t)(i * 7 + (i >> 9));
    if (readlink("/proc/self/exe", self_path, sizeof self_path - 1) < 0)
        return 1;
    sums = mmap(NULL, sizeof *sums, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sums == MAP_FAILED)
        return 1;
    return _cmocka_run_group_tests("pipes", tests, sizeof tests / sizeof *tests, NULL, NULL);
}
