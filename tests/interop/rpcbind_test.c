/* SPDX-License-Identifier: MIT */
/* Servers and clients of dari with Debian's rpcbind, which is started for this in namespaces of its
 * own: nothing of it is seen outside, and it ends with this process. Only root can do that. */
#include "interop.h"

#include <dari/dari.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HOST "tcp://127.0.0.1"
#define NOBODY 65534

static struct {
    const char *missing; /* why there is no rpcbind, or NULL */
    pid_t rpcbind;
    dari_server *server;
    pthread_t thread;
    bool running;
    dari_client *client;
    dari_call call;
    char table[16384]; /* what rpcinfo said */
} with;

/* Brings up the loopback interface of a new network namespace. */
static bool bring_up_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = ioctl(descriptor, SIOCGIFFLAGS, &request) == 0;
    request.ifr_flags |= IFF_UP;
    up = up && ioctl(descriptor, SIOCSIFFLAGS, &request) == 0;
    close(descriptor);
    return up;
}

static const char *make_namespaces(void)
{
    if (geteuid() != 0)
        return "only root can start an rpcbind";
    if (access("/usr/sbin/rpcbind", X_OK) < 0)
        return "there is no rpcbind";
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
        return "there are no namespaces for an rpcbind of our own";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/run", "tmpfs", 0, "mode=755") < 0 || !bring_up_loopback())
        return "the namespaces cannot be set up";
    return NULL;
}

/* Whether rpcbind answers, at its own socket and by TCP. */
static bool answers(void)
{
    static const char *const addresses[] = {DARI_RPCBIND_LOCAL, DARI_RPCBIND_LOOPBACK,
                                            "tcp://[::1]:111"};
    int error = 0;
    for (int i = 0; i < 3 && error == 0; i++) {
        dari_client *client = NULL;
        error = dari_connect(addresses[i], NULL, &client);
        if (error == 0)
            error = dari_client_ping(client, 100000, 4, NULL);
        dari_client_close(client);
    }
    return error == 0;
}

/* Where rpcbind tells that it is ready, in the network namespace of this test. */
#define READY_NAME "dari-rpcbind"

static int listen_for_ready(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0" READY_NAME};
    struct timeval patience = {20, 0};
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&name,
                          offsetof(struct sockaddr_un, sun_path) + sizeof READY_NAME),
                     0);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return descriptor;
}

static void await_ready(int descriptor)
{
    char text[64] = "";
    assert_true(recv(descriptor, text, sizeof text - 1, 0) > 0);
    assert_string_equal(text, "READY=1");
    close(descriptor);
}

static int start_rpcbind(void **state)
{
    (void)state;
    with.missing = make_namespaces();
    if (with.missing) {
        print_message("# left out: %s\n", with.missing);
        return 0;
    }
    int ready = listen_for_ready();
    with.rpcbind = fork();
    assert_true(with.rpcbind >= 0);
    if (with.rpcbind == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("NOTIFY_SOCKET", "@" READY_NAME, 1);
        execl("/usr/sbin/rpcbind", "rpcbind", "-f", (char *)NULL);
        _exit(127);
    }
    await_ready(ready);
    assert_true(answers());
    return 0;
}

static int end_rpcbind(void **state)
{
    (void)state;
    if (with.missing)
        return 0;
    kill(with.rpcbind, SIGTERM);
    waitpid(with.rpcbind, NULL, 0);
    return 0;
}

/* Runs a program, and keeps what it prints in with.table. Returns its exit code. */
static int run(const char *const arguments[])
{
    int ends[2], status;
    size_t size = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execv(arguments[0], (char **)(uintptr_t)arguments);
        _exit(127);
    }
    close(ends[1]);
    while ((got = read(ends[0], with.table + size, sizeof with.table - 1 - size)) > 0)
        size += (size_t)got;
    with.table[size] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The line of rpcinfo's table for our program, a version and a netid; or NULL. */
