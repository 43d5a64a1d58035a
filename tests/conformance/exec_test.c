/* SPDX-License-Identifier: MIT */
/* exec: -- programs that clients start. The program is this one, started with a role. */
#include "conformance/harness.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Descriptors that these tests may have, and more. */
#define DESCRIPTORS 128

static char self[512];

/* The program's side. */

static int program_count;
static char **program_arguments;
static unsigned descriptors_at_start;

/* What `question` asks about the program, as text. */
static void answer(char question, char *text, size_t room)
{
    sigset_t mask;
    size_t size = 0;
    switch (question) {
    case 'a':
        for (int i = 2; i < program_count; i++)
            size += (size_t)snprintf(text + size, room - size, "[%s]", program_arguments[i]);
        break;
    case 'd':
        snprintf(text, room, "%u", descriptors_at_start);
        break;
    case 'e':
        snprintf(text, room, "%s", getenv("DARI_PIPE"));
        break;
    case 'p':
        snprintf(text, room, "%d", getpid());
        break;
    case 's':
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        for (int i = 1; i < 32; i++) {
            struct sigaction action;
            if (i == SIGBUS || i == SIGFPE || i == SIGSEGV)
                continue; /* an instrumented program has handlers of its own */
            if (sigaction(i, NULL, &action) == 0 &&
                (action.sa_handler != SIG_DFL || sigismember(&mask, i)))
                size += (size_t)snprintf(text + size, room - size, "%d ", i);
        }
        break;
    case 'w':
        for (;;)
            pause();
    default:
        _exit(9);
    }
}

static int tell(dari_request *request, const opaque_data *arg, opaque_data *ret)
{
    char *text = dari_arena_take(dari_request_arena(request), 512);
    if (!text || arg->size != 1)
        return DARI_NO_MEMORY;
    *text = '\0';
    answer((char)arg->data[0], text, 512);
    *ret = (opaque_data){(uint32_t)strlen(text), (uint8_t *)text};
    return 0;
}

static int serve(void)
{
    static const echo_1_handlers handlers = {.echo_data = tell};
    dari_server *server = NULL;
    if (dari_server_create(NULL, &server) < 0 || echo_1_serve(server, &handlers, NULL) < 0 ||
        dari_server_listen(server, getenv("DARI_PIPE")) < 0)
        return 1;
    int result = dari_server_run(server);
    dari_server_destroy(server);
    return result == 0 ? 0 : 1;
}

static int play(const char *role)
{
    descriptors_at_start = count_descriptors() - 3;
    if (strcmp(role, "serve") == 0)
        return serve();
    if (strcmp(role, "loud") == 0) {
        puts("loud");
        fflush(stdout);
        return serve();
    }
    if (strcmp(role, "parent") == 0 && fork() == 0) { /* a child that keeps the pipes open */
        close(STDERR_FILENO);
        alarm(12);
        for (;;)
            pause();
    }
    if (strcmp(role, "parent") == 0)
        return serve();
    if (strcmp(role, "stubborn") == 0)
        for (;;)
            pause();
    return 0;
}

/* The client's side. */

static dari_client *start(const char *role, dari_client_options *options)
{
    dari_client *client = NULL;
    dari_call call = {0};
    dari_client_options with_call = options ? *options : (dari_client_options){0};
    with_call.call = &call;
    char *const arguments[] = {self, (char *)(uintptr_t)role, NULL};
    if (dari_connect_program(arguments, &with_call, &client) < 0)
        fail_msg("%s", dari_call_message(&call));
    return client;
}

static int ask(dari_client *client, char question, char text[512], dari_call *call)
{
    opaque_data ret = {0};
    int error = echo_data_1(client, &(opaque_data){1, (uint8_t *)&question}, &ret, call);
    if (error == 0) {
        assert_true(ret.size < 512);
        if (ret.size)
            memcpy(text, ret.data, ret.size);
        text[ret.size] = '\0';
    }
    return error;
}

static const char *told(dari_client *client, char question)
{
    static char text[512];
    dari_call call = {0};
    if (ask(client, question, text, &call) < 0)
        fail_msg("%s", dari_call_message(&call));
    dari_call_end(&call);
    return text;
}

static pid_t pid_of(dari_client *client)
{
    return atoi(told(client, 'p'));
}

/* The same of the program that the next call starts: a client that was idle finds out first that
 * the old one has gone. */
static pid_t pid_of_next(dari_client *client)
{
    poll(NULL, 0, 20);
    return pid_of(client);
}

