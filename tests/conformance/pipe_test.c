/* SPDX-License-Identifier: MIT */
/* What is particular to pipe: -- descriptors and their flags, signals, and the two sides of a fork.
 * Every kernel is met: the stand-ins for preadv2 and pwritev2 refuse what old ones have not. */
#include "conformance/harness.h"

#include "loop/server.h"

#include "transport/pipe_end.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

/* The flags that the kernel has not got, what it says then, and whether it can open pipes anew. */
static int missing, missing_error;
static bool cannot_reopen;

/* File offsets have 64 bits, which is in the functions' names. */
ssize_t __real_preadv64v2(int descriptor, const struct iovec *list, int count, off_t at, int flags);
ssize_t __wrap_preadv64v2(int descriptor, const struct iovec *list, int count, off_t at, int flags);
ssize_t __real_pwritev64v2(int descriptor, const struct iovec *list, int count, off_t at,
                           int flags);
ssize_t __wrap_pwritev64v2(int descriptor, const struct iovec *list, int count, off_t at,
                           int flags);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, mode_t mode);

static bool refuses(int flags)
{
    if (flags & missing)
        errno = missing_error;
    return flags & missing;
}

ssize_t __wrap_preadv64v2(int descriptor, const struct iovec *list, int count, off_t at, int flags)
{
    return refuses(flags) ? -1 : __real_preadv64v2(descriptor, list, count, at, flags);
}

ssize_t __wrap_pwritev64v2(int descriptor, const struct iovec *list, int count, off_t at, int flags)
{
    return refuses(flags) ? -1 : __real_pwritev64v2(descriptor, list, count, at, flags);
}

int __wrap_open64(const char *path, int flags, mode_t mode)
{
    if (cannot_reopen && strncmp(path, "/proc/self/fd/", 14) == 0) {
        errno = ENOENT;
        return -1;
    }
    return __real_open64(path, flags, mode);
}

static int end(void **state)
{
    (void)state;
    missing = 0;
    cannot_reopen = false;
    return 0;
}

/* Two pipes without O_NONBLOCK, as a shell makes them. */
static void make_blocking(dari_pipes *pipes)
{
    assert_int_equal(dari_pipe_pair(pipes), 0);
    for (int side = 0; side < 2; side++) {
        assert_int_equal(fcntl(pipes->in[side], F_SETFL, 0), 0);
        assert_int_equal(fcntl(pipes->out[side], F_SETFL, 0), 0);
    }
}

/* Serves the address in a child until the client has gone. */
static pid_t serve_in_child(dari_pipes *pipes)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) {
        dari_pipe_keep(pipes, DARI_PIPE_CLIENT);
        return pid;
    }
    dari_server *server = NULL;
    test_fixture fixture = {0};
    pthread_mutex_init(&fixture.lock, NULL);
    pthread_cond_init(&fixture.changed, NULL);
    dari_pipe_keep(pipes, DARI_PIPE_SERVER);
    if (dari_server_create(NULL, &server) < 0 ||
        echo_1_serve(server, &echo_handlers, &fixture) < 0 ||
        dari_server_listen(server, pipes->server) < 0)
        _exit(1);
    int result = dari_server_run(server);
    dari_server_destroy(server);
    _exit(result == 0 ? 0 : 2);
}

static void check_exit(pid_t pid, int expected)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
}

static void call_much(dari_client *client)
{
    static uint8_t bytes[300000];
    dari_call call = {0};
    opaque_data ret;
    int32_t sum = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(add_1(client, &(pair){i, 2}, &sum, NULL), 0);
        assert_int_equal(sum, i + 2);
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 9));
    if (echo_data_1(client, &(opaque_data){sizeof bytes, bytes}, &ret, &call) < 0)
        fail_msg("%s", dari_call_message(&call));
    assert_int_equal(ret.size, sizeof bytes);
    assert_memory_equal(ret.data, bytes, sizeof bytes);
    dari_call_end(&call);
}

static void a_child_serves_its_parent(void **state)
{
    (void)state;
    dari_pipes pipes;
    dari_client *client = NULL;
    unsigned before = count_descriptors();
    make_blocking(&pipes);
    pid_t pid = serve_in_child(&pipes);
    assert_int_equal(dari_connect(pipes.client, NULL, &client), 0);
    call_much(client);
    dari_client_close(client);
    check_exit(pid, 0); /* run returns by itself */
    assert_int_equal(count_descriptors(), before);
}