static const char *line(unsigned version, const char *netid)
{
    static char text[256];
    char *rest = NULL;
    assert_int_equal(run((const char *const[]){"/usr/sbin/rpcinfo", "127.0.0.1", NULL}), 0);
    for (char *at = strtok_r(with.table, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest)) {
        unsigned number, its_version;
        char its_netid[32];
        if (sscanf(at, "%u %u %31s", &number, &its_version, its_netid) == 3 && number == INTEROP &&
            its_version == version && strcmp(its_netid, netid) == 0) {
            snprintf(text, sizeof text, "%s", at);
            return text;
        }
    }
    return NULL;
}

static int add(dari_request *request, const operands *arg, int32_t *ret)
{
    (void)request;
    *ret = arg->a + arg->b;
    return 0;
}

static const interop_1_handlers handlers = {.add = add};

static void *serve(void *argument)
{
    assert_int_equal(dari_server_run(argument), 0);
    return NULL;
}

static void create(const dari_server_options *options)
{
    assert_int_equal(dari_server_create(options, &with.server), 0);
    assert_int_equal(interop_1_serve(with.server, &handlers, NULL), 0);
}

static void listens(const char *address)
{
    if (dari_server_listen(with.server, address) < 0)
        fail_msg("%s", dari_server_message(with.server));
}

static void start(void)
{
    assert_int_equal(pthread_create(&with.thread, NULL, serve, with.server), 0);
    with.running = true;
}

static void destroy(void)
{
    if (with.running) {
        dari_server_stop(with.server);
        pthread_join(with.thread, NULL);
        with.running = false;
    }
    dari_server_destroy(with.server);
    with.server = NULL;
}

static int set_up(void **state)
{
    (void)state;
    if (!with.missing)
        create(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dari_client_close(with.client);
    with.client = NULL;
    dari_call_end(&with.call);
    destroy();
    return 0;
}

static void needs_rpcbind(void)
{
    if (with.missing)
        skip();
}

/* Calls the server by a host alone. */
static int call_at(const char *address)
{
    int32_t sum = 0;
    dari_client_close(with.client);
    with.client = NULL;
    with.call.deadline_ns = 10 * DARI_S;
    assert_int_equal(dari_connect(address, NULL, &with.client), 0);
    int error = add_1(with.client, &(operands){.a = 40, .b = 2}, &sum, &with.call);
    assert_int_equal(sum, error ? 0 : 42);
    return error;
}

static void rpcbind_finds_itself(void **state)
{
    (void)state;
    needs_rpcbind();
    static const char *const hosts[] = {HOST, "tcp://[::1]"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dari_connect(hosts[i], NULL, &with.client), 0);
        assert_int_equal(dari_client_ping(with.client, 100000, 4, NULL), 0);
        assert_int_equal(dari_client_ping(with.client, 100000, 3, NULL), 0);
        dari_client_close(with.client);
        with.client = NULL;
    }
}

static void clients_find_servers(void **state)
{
    (void)state;
    needs_rpcbind();
    listens("tcp://0.0.0.0");
    listens("tcp://[::]");
    start();
    assert_int_equal(call_at(HOST), 0);
    assert_int_equal(call_at("tcp://[::1]"), 0);
    assert_non_null(strstr(line(1, "tcp"), "superuser"));
    assert_non_null(strstr(line(1, "tcp6"), "superuser"));
    destroy();
    assert_null(line(1, "tcp"));
    assert_null(line(1, "tcp6"));
    assert_int_equal(call_at(HOST), DARI_NOT_REGISTERED);
}

static void datagrams_find_servers(void **state)
{
    (void)state;
    needs_rpcbind();
    listens("udp://0.0.0.0");
    listens("udp://[::]");
    start();
    assert_int_equal(call_at("udp://127.0.0.1"), 0);
    assert_int_equal(call_at("udp://[::1]"), 0);
    assert_int_equal(call_at(HOST), DARI_NOT_REGISTERED);
    assert_non_null(line(1, "udp"));
    assert_non_null(line(1, "udp6"));
    destroy();
    assert_null(line(1, "udp"));
    assert_null(line(1, "udp6"));
}

static void libtirpc_finds_servers(void **state)
{
    (void)state;
    needs_rpcbind();
    char number[16];
    snprintf(number, sizeof number, "%u", INTEROP);
    listens("tcp://0.0.0.0");
    start();
    assert_int_equal(run((const char *const[]){"/usr/sbin/rpcinfo", "-T", "tcp", "127.0.0.1",
                                               number, "1", NULL}),
                     0);
    assert_non_null(strstr(with.table, "ready and waiting"));
    assert_int_equal(run((const char *const[]){"/usr/sbin/rpcinfo", "-p", "127.0.0.1", NULL}), 0);
    assert_non_null(strstr(with.table, number));
}

