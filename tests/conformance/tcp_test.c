/* SPDX-License-Identifier: MIT */
/* What is particular to tcp:// -- hosts and ports, names with several addresses, and addresses of
 * no scheme that there is. Names are looked up by a stand-in for the C library's resolver. */
#include "conformance/harness.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The stand-in: "several.test" has two addresses, the first of which nobody listens at; lookups of
 * "slow.test" wait until they are released, as those of a resolver that does not answer, and so do
 * those of "once.test" after the first one. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool released;
static unsigned slow_lookups, ended_lookups;
static atomic_bool looked_up_once;

/* The linker puts __wrap_getaddrinfo in the place of getaddrinfo: --wrap. */
int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    if (hints->ai_flags & AI_NUMERICHOST)
        return __real_getaddrinfo(host, port, hints, result);
    if (strcmp(host, "several.test") == 0) {
        struct addrinfo *second;
        int error = __real_getaddrinfo("127.0.0.77", port, hints, result);
        if (error == 0)
            error = __real_getaddrinfo("127.0.0.1", port, hints, &second);
        if (error == 0)
            (*result)->ai_next = second;
        return error;
    }
    if (strcmp(host, "once.test") == 0 && !atomic_exchange(&looked_up_once, true))
        return __real_getaddrinfo("127.0.0.1", port, hints, result);
    if (strcmp(host, "slow.test") == 0 || strcmp(host, "once.test") == 0) {
        pthread_mutex_lock(&lock);
        slow_lookups++;
        pthread_cond_broadcast(&changed);
        while (!released)
            pthread_cond_wait(&changed, &lock);
        ended_lookups++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        return EAI_NONAME;
    }
    if (strcmp(host, "again.test") == 0)
        return EAI_AGAIN;
    if (strcmp(host, "broken.test") == 0) {
        errno = EIO;
        return EAI_SYSTEM;
    }
    return strcmp(host, "localhost") == 0 ? __real_getaddrinfo("127.0.0.1", port, hints, result)
                                          : EAI_NONAME;
}

static int connect_words(const char *address, const char *words)
{
    dari_client *client = NULL;
    dari_call call = {0};
    int error = dari_connect(address, &(dari_client_options){.call = &call}, &client);
    if (words && !strstr(dari_call_message(&call), words))
        fail_msg("\"%s\" does not say \"%s\"", dari_call_message(&call), words);
    dari_client_close(client);
    dari_call_end(&call);
    return error;
}

static void addresses_that_cannot_be_read(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        int error;
        const char *words;
    } cases[] = {
        {"tcp://localhost:", DARI_ADDRESS, "the port is missing"},
        {"tcp://[::1]x:1", DARI_ADDRESS, "the port is missing"},
        {"tcp://[::1]:", DARI_ADDRESS, "the port is missing"},
        {"tcp://[::1:1", DARI_ADDRESS, "the bracket is not closed"},
        {"tcp://::1:1", DARI_ADDRESS, "an IPv6 address belongs in brackets"},
        {"tcp://:1", DARI_ADDRESS, "the host is missing"},
        {"tcp://[]:1", DARI_ADDRESS, "the host is missing"},
        {"tcp://", DARI_ADDRESS, "the host is missing"},
        {"tcp://[]", DARI_ADDRESS, "the host is missing"},
        {"tcp://[::1", DARI_ADDRESS, "the bracket is not closed"},
        {"tcp://fe80::1", DARI_ADDRESS, "an IPv6 address belongs in brackets"},
        {"tcp://localhost:http", DARI_ADDRESS, "the port is no number"},
        {"tcp://localhost:-1", DARI_ADDRESS, "the port is no number"},
        {"tcp://localhost:1 ", DARI_ADDRESS, "the port is no number"},
        {"tcp://localhost:65536", DARI_ADDRESS, "the port is too large (65536, at most 65535)"},
        {"tcp://localhost:99999999999999999999", DARI_ADDRESS, "the port is too large"},
        {"tcp://unknown.test:1", DARI_ADDRESS, "no host has that name"},
        {"tcp://again.test:1", DARI_ADDRESS, "the name cannot be looked up now"},
        {"tcp://broken.test:1", DARI_ERRNO, "Input/output error"},
        {"nothing:there", DARI_SCHEME, NULL},
        {"tcp:/localhost:1", DARI_SCHEME, NULL},
        {"/tmp/socket", DARI_ADDRESS, NULL},
        {"", DARI_ADDRESS, NULL},
        {":", DARI_ADDRESS, NULL},
    };
    dari_server *server;
    assert_int_equal(dari_server_create(NULL, &server), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(connect_words(cases[i].address, cases[i].words), cases[i].error);
        assert_int_equal(dari_server_listen(server, cases[i].address), cases[i].error);
        if (cases[i].words)
            assert_non_null(strstr(dari_server_message(server), cases[i].words));
    }
    assert_null(dari_server_address(server, 0));
    dari_server_destroy(server);
}

