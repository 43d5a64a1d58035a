/* SPDX-License-Identifier: MIT */
/* Servers that are handed their sockets: one by one, and by the manager that starts them. */
#include "conformance/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* The argument with which this program is a server that was started with its sockets, and the exit
 * code of a child that cannot be started again as another program. */
#define SERVE "serve-inherited"
#define CANNOT_EXEC 77

typedef union socket_name {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} socket_name;

static int make_socket(const socket_name *name, socklen_t size, int type)
{
    int descriptor = socket(name->any.sa_family, type, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, &name->any, size), 0);
    return descriptor;
}

static int listen_tcp4(void)
{
    socket_name name = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)}};
    int descriptor = make_socket(&name, sizeof name.v4, SOCK_STREAM);
    assert_int_equal(listen(descriptor, 8), 0);
    return descriptor;
}

static int listen_tcp6(void)
{
    socket_name name = {.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
    int descriptor = make_socket(&name, sizeof name.v6, SOCK_STREAM);
    assert_int_equal(listen(descriptor, 8), 0);
    return descriptor;
}

/* An abstract name where `text` begins with a zero byte. */
static int listen_unix(const char *text, size_t size)
{
    socket_name name = {.local = {.sun_family = AF_UNIX}};
    memcpy(name.local.sun_path, text, size);
    int descriptor =
        make_socket(&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size), SOCK_STREAM);
    assert_int_equal(listen(descriptor, 8), 0);
    return descriptor;
}

static size_t abstract_name(char text[64], int number)
{
    text[0] = '\0';
    return 1 + (size_t)snprintf(text + 1, 63, "dari-given-%d-%d", getpid(), number);
}

static void *run(void *argument)
{
    assert_int_equal(dari_server_run(argument), 0);
    return NULL;
}

static void call_at(const char *address)
{
    dari_client *client = NULL;
    int32_t sum = 0;
    assert_int_equal(dari_connect(address, NULL, &client), 0);
    assert_int_equal(add_1(client, &(pair){40, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 42);
    dari_client_close(client);
}

static test_fixture fixture; /* of which the handlers know */
static dari_server *server;

static int set_up(void **state)
{
    (void)state;
    fixture = (test_fixture){.scheme = scheme_named("unix_abstract")};
    fixture_begin(&fixture);
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(echo_1_serve(server, &echo_handlers, &fixture), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dari_server_destroy(server);
    server = NULL;
    fixture_end(&fixture);
    return 0;
}

static bool is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) >= 0;
}

/* Hands the socket over and calls the server there. */
static void serve_given(int descriptor, const char *address)
{
    pthread_t thread;
    assert_int_equal(dari_server_listen_descriptor(server, descriptor), 0);
    assert_true(fcntl(descriptor, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
    const char *told = dari_server_address(server, 0);
    assert_memory_equal(told, address, strlen(address));
    assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
    call_at(told);
    dari_server_stop(server);
    pthread_join(thread, NULL);
    dari_server_destroy(server);
    server = NULL;
    assert_false(is_open(descriptor));
}

static void a_tcp_socket(void **state)
{
    (void)state;
    serve_given(listen_tcp4(), "tcp://127.0.0.1:");
}

static void an_ipv6_socket(void **state)
{
    (void)state;
    if (!scheme_is_there(scheme_named("tcp6")))
        skip();
    serve_given(listen_tcp6(), "tcp://[::1]:");
}

static int bind_udp4(uint32_t host)
{
    socket_name name = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)}};
    return make_socket(&name, sizeof name.v4, SOCK_DGRAM);
}

static void a_udp_socket(void **state)
{
    (void)state;
    serve_given(bind_udp4(INADDR_LOOPBACK), "udp://127.0.0.1:");
}

/* The answer comes from where the call went to. */
static void a_udp_socket_of_all_addresses(void **state)
{
    (void)state;
    pthread_t thread;
    char address[64];
    int descriptor = bind_udp4(INADDR_ANY);
    assert_int_equal(dari_server_listen_descriptor(server, descriptor), 0);
    assert_int_equal(dari_server_listen_descriptor(server, descriptor), DARI_IN_USE);
    assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
    const char *port = strrchr(dari_server_address(server, 0), ':');
    snprintf(address, sizeof address, "udp://127.0.0.2%s", port);
    call_at(address);
    dari_server_stop(server);
    pthread_join(thread, NULL);
}

static void an_abstract_socket(void **state)
{
    (void)state;
    char name[64], address[80];
    size_t size = abstract_name(name, 1);
    snprintf(address, sizeof address, "unix:@%s", name + 1);
    serve_given(listen_unix(name, size), address);
}