/* Waits until the process is gone altogether, for so long at most. */
static bool is_gone(pid_t pid, uint64_t allowed)
{
    uint64_t until = di_deadline_in(allowed);
    while (kill(pid, 0) == 0) {
        if (di_now() > until)
            return false;
        poll(NULL, 0, 1);
    }
    return errno == ESRCH;
}

static unsigned descriptors_at_start;

static void a_program_serves(void **state)
{
    (void)state;
    unsigned before = count_descriptors();
    dari_client *client = start("serve", NULL);
    pid_t pid = pid_of(client);
    assert_int_not_equal(pid, getpid());
    assert_string_equal(told(client, 'e'), "pipe:0,1");
    uint64_t began = di_now();
    dari_client_close(client);
    assert_true(di_now() - began < 2 * DARI_S);
    assert_true(is_gone(pid, 4 * DARI_S)); /* by itself: the time of grace is longer */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_true(await_descriptors(before));
}

static void programs_must_be_allowed(void **state)
{
    (void)state;
    dari_client *client = NULL;
    dari_call call = {0};
    assert_int_equal(dari_connect("exec:/bin/true", &(dari_client_options){.call = &call}, &client),
                     DARI_PERMISSION);
    assert_string_equal(dari_call_message(&call), "exec:/bin/true: connect: the client's options "
                                                  "do not allow programs");
    assert_int_equal(dari_connect("exec:/bin/true", NULL, &client), DARI_PERMISSION);
    assert_int_equal(dari_connect_program(NULL, NULL, &client), DARI_INVALID);
    assert_int_equal(dari_connect_program((char *const[]){NULL}, NULL, &client), DARI_INVALID);
    dari_server *server = NULL;
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(dari_server_listen(server, "exec:/bin/true"), DARI_ADDRESS);
    dari_server_destroy(server);
    dari_call_end(&call);
}

static void cannot_start(const char *address, int error, int cause, const char *words)
{
    dari_client *client = NULL;
    dari_call call = {0};
    dari_client_options options = {.call = &call, .exec.allowed = true};
    assert_int_equal(dari_connect(address, &options, &client), error);
    assert_int_equal(call.system_error, cause);
    if (!strstr(dari_call_message(&call), words))
        fail_msg("\"%s\" does not say \"%s\"", dari_call_message(&call), words);
    dari_call_end(&call);
}

static void programs_that_cannot_be_started(void **state)
{
    (void)state;
    char path[] = "/tmp/dari-exec-XXXXXX", address[64];
    int file = mkstemp(path);
    assert_true(file >= 0);
    snprintf(address, sizeof address, "exec:%s", path);
    unsigned before = count_descriptors();
    cannot_start("exec:/no/such/program -x", DARI_ADDRESS, ENOENT, "there is no such program");
    cannot_start("exec:no-such-program-anywhere", DARI_ADDRESS, ENOENT, "no such program");
    cannot_start("exec:/tmp", DARI_PERMISSION, EACCES, "the program cannot be started");
    cannot_start(address, DARI_PERMISSION, EACCES, "the program cannot be started");
    /* No shell is tried. */
    assert_int_equal(write(file, "exit 0\n", 7), 7);
    assert_int_equal(fchmod(file, 0700), 0);
    close(file);
    cannot_start(address, DARI_ERRNO, ENOEXEC, "the program cannot be started");
    cannot_start("exec:", DARI_ADDRESS, 0, "the program is missing");
    cannot_start("exec:   ", DARI_ADDRESS, 0, "the program is missing");
    cannot_start("exec:/bin/true a\\b", DARI_ADDRESS, 0, "of a backslash there are");
    cannot_start("exec:/bin/true \\", DARI_ADDRESS, 0, "of a backslash there are");
    unlink(path);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_descriptors(), before - 1);
}

static void arguments_arrive_as_they_are(void **state)
{
    (void)state;
    dari_client *client = NULL;
    char *const arguments[] = {self, "serve", "a b", "", "c\\s\\\\", "$HOME;*", " ", "-e", NULL};
    assert_int_equal(dari_connect_program(arguments, NULL, &client), 0);
    assert_string_equal(told(client, 'a'), "[a b][][c\\s\\\\][$HOME;*][ ][-e]");
    dari_client_close(client);
    char address[600];
    snprintf(address, sizeof address, "exec:%s  serve one   two\\sthree \\e \\\\ ", self);
    assert_int_equal(dari_connect(address, &(dari_client_options){.exec.allowed = true}, &client),
                     0);
    assert_string_equal(told(client, 'a'), "[one][two three][][\\]");
    dari_client_close(client);
}