static void a_host_name_of_255_and_256_bytes(void **state)
{
    (void)state;
    char address[300] = "tcp://";
    memset(address + 6, 'h', 256);
    strcpy(address + 6 + 255, ":1");
    assert_int_equal(connect_words(address, "no host has that name"), DARI_ADDRESS);
    memset(address + 6, 'h', 256);
    strcpy(address + 6 + 256, ":1");
    assert_int_equal(connect_words(address, "the host name is too long (256, at most 255)"),
                     DARI_ADDRESS);
}

static void the_addresses_of_a_name_are_tried_in_order(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("tcp4")};
    char address[64];
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    snprintf(address, sizeof address, "tcp://several.test%s", strrchr(fixture.address, ':'));
    dari_client *client = NULL;
    int32_t sum = 0;
    assert_int_equal(dari_connect(address, NULL, &client), 0);
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 3);
    dari_client_close(client);
    fixture_stop(&fixture);
    assert_int_equal(connect_words(address, "nobody listens there"), DARI_REFUSED);
    fixture_end(&fixture);
}

/* Binds both to the same port. Returns whether it was free at the second address, too. */
static bool bind_both(int one, struct sockaddr_in *first, int other, struct sockaddr_in *second)
{
    socklen_t size = sizeof *first;
    first->sin_port = 0;
    assert_int_equal(bind(one, (struct sockaddr *)first, size), 0);
    assert_int_equal(getsockname(one, (struct sockaddr *)first, &size), 0);
    second->sin_port = first->sin_port;
    return bind(other, (struct sockaddr *)second, size) == 0;
}

static void a_silent_address_leaves_time_for_the_next(void **state)
{
    (void)state;
    /* The first address has a listener whose queue is full, so that connecting to it hangs. */
    struct sockaddr_in first = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("127.0.0.77")};
    struct sockaddr_in second = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int full = socket(AF_INET, SOCK_STREAM, 0), open = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; !bind_both(full, &first, open, &second); i++) {
        assert_true(i < 100);
        close(full);
        full = socket(AF_INET, SOCK_STREAM, 0);
    }
    assert_int_equal(listen(full, 0), 0);
    assert_int_equal(listen(open, 4), 0);
    char address[64];
    dari_client *fillers[4] = {NULL};
    snprintf(address, sizeof address, "tcp://127.0.0.77:%u", ntohs(first.sin_port));
    int filled = 0;
    for (int i = 0; i < 4 && filled == 0; i++)
        filled =
            dari_connect(address, &(dari_client_options){.deadline_ns = 30 * DARI_MS}, &fillers[i]);
    assert_int_equal(filled, DARI_DEADLINE);
    dari_client *client = NULL;
    uint64_t before = di_now();
    snprintf(address, sizeof address, "tcp://several.test:%u", ntohs(first.sin_port));
    assert_int_equal(
        dari_connect(address, &(dari_client_options){.deadline_ns = 400 * DARI_MS}, &client), 0);
    assert_in_range(di_now() - before, 200 * DARI_MS, 10 * DARI_S);
    dari_client_close(client);
    for (int i = 0; i < 4; i++)
        dari_client_close(fillers[i]);
    close(full);
    close(open);
}

/* Abandoned lookups end by themselves, and give their memory back. */
static void release_lookups(void)
{
    pthread_mutex_lock(&lock);
    released = true;
    pthread_cond_broadcast(&changed);
    while (ended_lookups < slow_lookups)
        pthread_cond_wait(&changed, &lock);
    released = false;
    pthread_mutex_unlock(&lock);
}