static void kernels_without_the_flags(void **state)
{
    (void)state;
    static const int errors[] = {EOPNOTSUPP, EINVAL, ENOSYS};
    for (int variant = 0; variant < 16; variant++) {
        missing = (variant & 1 ? RWF_NOWAIT : 0) | (variant & 2 ? RWF_NOSIGNAL : 0);
        cannot_reopen = variant & 4;
        missing_error = errors[variant % 3];
        dari_pipes pipes;
        dari_client *client = NULL;
        make_blocking(&pipes);
        if (variant & 8) /* what is shared is left alone */
            assert_int_equal(fcntl(pipes.in[DARI_PIPE_CLIENT], F_SETFL, O_NONBLOCK), 0);
        int copies[2] = {dup(pipes.in[DARI_PIPE_CLIENT]), dup(pipes.out[DARI_PIPE_CLIENT])};
        int flags = fcntl(copies[0], F_GETFL);
        pid_t pid = serve_in_child(&pipes);
        assert_int_equal(dari_connect(pipes.client, NULL, &client), 0);
        call_much(client);
        assert_int_equal(fcntl(copies[0], F_GETFL), flags);
        assert_int_equal(fcntl(copies[1], F_GETFL) & O_NONBLOCK, 0);
        dari_client_close(client);
        close(copies[0]);
        close(copies[1]);
        /* The child has copies of its own, made before. */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

/* What finds out about the flags is wrong about them, as under an emulator: the first use sees. */
static void flags_that_vanish(void **state)
{
    (void)state;
    int ends[2];
    char bytes[8192] = {0};
    assert_int_equal(pipe(ends), 0);
    di_pipe_end in = di_pipe_end_shared(ends[0], false), out = di_pipe_end_shared(ends[1], true);
    missing = RWF_NOWAIT | RWF_NOSIGNAL;
    missing_error = ENOSYS;
    assert_int_equal(di_pipe_end_read(&in, bytes, sizeof bytes), -1);
    assert_int_equal(errno, EAGAIN);
    struct iovec pieces[2] = {{bytes, 100}, {bytes, 5000}};
    ssize_t sent = di_pipe_end_write(&out, pieces, 2);
    assert_in_range(sent, 4096, 5100);
    assert_int_equal(di_pipe_end_read(&in, bytes, sizeof bytes), sent);
    size_t total = 0;
    for (;;) { /* until it is full, and never waits */
        struct iovec piece = {bytes, sizeof bytes};
        sent = di_pipe_end_write(&out, &piece, 1);
        if (sent < 0)
            break;
        total += (size_t)sent;
    }
    assert_int_equal(errno, EAGAIN);
    assert_true(total >= 4096);
    close(ends[0]);
    close(ends[1]);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

/* Writes into a pipe that nobody reads, with every way of keeping the signal away. */
static void no_signal_comes(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = count_signal}, before;
    sigset_t broken, pending, mask;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    assert_int_equal(sigaction(SIGPIPE, &action, &before), 0);
    signals = 0;
    missing_error = EOPNOTSUPP;
    for (int variant = 0; variant < 4; variant++) {
        missing = (variant & 1 ? RWF_NOWAIT : 0) | (variant & 2 ? RWF_NOSIGNAL : 0);
        int ends[2];
        char byte = 'x';
        struct iovec piece = {&byte, 1};
        assert_int_equal(pipe(ends), 0);
        di_pipe_end out = di_pipe_end_shared(ends[1], true);
        close(ends[0]);
        assert_int_equal(di_pipe_end_write(&out, &piece, 1), -1);
        assert_int_equal(errno, EPIPE);
        assert_int_equal(signals, 0);
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        assert_int_equal(sigismember(&mask, SIGPIPE), 0);
        /* One that waits already is not taken, and none is added. */
        pthread_sigmask(SIG_BLOCK, &broken, NULL);
        raise(SIGPIPE);
        assert_int_equal(di_pipe_end_write(&out, &piece, 1), -1);
        assert_int_equal(errno, EPIPE);
        sigpending(&pending);
        assert_int_equal(sigismember(&pending, SIGPIPE), 1);
        pthread_sigmask(SIG_UNBLOCK, &broken, NULL);
        assert_int_equal(signals, 1);
        signals = 0;
        close(ends[1]);
    }
    sigaction(SIGPIPE, &before, NULL);
}

/* The whole client, whose server dies while it is idle, while it calls, and before. */
static void a_dead_server_is_no_signal(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = count_signal}, before;
    assert_int_equal(sigaction(SIGPIPE, &action, &before), 0);
    signals = 0;
    missing_error = EOPNOTSUPP;
    for (int variant = 0; variant < 2; variant++) {
        missing = variant ? RWF_NOWAIT | RWF_NOSIGNAL : 0;
        dari_pipes pipes;
        dari_client *client = NULL;
        dari_call call = {0};
        make_blocking(&pipes);
        pid_t pid = serve_in_child(&pipes);
        assert_int_equal(dari_connect(pipes.client, NULL, &client), 0);
        assert_int_equal(nothing_1(client, NULL), 0);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
            assert_false(call.may_have_run);
        }
        dari_client_close(client);
        dari_call_end(&call);
    }
    assert_int_equal(signals, 0);
    sigaction(SIGPIPE, &before, NULL);
}