/* Nobody uses the client: the program's end leaves no zombie all the same. */
static void a_program_that_dies_idle(void **state)
{
    (void)state;
    dari_client *client = start("serve", NULL);
    pid_t pid = pid_of(client);
    kill(pid, SIGKILL);
    assert_true(is_gone(pid, 10 * DARI_S));
    pid_t next = pid_of_next(client); /* and the next call starts it anew */
    assert_int_not_equal(next, pid);
    kill(next, SIGKILL);
    assert_true(is_gone(next, 10 * DARI_S));
    dari_client_close(client);
    client = start("serve", &(dari_client_options){.no_reconnect = true});
    pid = pid_of(client);
    kill(pid, SIGKILL);
    assert_true(is_gone(pid, 10 * DARI_S));
    char text[512];
    dari_call call = {0};
    assert_int_equal(ask(client, 'p', text, &call), DARI_CLOSED);
    dari_call_end(&call);
    dari_client_close(client);
}

static void *kill_soon(void *argument)
{
    poll(NULL, 0, 30);
    kill(*(pid_t *)argument, SIGKILL);
    return NULL;
}

/* A child of the program holds the pipes open; and with a synchronous call as well as in a loop. */
static void a_program_that_dies_during_a_call(void **state)
{
    (void)state;
    dari_client *client = start("parent", &(dari_client_options){.no_reconnect = true});
    pid_t pid = pid_of(client);
    pthread_t thread;
    char text[512];
    dari_call call = DARI_CALL(.deadline_ns = 20 * DARI_S);
    uint64_t began = di_now();
    pthread_create(&thread, NULL, kill_soon, &pid);
    assert_int_equal(ask(client, 'w', text, &call), DARI_CLOSED);
    assert_true(call.may_have_run);
    assert_true(di_now() - began < 8 * DARI_S);
    pthread_join(thread, NULL);
    assert_true(is_gone(pid, 10 * DARI_S));
    dari_client_close(client);
    dari_call_end(&call);
}

static void ignore_data(void *user, const opaque_data *ret, dari_call *call)
{
    (void)ret;
    *(int *)user = call->error;
}

static void a_program_that_dies_beside_a_loop(void **state)
{
    (void)state;
    dari_client *client = start("parent", &(dari_client_options){.no_reconnect = true});
    pid_t pid = pid_of(client);
    pthread_t thread;
    int error = 0;
    dari_call call = DARI_CALL(.deadline_ns = 20 * DARI_S);
    uint8_t question = 'w';
    assert_int_equal(
        echo_data_1_start(client, &(opaque_data){1, &question}, &call, ignore_data, &error), 0);
    pthread_create(&thread, NULL, kill_soon, &pid);
    assert_int_equal(dari_client_wait(client, 8 * DARI_S), 0);
    assert_int_equal(error, DARI_CLOSED);
    pthread_join(thread, NULL);
    dari_client_close(client);
    dari_call_end(&call);
}

static void a_program_that_ends_at_once(void **state)
{
    (void)state;
    dari_client *client = start("nothing", &(dari_client_options){.no_reconnect = true});
    char text[512];
    dari_call call = {0};
    assert_int_equal(ask(client, 'p', text, &call), DARI_CLOSED);
    dari_call_end(&call);
    dari_client_close(client);
}

/* The process that this thread has started last, or -1. */
static pid_t newest_child(void)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", getpid(), getpid());
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    while (got > 0 && text[got - 1] == ' ')
        text[--got] = '\0';
    const char *last = strrchr(text, ' ');
    return got > 0 ? atoi(last ? last + 1 : text) : -1;
}

static void a_program_that_will_not_end(void **state)
{
    (void)state;
    dari_client *client = start("stubborn", &(dari_client_options){.exec.grace_ns = 60 * DARI_MS});
    pid_t pid = newest_child();
    uint64_t began = di_now();
    dari_client_close(client);
    assert_true(di_now() - began < 40 * DARI_MS || kill(pid, 0) != 0);
    if (pid > 0) {
        assert_true(is_gone(pid, 10 * DARI_S));
        assert_true(di_now() - began >= 60 * DARI_MS);
    }
    /* Nor is it killed where it has all the time. */
    client = start("stubborn", &(dari_client_options){.exec.grace_ns = UINT64_MAX});
    pid = newest_child();
    dari_client_close(client);
    if (pid > 0) {
        assert_false(is_gone(pid, 100 * DARI_MS));
        kill(pid, SIGKILL);
        assert_true(is_gone(pid, 10 * DARI_S));
    }
}