static void a_path_stays_where_it_is(void **state)
{
    (void)state;
    char directory[] = "/tmp/dari-test-XXXXXX", path[64], address[80];
    struct stat there;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    snprintf(address, sizeof address, "unix:%s", path);
    serve_given(listen_unix(path, strlen(path)), address);
    assert_int_equal(stat(path, &there), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void a_path_that_fills_its_room(void **state)
{
    (void)state;
    char directory[] = "/tmp/dari-test-XXXXXX", path[128];
    assert_non_null(mkdtemp(directory));
    memset(path, 'p', sizeof path);
    memcpy(path, directory, strlen(directory));
    path[strlen(directory)] = '/';
    int descriptor = listen_unix(path, 108);
    path[108] = '\0';
    assert_int_equal(dari_server_listen_descriptor(server, descriptor), 0);
    assert_string_equal(dari_server_address(server, 0) + 5, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

/* Refused, and as before. */
static void is_refused(int descriptor, int error, const char *words)
{
    char text[128];
    int flags = fcntl(descriptor, F_GETFL), more = fcntl(descriptor, F_GETFD);
    assert_int_equal(dari_server_listen_descriptor(server, descriptor), error);
    snprintf(text, sizeof text, "descriptor %d: listen: %s", descriptor, words);
    assert_string_equal(dari_server_message(server), text);
    assert_int_equal(fcntl(descriptor, F_GETFL), flags);
    assert_int_equal(fcntl(descriptor, F_GETFD), more);
    assert_null(dari_server_address(server, 0));
}

static void what_is_no_listening_socket(void **state)
{
    (void)state;
    socket_name name = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)}};
    int ends[2], connected = bind_udp4(INADDR_LOOPBACK), unbound = socket(AF_INET, SOCK_DGRAM, 0),
                 bound = make_socket(&name, sizeof name.v4, SOCK_STREAM);
    is_refused(-1, DARI_INVALID, "it is no socket (Bad file descriptor)");
    name.v4.sin_port = htons(9);
    assert_int_equal(connect(connected, (struct sockaddr *)&name.v4, sizeof name.v4), 0);
    is_refused(connected, DARI_INVALID, "the socket has a peer of its own");
    is_refused(unbound, DARI_INVALID, "the socket has no address");
    is_refused(bound, DARI_INVALID, "the socket does not listen");
    assert_int_equal(pipe(ends), 0);
    is_refused(ends[0], DARI_INVALID, "it is no socket (Socket operation on non-socket)");
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    is_refused(ends[0], DARI_INVALID, "the socket does not listen");
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    is_refused(ends[0], DARI_SCHEME, "no scheme has such sockets");
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    is_refused(ends[0], DARI_INVALID, "it is no socket of a stream or of datagrams");
    close(ends[0]);
    close(ends[1]);
    close(bound);
    close(unbound);
    close(connected);
}

static void a_name_that_no_address_can_tell(void **state)
{
    (void)state;
    char name[64];
    size_t size = abstract_name(name, 2);
    name[size] = '\0';
    name[size + 1] = 'x';
    int descriptor = listen_unix(name, size + 2);
    is_refused(descriptor, DARI_ADDRESS, "the socket's name has a zero byte");
    close(descriptor);
}

static void the_same_one_twice(void **state)
{
    (void)state;
    int descriptor = listen_tcp4();
    assert_int_equal(dari_server_listen_descriptor(server, descriptor), 0);
    assert_int_equal(dari_server_listen_descriptor(server, descriptor), DARI_IN_USE);
    assert_true(is_open(descriptor));
}

static void one_that_cannot_be_registered_stays_the_callers(void **state)
{
    (void)state;
    dari_server *registers;
    dari_server_options options = {.register_all = true, .rpcbind = "unix:@dari-nobody-at-all"};
    int descriptors[] = {listen_tcp4(), bind_udp4(INADDR_LOOPBACK)};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dari_server_create(&options, &registers), 0);
        assert_int_equal(echo_1_serve(registers, &echo_handlers, &fixture), 0);
        assert_int_equal(dari_server_listen_descriptor(registers, descriptors[i]), DARI_REFUSED);
        dari_server_destroy(registers);
        assert_true(is_open(descriptors[i]));
        close(descriptors[i]);
    }
}

/* Sets the environment of the protocol: NULL leaves a variable out. */
static void set_environment(const char *process, const char *count)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS"};
    const char *const values[] = {process, count};
    for (int i = 0; i < 2; i++) {
        if (values[i])
            setenv(names[i], values[i], 1);
        else
            unsetenv(names[i]);
    }
    setenv("LISTEN_FDNAMES", "name", 1);
}

static void sockets_that_are_not_for_us(void **state)
{
    (void)state;
    char self[16], parent[16];
    snprintf(self, sizeof self, "%d", getpid());
    snprintf(parent, sizeof parent, "%d", getppid());
    const char *const cases[][2] = {{NULL, NULL}, {self, NULL}, {NULL, "1"}, {parent, "1"},
                                    {"", "1"},    {"x", "1"},   {self, "0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set_environment(cases[i][0], cases[i][1]);
        assert_int_equal(dari_server_listen_inherited(server, false), 0);
    }
    assert_non_null(getenv("LISTEN_FDS"));
    set_environment(NULL, NULL);
}

static void counts_that_are_none(void **state)
{
    (void)state;
    static const char *const counts[] = {
        "", "x", "-1", " 1", "1 ", "2147483645", "99999999999999999999"};
    char self[16];
    snprintf(self, sizeof self, "%d", getpid());
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        set_environment(self, counts[i]);
        assert_int_equal(dari_server_listen_inherited(server, false), DARI_INVALID);
        assert_string_equal(dari_server_message(server),
                            "LISTEN_FDS: listen: it is no number of descriptors");
    }
    assert_int_equal(dari_server_listen_inherited(server, true), DARI_INVALID);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
}