static void a_deadline_covers_the_lookup(void **state)
{
    (void)state;
    dari_client *client = NULL;
    dari_call call = DARI_CALL(.deadline_ns = 20 * DARI_MS);
    uint64_t before = di_now();
    assert_int_equal(
        dari_connect("tcp://slow.test:1", &(dari_client_options){.call = &call}, &client),
        DARI_DEADLINE);
    assert_in_range(di_now() - before, 20 * DARI_MS, 10 * DARI_S);
    assert_string_equal(dari_call_message(&call),
                        "tcp://slow.test:1: connect: deadline of 20 ms passed");
    dari_call_end(&call);
    release_lookups();
}

static void count_end(void *user, dari_call *call)
{
    int *errors = user;
    errors[call->error == DARI_DEADLINE]++;
}

/* Connecting again, a name is looked up without end: nobody is blocked, and the client can go. */
static void a_lookup_blocks_no_loop(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("tcp4")};
    char address[64];
    dari_client *client = NULL;
    dari_call call = DARI_CALL(.deadline_ns = 40 * DARI_MS);
    int errors[2] = {0, 0};
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    snprintf(address, sizeof address, "tcp://once.test%s", strrchr(fixture.address, ':'));
    assert_int_equal(dari_connect(address, NULL, &client), 0);
    int descriptor = dari_client_descriptor(client);
    fixture_stop(&fixture);
    struct pollfd one = {.fd = descriptor, .events = POLLIN};
    assert_int_equal(poll(&one, 1, 10000), 1);
    assert_int_equal(dari_client_dispatch(client), 0);
    assert_int_equal(nothing_1_start(client, &call, count_end, errors), 0);
    assert_int_equal(dari_client_wait(client, 10 * DARI_S), 0);
    assert_int_equal(errors[1], 1);
    assert_false(call.may_have_run);
    assert_int_equal(nothing_1_start(client, &call, count_end, errors), 0);
    pthread_mutex_lock(&lock);
    while (slow_lookups == ended_lookups)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    dari_client_close(client);
    assert_int_equal(errors[0], 1);
    assert_int_equal(call.error, DARI_CLOSED);
    release_lookups();
    dari_call_end(&call);
    fixture_end(&fixture);
}

static void a_name_can_be_listened_at(void **state)
{
    (void)state;
    dari_server *server;
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(dari_server_listen(server, "tcp://localhost:0"), 0);
    const char *address = dari_server_address(server, 0);
    assert_memory_equal(address, "tcp://localhost:", 16);
    assert_true(atoi(address + 16) > 0);
    assert_int_equal(connect_words(address, NULL), 0);
    dari_server_destroy(server);
}

static void an_address_of_another_machine(void **state)
{
    (void)state;
    dari_server *server;
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(dari_server_listen(server, "tcp://192.0.2.1:0"), DARI_ADDRESS);
    assert_non_null(strstr(dari_server_message(server), "Cannot assign requested address"));
    dari_server_destroy(server);
}

static void messages_are_not_delayed(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("tcp4")};
    fixture_begin(&fixture);
    di_listener *listener = raw_listen(&fixture);
    di_connection *sides[2] = {raw_connect(&fixture), raw_accept(listener)};
    for (int i = 0; i < 2; i++) {
        int value = 0;
        socklen_t size = sizeof value;
        assert_int_equal(
            getsockopt(di_connection_descriptor(sides[i]), IPPROTO_TCP, TCP_NODELAY, &value, &size),
            0);
        assert_true(value);
        raw_close(sides[i]);
    }
    listener->ops->close(listener);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_cannot_be_read),
        cmocka_unit_test(a_host_name_of_255_and_256_bytes),
        cmocka_unit_test(the_addresses_of_a_name_are_tried_in_order),
        cmocka_unit_test(a_silent_address_leaves_time_for_the_next),
        cmocka_unit_test(a_deadline_covers_the_lookup),
        cmocka_unit_test(a_lookup_blocks_no_loop),
        cmocka_unit_test(a_name_can_be_listened_at),
        cmocka_unit_test(an_address_of_another_machine),
        cmocka_unit_test(messages_are_not_delayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