static void nothing_leaks_into_the_program(void **state)
{
    (void)state;
    int leaked = open("/dev/null", O_RDONLY); /* without close-on-exec */
    assert_true(leaked >= 0);
    dari_client *client = start("serve", NULL), *second = start("serve", NULL);
    dari_client *own = start("serve", &(dari_client_options){.exec.keeps_standard = true});
    assert_string_equal(told(client, 'd'), "3");
    assert_string_equal(told(second, 'd'), "3");
    assert_string_equal(told(own, 'd'), "5");
    assert_string_equal(told(own, 'e'), "pipe:3,4");
    /* The end of one is not hidden by the others. */
    pid_t pid = pid_of(client);
    dari_client_close(client);
    assert_true(is_gone(pid, 4 * DARI_S));
    dari_client_close(second);
    dari_client_close(own);
    close(leaked);
}

static void standard_streams_may_be_kept(void **state)
{
    (void)state;
    int ends[2], before = dup(STDOUT_FILENO);
    char text[16] = "";
    fflush(stdout);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(dup2(ends[1], STDOUT_FILENO) >= 0);
    dari_client *client = start("loud", &(dari_client_options){.exec.keeps_standard = true});
    dup2(before, STDOUT_FILENO);
    assert_int_equal(read(ends[0], text, sizeof text - 1), 5);
    assert_string_equal(text, "loud\n");
    assert_string_equal(told(client, 'd'), "5");
    dari_client_close(client);
    close(before);
    close(ends[0]);
    close(ends[1]);
}

static void signals_are_the_default(void **state)
{
    (void)state;
    sigset_t usual, some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &some, &usual);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    dari_client *client = start("serve", NULL);
    assert_string_equal(told(client, 's'), "");
    dari_client_close(client);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &usual, NULL);
}

static void the_applications_wait_is_its_own(void **state)
{
    (void)state;
    dari_client *client = start("serve", NULL);
    pid_t program = pid_of(client), own = fork();
    int status;
    assert_true(own >= 0);
    if (own == 0)
        _exit(7);
    assert_int_equal(waitpid(own, &status, 0), own);
    assert_int_equal(WEXITSTATUS(status), 7);
    /* An application that waits for any child takes the status, and nothing else. */
    own = fork();
    if (own == 0)
        _exit(8);
    kill(program, SIGKILL);
    bool seen = false;
    for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0;)
        seen |= pid == own && WEXITSTATUS(status) == 8;
    assert_true(seen);
    assert_true(is_gone(program, 10 * DARI_S));
    pid_t next = pid_of_next(client);
    assert_int_not_equal(next, program);
    dari_client_close(client);
    assert_true(is_gone(next, 4 * DARI_S));
}

static void the_application_ignores_its_children(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    dari_client *client = start("serve", NULL);
    pid_t program = pid_of(client);
    kill(program, SIGKILL);
    assert_true(is_gone(program, 10 * DARI_S));
    program = pid_of_next(client);
    dari_client_close(client);
    assert_true(is_gone(program, 4 * DARI_S));
    signal(SIGCHLD, SIG_DFL);
}

/* A child of this process has inherited the client, and closes it. */
static void list_descriptors(bool *ret_open)
{
    for (int i = 0; i < DESCRIPTORS; i++)
        ret_open[i] = fcntl(i, F_GETFD) >= 0;
}

/* Whether a child keeps none of the client's descriptors when it closes it. What programs of
 * earlier clients still have, which end in the background, is not looked at. */
static bool closes_all(dari_client *client, const bool *others)
{
    bool open[DESCRIPTORS], kept = false;
    list_descriptors(open);
    dari_client_close(client);
    for (int i = 0; i < DESCRIPTORS; i++)
        kept |= open[i] && !others[i] && fcntl(i, F_GETFD) >= 0;
    return !kept;
}