static void refused(const char *address, const char *words)
{
    dari_client *client = NULL;
    dari_server *server = NULL;
    dari_call call = {0};
    assert_int_equal(dari_connect(address, &(dari_client_options){.call = &call}, &client),
                     DARI_ADDRESS);
    if (!strstr(dari_call_message(&call), words))
        fail_msg("\"%s\" does not say \"%s\"", dari_call_message(&call), words);
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(dari_server_listen(server, address), DARI_ADDRESS);
    assert_non_null(strstr(dari_server_message(server), words));
    dari_server_destroy(server);
    dari_call_end(&call);
}

static void addresses_that_are_wrong(void **state)
{
    (void)state;
    static const char *const wrong[] = {"pipe:",     "pipe:3",    "pipe:3,",
                                        "pipe:,4",   "pipe:3,4x", "pipe:3,4,5",
                                        "pipe:-1,4", "pipe:3, 4", "pipe:99999999999,4",
                                        "pipe:03,4"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(wrong[i], "two numbers of descriptors belong there: IN,OUT");
    refused("pipe:7,7", "both descriptors are the same");
    refused("pipe:1000001,1000002", "a descriptor is not open");
    char address[64];
    dari_pipes pipes;
    int sockets[2];
    assert_int_equal(dari_pipe_pair(&pipes), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    snprintf(address, sizeof address, "pipe:%d,%d", sockets[0], sockets[1]);
    refused(address, "a descriptor is no pipe");
    snprintf(address, sizeof address, "pipe:%d,%d", pipes.out[0], pipes.out[1]);
    refused(address, "the first descriptor is not open for reading");
    snprintf(address, sizeof address, "pipe:%d,%d", pipes.in[0], pipes.in[1]);
    refused(address, "the second descriptor is not open for writing");
    /* What was refused is still there. */
    assert_true(fcntl(pipes.in[0], F_GETFD) >= 0 && fcntl(pipes.out[0], F_GETFD) >= 0);
    close(sockets[0]);
    close(sockets[1]);
    dari_pipe_close(&pipes);
    dari_pipe_close(&pipes);
}

/* A handler that prints does not print into the connection. */
static int print_and_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    char byte;
    printf("this goes to standard error\n");
    fflush(stdout);
    *ret = arg->a + arg->b + (read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1000);
    return 0;
}

static int serve_standard(dari_pipes *pipes, int error_end)
{
    static const echo_1_handlers handlers = {.add = print_and_add};
    dari_server *server = NULL;
    if (dup2(pipes->in[DARI_PIPE_SERVER], 0) < 0 || dup2(pipes->out[DARI_PIPE_SERVER], 1) < 0 ||
        dup2(error_end, 2) < 0)
        return 1;
    dari_pipe_close(pipes);
    if (dari_server_create(NULL, &server) < 0 || echo_1_serve(server, &handlers, NULL) < 0 ||
        dari_server_listen(server, "pipe:0,1") < 0 || dari_server_run(server) < 0)
        return 2;
    dari_server_destroy(server);
    /* The numbers stay taken. */
    return fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0 ? 0 : 3;
}

static void standard_streams_are_replaced(void **state)
{
    (void)state;
    dari_pipes pipes;
    dari_client *client = NULL;
    int errors[2];
    char text[64] = "";
    int32_t sum = 0;
    make_blocking(&pipes);
    assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
    fflush(stdout);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(serve_standard(&pipes, errors[1]));
    close(errors[1]);
    dari_pipe_keep(&pipes, DARI_PIPE_CLIENT);
    assert_int_equal(dari_connect(pipes.client, NULL, &client), 0);
    assert_int_equal(add_1(client, &(pair){40, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 42);
    assert_true(read(errors[0], text, sizeof text - 1) > 0);
    assert_string_equal(text, "this goes to standard error\n");
    dari_client_close(client);
    check_exit(pid, 0);
    close(errors[0]);
}

/* A peer that closes the end by which answers come, and goes on: nobody spins, and it is over. */
static void a_peer_that_reads_no_more(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = &(test_scheme){.address = "pipe:", .single = true}};
    fixture_begin(&fixture);
    int in = dup(fixture.pipes.in[DARI_PIPE_CLIENT]),
        out = dup(fixture.pipes.out[DARI_PIPE_CLIENT]);
    dari_pipe_keep(&fixture.pipes, DARI_PIPE_SERVER);
    fixture_serve(&fixture);
    close(in);
    uint8_t record[64];
    uint8_t *end = raw_call(record + 4, 1, ECHO, ECHO_V1, 0);
    dari_put_u32(record, 0x80000000u | (uint32_t)(end - record - 4));
    assert_int_equal(write(out, record, (size_t)(end - record)), end - record);
    pthread_join(fixture.thread, NULL); /* the only connection is over */
    fixture.running = false;
    assert_int_equal(fixture.run_result, 0);
    assert_int_equal(fixture.entered, 1);
    close(out);
    fixture_end(&fixture);
}

/* A client does not connect again: the numbers may be other files by now. */
static void a_lost_pipe_stays_lost(void **state)
{
    (void)state;
    dari_pipes pipes;
    dari_client *client = NULL;
    assert_int_equal(dari_pipe_pair(&pipes), 0);
    assert_int_equal(dari_connect(pipes.client, NULL, &client), 0);
    dari_pipe_keep(&pipes, DARI_PIPE_CLIENT);
    assert_int_equal(nothing_1(client, NULL), DARI_CLOSED);
    dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_S);
    uint64_t began = di_now();
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    assert_true(di_now() - began < 5 * DARI_S);
    dari_client_close(client);
    dari_call_end(&call);
}

/* A server with an address that may bring more goes on. */
static void other_addresses_keep_a_server(void **state)
{
    (void)state;
    dari_pipes pipes;
    dari_server *server = NULL;
    dari_client *client = NULL;
    char address[64];
    snprintf(address, sizeof address, "unix:@dari-pipe-test-%d", getpid());
    assert_int_equal(dari_pipe_pair(&pipes), 0);
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(dari_server_listen(server, pipes.server), 0);
    assert_int_equal(dari_server_listen(server, address), 0);
    assert_string_equal(dari_server_address(server, 0), pipes.server);
    assert_int_equal(dari_connect(pipes.client, NULL, &client), 0);
    while (dari_server_dispatch(server) == 1)
        continue;
    dari_client_close(client);
    for (int i = 0; i < 10; i++)
        assert_true(dari_server_dispatch(server) >= 0);
    assert_int_equal(dari_server_finished(server), 0);
    dari_server_destroy(server);
}

/* And a pair costs it no descriptor once its connection is over. */
static void pairs_of_a_server_that_goes_on(void **state)
{
    (void)state;
    dari_server *server = NULL;
    unsigned before = 0;
    char address[64];
    snprintf(address, sizeof address, "unix:@dari-pipe-test-%d", getpid());
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(dari_server_listen(server, address), 0);
    for (int i = 0; i < 4; i++) {
        dari_pipes pipes;
        dari_client *client = NULL;
        assert_int_equal(dari_pipe_pair(&pipes), 0);
        assert_int_equal(dari_server_listen(server, pipes.server), 0);
        assert_int_equal(dari_connect(pipes.client, NULL, &client), 0);
        while (!server->sessions)
            assert_true(dari_server_dispatch(server) >= 0);
        dari_client_close(client);
        while (server->sessions)
            assert_true(dari_server_dispatch(server) >= 0);
        if (i == 0)
            before = count_descriptors();
        assert_int_equal(count_descriptors(), before);
    }
    assert_int_equal(dari_server_finished(server), 0);
    dari_server_destroy(server);
}

#define CASE(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_child_serves_its_parent),
        CASE(kernels_without_the_flags),
        CASE(flags_that_vanish),
        CASE(no_signal_comes),
        CASE(a_dead_server_is_no_signal),
        CASE(addresses_that_are_wrong),
        CASE(standard_streams_are_replaced),
        CASE(a_peer_that_reads_no_more),
        CASE(a_lost_pipe_stays_lost),
        CASE(other_addresses_keep_a_server),
        CASE(pairs_of_a_server_that_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