/* The other program: serves what it was started with, until its input ends. */
static int serve_inherited(void)
{
    pthread_t thread;
    if (dari_server_create(NULL, &server) < 0 || echo_1_serve(server, &echo_handlers, &fixture) < 0)
        return 1;
    int count = dari_server_listen_inherited(server, true);
    if (getenv("LISTEN_FDS"))
        return 1;
    printf("%d %s\n", count, count < 0 ? dari_server_message(server) : "sockets");
    for (int i = 0; i < count; i++)
        printf("%s\n", dari_server_address(server, (size_t)i));
    fflush(stdout);
    pthread_mutex_init(&fixture.lock, NULL);
    pthread_cond_init(&fixture.changed, NULL);
    if (pthread_create(&thread, NULL, run, server) != 0)
        return 1;
    while (getchar() != EOF)
        continue;
    dari_server_stop(server);
    pthread_join(thread, NULL);
    dari_server_destroy(server);
    return 0;
}

typedef struct manager {
    pid_t process;
    FILE *says;
    int input;
} manager;

/* Becomes the program with the descriptors at 3 and on. */
static void become(const int *descriptors, int count, int input, int output)
{
    char number[16], self[16];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < count; i++)
        if (fcntl(descriptors[i], F_DUPFD, 100 + i) != 100 + i)
            _exit(1);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    for (int i = 0; i < count; i++)
        dup2(100 + i, 3 + i);
    for (int i = 3 + count; i < 256; i++)
        close(i);
    snprintf(number, sizeof number, "%d", count);
    snprintf(self, sizeof self, "%d", getpid());
    set_environment(self, number);
    execl("/proc/self/exe", "descriptor", SERVE, (char *)NULL);
    _exit(CANNOT_EXEC);
}

/* Starts the program as a manager does; false where this machine cannot. */
static bool start(manager *started, const int *descriptors, int count, char line[160])
{
    int input[2], output[2], status;
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    started->process = fork();
    assert_true(started->process >= 0);
    if (started->process == 0)
        become(descriptors, count, input[0], output[1]);
    close(input[0]);
    close(output[1]);
    started->input = input[1];
    started->says = fdopen(output[0], "r");
    assert_non_null(started->says);
    if (fgets(line, 160, started->says))
        return true;
    close(started->input);
    fclose(started->says);
    assert_int_equal(waitpid(started->process, &status, 0), started->process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_EXEC);
    return false;
}

static void end(manager *started)
{
    int status;
    close(started->input);
    fclose(started->says);
    assert_int_equal(waitpid(started->process, &status, 0), started->process);
    assert_int_equal(status, 0);
}

static void a_server_started_with_its_sockets(void **state)
{
    (void)state;
    manager started;
    char name[64], line[160];
    size_t size = abstract_name(name, 3);
    int descriptors[2] = {listen_unix(name, size), listen_tcp4()};
    bool can = start(&started, descriptors, 2, line);
    if (can) {
        assert_string_equal(line, "2 sockets\n");
        for (int i = 0; i < 2; i++) {
            assert_non_null(fgets(line, sizeof line, started.says));
            line[strcspn(line, "\n")] = '\0';
            call_at(line);
        }
        end(&started);
    }
    close(descriptors[0]);
    close(descriptors[1]);
    if (!can) {
        print_message("# left out: no program can be started here\n");
        skip();
    }
}

static void a_server_started_with_another_socket_too(void **state)
{
    (void)state;
    manager started;
    char line[160];
    int descriptors[2] = {listen_tcp4(), socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    bool can = start(&started, descriptors, 2, line);
    if (can) {
        assert_string_equal(line, "-2 descriptor 4: listen: the socket has no address\n");
        end(&started);
    }
    close(descriptors[0]);
    close(descriptors[1]);
    if (!can)
        skip();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_tcp_socket),
        CASE(an_ipv6_socket),
        CASE(a_udp_socket),
        CASE(a_udp_socket_of_all_addresses),
        CASE(an_abstract_socket),
        CASE(a_path_stays_where_it_is),
        CASE(a_path_that_fills_its_room),
        CASE(what_is_no_listening_socket),
        CASE(a_name_that_no_address_can_tell),
        CASE(the_same_one_twice),
        CASE(one_that_cannot_be_registered_stays_the_callers),
        CASE(sockets_that_are_not_for_us),
        CASE(counts_that_are_none),
        CASE(a_server_started_with_its_sockets),
        CASE(a_server_started_with_another_socket_too),
    };
    if (argc == 2 && strcmp(argv[1], SERVE) == 0)
        return serve_inherited();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