static void a_forked_child_ends_nothing(void **state)
{
    (void)state;
    bool others[DESCRIPTORS];
    list_descriptors(others);
    dari_client *client = start("serve", &(dari_client_options){.exec.grace_ns = 1});
    pid_t program = pid_of(client), child = fork();
    int status;
    assert_true(child >= 0);
    if (child == 0)
        _exit(closes_all(client, others) ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(is_gone(program, 50 * DARI_MS));
    assert_int_equal(pid_of(client), program);
    dari_client_close(client);
    assert_true(is_gone(program, 10 * DARI_S));
}

/* At any moment, while it is called: no call waits for long, and no zombie is left. */
static void programs_are_killed(void **state)
{
    (void)state;
    int trials = getenv("DARI_LONG") ? 1000 : 100;
    uint32_t seed = 13;
    /* What looks after the programs of earlier cases may not be done yet. */
    assert_true(await_descriptors(descriptors_at_start));
    dari_client *client = start("serve", &(dari_client_options){.backoff_first_ns = 1});
    for (int i = 0; i < trials; i++) {
        pid_t pid = pid_of_next(client);
        seed = seed * 1103515245 + 12345;
        struct timespec pause_time = {.tv_nsec = (long)((seed >> 8) % 2000000)};
        pid_t killer = fork();
        assert_true(killer >= 0);
        if (killer == 0) {
            nanosleep(&pause_time, NULL);
            kill(pid, SIGKILL);
            _exit(0);
        }
        char text[512];
        int error;
        do {
            dari_call call = DARI_CALL(.deadline_ns = 20 * DARI_S);
            error = ask(client, 'd', text, &call);
            dari_call_end(&call);
        } while (error == 0 && kill(pid, 0) == 0);
        assert_true(error == 0 || error == DARI_CLOSED);
        while (waitpid(killer, NULL, 0) < 0 && errno == EINTR)
            continue;
        assert_true(is_gone(pid, 10 * DARI_S));
    }
    dari_client_close(client);
    assert_true(await_descriptors(descriptors_at_start));
}

/* In a child, whose limit is its own. */
static int start_with_few(unsigned most)
{
    char *const arguments[] = {self, "serve", NULL};
    dari_client *client = NULL;
    struct rlimit limit = {most, most};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 100;
    int error = dari_connect_program(arguments, NULL, &client);
    if (error < 0 && waitpid(-1, NULL, WNOHANG) >= 0)
        return 101; /* a program is left */
    dari_client_close(client);
    return error == DARI_ERRNO ? 1 : error == 0 ? 0 : 102;
}

static void descriptors_run_out(void **state)
{
    (void)state;
    unsigned used = count_descriptors() - 3;
    int result = 1;
    for (unsigned more = 0; more < 32 && result == 1; more++) {
        pid_t pid = fork();
        int status;
        assert_true(pid >= 0);
        if (pid == 0)
            _exit(start_with_few(used + more));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        result = WEXITSTATUS(status);
    }
    assert_int_equal(result, 0);
}

/* Whether the system says that it has started a program, and that one ends as it should. */
static bool spawns(char *program)
{
    pid_t pid;
    int status;
    if (posix_spawn(&pid, program, NULL, NULL, (char *const[]){program, "nothing", NULL}, environ))
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    /* An emulator may learn too late that there is no such program. */
    return program != self || status == 0;
}

int main(int argc, char **argv)
{
    program_count = argc;
    program_arguments = argv;
    if (argc > 1)
        return play(argv[1]);
    char nowhere[] = "/no/such/program";
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size < 0 || spawns(nowhere) || !spawns(self)) {
        puts("1..0 # SKIP an emulator does not start programs, or not as the system does");
        return 0;
    }
    descriptors_at_start = count_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_serves),
        cmocka_unit_test(programs_must_be_allowed),
        cmocka_unit_test(programs_that_cannot_be_started),
        cmocka_unit_test(arguments_arrive_as_they_are),
        cmocka_unit_test(a_program_that_dies_idle),
        cmocka_unit_test(a_program_that_dies_during_a_call),
        cmocka_unit_test(a_program_that_dies_beside_a_loop),
        cmocka_unit_test(a_program_that_ends_at_once),
        cmocka_unit_test(a_program_that_will_not_end),
        cmocka_unit_test(nothing_leaks_into_the_program),
        cmocka_unit_test(standard_streams_may_be_kept),
        cmocka_unit_test(signals_are_the_default),
        cmocka_unit_test(the_applications_wait_is_its_own),
        cmocka_unit_test(the_application_ignores_its_children),
        cmocka_unit_test(a_forked_child_ends_nothing),
        cmocka_unit_test(programs_are_killed),
        cmocka_unit_test(descriptors_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