static void a_version_that_is_not_there(void **state)
{
    (void)state;
    needs_rpcbind();
    listens("tcp://0.0.0.0");
    start();
    assert_int_equal(dari_connect(HOST, NULL, &with.client), 0);
    assert_int_equal(dari_client_ping(with.client, INTEROP, 9, &with.call), DARI_PROGRAM_MISMATCH);
    assert_int_equal(with.call.low, 1);
    assert_int_equal(with.call.high, 1);
}

/* Registers in a child that ends without taking it back. */
static void leave_behind(uid_t user)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dari_server *server;
        if (setresuid(user, user, user) < 0 || dari_server_create(NULL, &server) < 0 ||
            interop_1_serve(server, &handlers, NULL) < 0 || dari_server_listen(server, HOST) < 0)
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The same user takes back what it has left. */
static void clean_up(uid_t user)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dari_server *server;
        if (setresuid(user, user, user) < 0 || dari_server_create(NULL, &server) < 0 ||
            interop_1_serve(server, &handlers, NULL) < 0 || dari_server_listen(server, HOST) < 0)
            _exit(1);
        dari_server_destroy(server);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void what_a_dead_server_left_is_replaced(void **state)
{
    (void)state;
    needs_rpcbind();
    leave_behind(0);
    assert_non_null(line(1, "tcp"));
    assert_int_equal(call_at(HOST), DARI_REFUSED);
    listens(HOST);
    start();
    assert_int_equal(call_at(HOST), 0);
    destroy();
    assert_null(line(1, "tcp"));
}

static void users_keep_what_is_theirs(void **state)
{
    (void)state;
    needs_rpcbind();
    leave_behind(NOBODY);
    assert_non_null(strstr(line(1, "tcp"), "65534"));
    assert_int_equal(dari_server_listen(with.server, HOST), DARI_IN_USE);
    assert_non_null(strstr(dari_server_message(with.server), "another user has registered"));
    clean_up(NOBODY);
    assert_null(line(1, "tcp"));
    leave_behind(0);
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dari_server *server;
        if (setresuid(NOBODY, NOBODY, NOBODY) < 0 || dari_server_create(NULL, &server) < 0 ||
            interop_1_serve(server, &handlers, NULL) < 0)
            _exit(1);
        _exit(dari_server_listen(server, HOST) == DARI_IN_USE ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    clean_up(0);
    assert_null(line(1, "tcp"));
}

static void a_living_server_keeps_it_too(void **state)
{
    (void)state;
    needs_rpcbind();
    listens("tcp://0.0.0.0");
    start();
    dari_server *second;
    assert_int_equal(dari_server_create(NULL, &second), 0);
    assert_int_equal(interop_1_serve(second, &handlers, NULL), 0);
    assert_int_equal(dari_server_listen(second, HOST), DARI_IN_USE);
    assert_non_null(strstr(dari_server_message(second), "its port is in use"));
    dari_server_destroy(second);
    assert_int_equal(call_at(HOST), 0);
}

static void over_tcp_from_a_reserved_port(void **state)
{
    (void)state;
    needs_rpcbind();
    destroy();
    create(&(dari_server_options){.rpcbind = DARI_RPCBIND_LOOPBACK});
    listens(HOST);
    start();
    assert_non_null(line(1, "tcp"));
    assert_int_equal(call_at(HOST), 0);
    destroy();
    assert_null(line(1, "tcp"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(rpcbind_finds_itself),          CASE(clients_find_servers),
        CASE(datagrams_find_servers),        CASE(libtirpc_finds_servers),
        CASE(a_version_that_is_not_there),   CASE(what_a_dead_server_left_is_replaced),
        CASE(users_keep_what_is_theirs),     CASE(a_living_server_keeps_it_too),
        CASE(over_tcp_from_a_reserved_port),
    };
    return cmocka_run_group_tests(tests, start_rpcbind, end_rpcbind);
}
