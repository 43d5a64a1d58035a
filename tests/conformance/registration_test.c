/* SPDX-License-Identifier: MIT */
/* Servers that register with an rpcbind, which is one of the tests' own. */
#include "conformance/fake_rpcbind.h"
#include "conformance/harness.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST "tcp://127.0.0.1"

/* Programs that have only procedure 0. */
#define PROGRAM 0x20000777u
#define INTERFACE(number, text)                                                      \
    {                                                                                \
        .generator = DARI_GENERATOR_NEWEST, .program = PROGRAM, .version = (number), \
        .name = (text)                                                               \
    }
static const dari_interface first = INTERFACE(1, "FIRST"), second = INTERFACE(2, "SECOND"),
                            third = INTERFACE(3, "THIRD");

static struct {
    fake_rpcbind rpcbind;
    dari_server_options options;
    dari_server *server;
    char owner[16]; /* as rpcbind names us */
    unsigned logged;
    char log[256];
} with;

static void take_log(void *user, int error, const char *text)
{
    (void)user;
    assert_true(error < 0);
    with.logged++;
    snprintf(with.log, sizeof with.log, "%s", text);
}

static void create(void)
{
    assert_int_equal(dari_server_create(&with.options, &with.server), 0);
    assert_int_equal(dari_server_add(with.server, &first, NULL, NULL), 0);
    assert_int_equal(dari_server_add(with.server, &second, NULL, NULL), 0);
}

static void begin(unsigned versions)
{
    memset(&with, 0, sizeof with);
    snprintf(with.owner, sizeof with.owner, geteuid() ? "%u" : "superuser", (unsigned)geteuid());
    fake_start(&with.rpcbind, versions);
    with.options = (dari_server_options){.rpcbind = with.rpcbind.address, .log = take_log};
    create();
}

static int set_up(void **state)
{
    (void)state;
    begin(FAKE_ALL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dari_server_destroy(with.server);
    fake_stop(&with.rpcbind);
    return 0;
}

static void destroy(void)
{
    dari_server_destroy(with.server);
    with.server = NULL;
}

static void listens(const char *address)
{
    if (dari_server_listen(with.server, address) < 0)
        fail_msg("%s", dari_server_message(with.server));
}

static void says(const char *words)
{
    assert_string_equal(dari_server_message(with.server), words);
}

/* The port of the server's address. */
static unsigned port(size_t index)
{
    return (unsigned)atoi(strrchr(dari_server_address(with.server, index), ':') + 1);
}

/* Checks that the program is registered so, or with a port of 0 that it is not. */
static void expect(uint32_t version, const char *netid, const char *host, unsigned at_port)
{
    char address[80];
    int at = fake_find(&with.rpcbind, PROGRAM, version, netid);
    if (at_port == 0) {
        assert_int_equal(at, -1);
        return;
    }
    assert_true(at >= 0);
    snprintf(address, sizeof address, "%s.%u.%u", host, at_port >> 8, at_port & 255);
    assert_string_equal(with.rpcbind.entries[at].address, address);
}

static void all_programs_are_registered(void **state)
{
    (void)state;
    listens(HOST);
    expect(1, "tcp", "127.0.0.1", port(0));
    expect(2, "tcp", "127.0.0.1", port(0));
    assert_string_equal(with.rpcbind.entries[0].owner, with.owner);
    assert_int_equal(with.rpcbind.count, 2);
    assert_int_equal(with.rpcbind.calls[4], 2);
    destroy();
    assert_int_equal(with.rpcbind.count, 0);
    assert_int_equal(with.logged, 0);
}

static void programs_that_come_later_are_too(void **state)
{
    (void)state;
    listens(HOST);
    assert_int_equal(dari_server_add(with.server, &third, NULL, NULL), 0);
    expect(3, "tcp", "127.0.0.1", port(0));
    destroy();
    assert_int_equal(with.rpcbind.count, 0);
}

static void an_address_without_programs_waits_for_them(void **state)
{
    (void)state;
    destroy();
    assert_int_equal(dari_server_create(&with.options, &with.server), 0);
    listens(HOST);
    assert_int_equal(with.rpcbind.calls[4], 0);
    assert_int_equal(dari_server_add(with.server, &first, NULL, NULL), 0);
    expect(1, "tcp", "127.0.0.1", port(0));
}

static void older_versions_do(void **state)
{
    (void)state;
    static const unsigned versions[] = {FAKE_V3, FAKE_V2, FAKE_V2 | FAKE_V3};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        tear_down(state);
        begin(versions[i]);
        listens("tcp://0.0.0.0");
        expect(1, "tcp", "0.0.0.0", port(0));
        expect(2, "tcp", "0.0.0.0", port(0));
        destroy();
        assert_int_equal(with.rpcbind.count, 0);
        assert_int_equal(with.logged, 0);
    }
}

static void every_kind_of_network(void **state)
{
    (void)state;
    if (!scheme_is_there(scheme_named("tcp6")))
        skip();
    listens(HOST);
    listens("tcp://[::1]");
    expect(1, "tcp", "127.0.0.1", port(0));
    expect(1, "tcp6", "::1", port(1));
    expect(2, "tcp6", "::1", port(1));
    destroy();
    assert_int_equal(with.rpcbind.count, 0);
}

static void datagrams_are_a_kind_of_their_own(void **state)
{
    static const unsigned versions[] = {FAKE_V4, FAKE_V2};
    for (size_t i = 0; i < 2; i++) {
        tear_down(state);
        begin(versions[i]);
        listens("tcp://0.0.0.0");
        listens("udp://0.0.0.0");
        expect(1, "tcp", "0.0.0.0", port(0));
        expect(1, "udp", "0.0.0.0", port(1));
        destroy();
        assert_int_equal(with.rpcbind.count, 0);
        assert_int_equal(with.logged, 0);
    }
}

static void a_datagram_servers_registration(void **state)
{
    (void)state;
    char address[32];
    test_fixture other = {.scheme = scheme_named("tcp4")};
    fixture_begin(&other);
    strcpy(other.address, "udp://127.0.0.1:0");
    fixture_listen(&other);
    assert_int_equal(dari_server_add(other.server, &second, NULL, NULL), 0);
    fixture_start(&other);
    unsigned its_port = (unsigned)atoi(strrchr(other.address, ':') + 1);
    snprintf(address, sizeof address, "127.0.0.1.%u.%u", its_port >> 8, its_port & 255);
    fake_add(&with.rpcbind, PROGRAM, 2, "udp", address, with.owner);
    assert_int_equal(dari_server_listen(with.server, "udp://127.0.0.1"), DARI_IN_USE);
    expect(2, "udp", "127.0.0.1", its_port);
    fixture_stop(&other);
    listens("udp://127.0.0.1");
    expect(2, "udp", "127.0.0.1", port(0));
    fixture_end(&other);
}

static void version_2_has_no_ipv6(void **state)
{
    if (!scheme_is_there(scheme_named("tcp6")))
        skip();
    tear_down(state);
    begin(FAKE_V2);
    assert_int_equal(dari_server_listen(with.server, "tcp://[::1]"), DARI_RPCBIND);
    says("tcp://[::1]: listen: rpcbind is too old for IPv6");
}

static void of_one_kind_the_first_is_registered(void **state)
{
    (void)state;
    listens(HOST);
    listens("tcp://127.0.0.2");
    expect(1, "tcp", "127.0.0.1", port(0));
    assert_int_equal(dari_server_add(with.server, &third, NULL, NULL), 0);
    expect(3, "tcp", "127.0.0.1", port(0));
    assert_int_equal(with.rpcbind.count, 3);
}

static void addresses_with_a_port_are_not_registered(void **state)
{
    (void)state;
    listens(HOST ":0");
    assert_int_equal(with.rpcbind.calls[4], 0);
}

static void unless_all_are_to_be(void **state)
{
    (void)state;
    char path[80];
    destroy();
    with.options.register_all = true;
    create();
    snprintf(path, sizeof path, "unix:@dari-registered-%d", getpid());
    listens(path);
    assert_int_equal(with.rpcbind.calls[4], 0);
    listens(HOST ":0");
    expect(1, "tcp", "127.0.0.1", port(1));
}

static void without_rpcbind_nothing_is_listened_at(void **state)
{
    (void)state;
    destroy();
    with.options.rpcbind = "unix:@dari-nobody-at-all";
    create();
    unsigned before = count_descriptors();
    assert_int_equal(dari_server_listen(with.server, HOST), DARI_REFUSED);
    says(HOST ": listen: rpcbind cannot be reached (Connection refused)");
    assert_null(dari_server_address(with.server, 0));
    assert_int_equal(count_descriptors(), before);
    listens(HOST ":0");
}

static void a_silent_rpcbind_is_not_waited_for(void **state)
{
    (void)state;
    destroy();
    with.options.rpcbind_ns = 30 * DARI_MS;
    create();
    fake_set_silent(&with.rpcbind, true);
    uint64_t before = di_now();
    assert_int_equal(dari_server_listen(with.server, HOST), DARI_DEADLINE);
    assert_in_range(di_now() - before, 30 * DARI_MS, 10 * DARI_S);
    says(HOST ": listen: rpcbind does not answer");
    assert_null(dari_server_address(with.server, 0));
    assert_int_equal(with.logged, 1);
    fake_set_silent(&with.rpcbind, false);
}

static void a_refusal(void **state)
{
    (void)state;
    char words[160];
    with.rpcbind.refuses_set = true;
    assert_int_equal(dari_server_listen(with.server, HOST), DARI_RPCBIND);
    snprintf(words, sizeof words,
             HOST ": listen: rpcbind does not let the program be registered: program %u, version 1",
             PROGRAM);
    says(words);
    with.rpcbind.error = DARI_AUTH;
    assert_int_equal(dari_server_listen(with.server, HOST), DARI_RPCBIND);
    says(HOST ": listen: rpcbind refuses to answer");
}

/* A port at which nobody listens: it is bound only. */
static int take_dead_port(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t size = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return descriptor;
}

static void put(uint32_t version, unsigned at_port, const char *owner)
{
    char address[80];
    snprintf(address, sizeof address, "0.0.0.0.%u.%u", at_port >> 8, at_port & 255);
    fake_add(&with.rpcbind, PROGRAM, version, "tcp", address, owner);
}

static void what_a_dead_server_left_is_replaced(void **state)
{
    static const unsigned versions[] = {FAKE_V4, FAKE_V3, FAKE_V2};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        unsigned dead;
        int descriptor = take_dead_port(&dead);
        tear_down(state);
        begin(versions[i]);
        put(2, dead, versions[i] == FAKE_V2 ? "unknown" : with.owner);
        listens("tcp://0.0.0.0");
        expect(2, "tcp", "0.0.0.0", port(0));
        close(descriptor);
    }
}

static void another_users_registration_is_left(void **state)
{
    (void)state;
    unsigned dead;
    char words[160];
    int descriptor = take_dead_port(&dead);
    put(2, dead, "4711");
    assert_int_equal(dari_server_listen(with.server, HOST), DARI_IN_USE);
    snprintf(words, sizeof words,
             HOST ": listen: another user has registered the program: program %u, version 2",
             PROGRAM);
    says(words);
    expect(2, "tcp", "0.0.0.0", dead);
    expect(1, "tcp", NULL, 0); /* was registered, and is taken back */
    assert_null(dari_server_address(with.server, 0));
    close(descriptor);
}

static void a_living_servers_registration_is_left(void **state)
{
    (void)state;
    static const unsigned versions[] = {FAKE_V4, FAKE_V2};
    char words[160];
    test_fixture other = {.scheme = scheme_named("tcp4")};
    fixture_begin(&other);
    fixture_listen(&other);
    assert_int_equal(dari_server_add(other.server, &third, NULL, NULL), 0);
    fixture_start(&other);
    unsigned its_port = (unsigned)atoi(strrchr(other.address, ':') + 1);
    for (size_t i = 0; i < 2; i++) {
        tear_down(state);
        begin(versions[i]);
        put(2, its_port, versions[i] == FAKE_V2 ? "unknown" : with.owner);
        assert_int_equal(dari_server_listen(with.server, "tcp://0.0.0.0"), DARI_IN_USE);
        snprintf(words, sizeof words,
                 "tcp://0.0.0.0: listen: another server has registered the program, and its port "
                 "is in use: program %u, version 2",
                 PROGRAM);
        says(words);
        expect(2, "tcp", "0.0.0.0", its_port);
        expect(1, "tcp", NULL, 0);
    }
    fixture_end(&other);
}

static void a_dead_servers_port_that_another_program_has(void **state)
{
    (void)state;
    test_fixture other = {.scheme = scheme_named("tcp4")};
    fixture_begin(&other);
    fixture_serve(&other);
    put(2, (unsigned)atoi(strrchr(other.address, ':') + 1), with.owner);
    listens(HOST);
    expect(2, "tcp", "127.0.0.1", port(0));
    fixture_end(&other);
}

static void what_has_changed_hands_is_left(void **state)
{
    (void)state;
    listens(HOST);
    int at = fake_find(&with.rpcbind, PROGRAM, 2, "tcp");
    strcpy(with.rpcbind.entries[at].address, "127.0.0.1.1.1");
    destroy();
    expect(1, "tcp", NULL, 0);
    expect(2, "tcp", "127.0.0.1", 257);
}

static void a_program_that_cannot_be_registered_is_not_added(void **state)
{
    (void)state;
    char words[160];
    listens(HOST);
    with.rpcbind.refuses_set = true;
    assert_int_equal(dari_server_add(with.server, &third, NULL, NULL), DARI_RPCBIND);
    snprintf(words, sizeof words,
             "THIRD: register: rpcbind does not let the program be registered: program %u, "
             "version 3",
             PROGRAM);
    says(words);
    with.rpcbind.refuses_set = false;
    assert_int_equal(dari_server_add(with.server, &third, NULL, NULL), 0);
    expect(3, "tcp", "127.0.0.1", port(0));
    assert_int_equal(dari_server_add(with.server, &third, NULL, NULL), DARI_IN_USE);
    expect(3, "tcp", "127.0.0.1", port(0));
}

static void a_child_takes_nothing_back(void **state)
{
    (void)state;
    listens(HOST);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dari_server_destroy(with.server);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect(1, "tcp", "127.0.0.1", port(0));
    destroy();
    assert_int_equal(with.rpcbind.count, 0);
}

static void rpcbind_is_gone_at_the_end(void **state)
{
    (void)state;
    listens(HOST);
    fake_stop(&with.rpcbind);
    destroy();
    assert_int_equal(with.logged, 1);
    assert_string_equal(with.log, "programs cannot be unregistered: rpcbind cannot be reached");
    fake_start(&with.rpcbind, FAKE_ALL);
}

static void rpcbind_refuses_at_the_end(void **state)
{
    (void)state;
    listens(HOST);
    unsigned at_port = port(0);
    with.rpcbind.error = DARI_AUTH;
    destroy();
    char words[160];
    snprintf(words, sizeof words,
             "program %u, version 1, at tcp 127.0.0.1.%u.%u cannot be unregistered: rpcbind "
             "refuses to answer",
             PROGRAM, at_port >> 8, at_port & 255);
    assert_int_equal(with.logged, 2);
    assert_string_equal(with.log, words);
}

static void *run(void *argument)
{
    assert_int_equal(dari_server_run(argument), 0);
    return NULL;
}

static void clients_find_it(void **state)
{
    (void)state;
    pthread_t thread;
    dari_client *client = NULL;
    dari_call call = {0};
    listens(HOST);
    assert_int_equal(pthread_create(&thread, NULL, run, with.server), 0);
    dari_client_options options = {.rpcbind = with.rpcbind.address, .call = &call};
    assert_int_equal(dari_connect(HOST, &options, &client), 0);
    assert_int_equal(dari_client_ping(client, PROGRAM, 2, &call), 0);
    dari_client_close(client);
    dari_call_end(&call);
    dari_server_stop(with.server);
    pthread_join(thread, NULL);
}

static void finishing_takes_them_back(void **state)
{
    (void)state;
    listens(HOST);
    dari_server_finish(with.server, DARI_S);
    assert_int_equal(dari_server_run(with.server), 0);
    assert_int_equal(with.rpcbind.count, 0);
    /* There is no address any more to register at. */
    assert_int_equal(dari_server_add(with.server, &third, NULL, NULL), 0);
    assert_int_equal(with.rpcbind.count, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_programs_are_registered),
        CASE(programs_that_come_later_are_too),
        CASE(an_address_without_programs_waits_for_them),
        CASE(older_versions_do),
        CASE(every_kind_of_network),
        CASE(datagrams_are_a_kind_of_their_own),
        CASE(a_datagram_servers_registration),
        CASE(version_2_has_no_ipv6),
        CASE(of_one_kind_the_first_is_registered),
        CASE(addresses_with_a_port_are_not_registered),
        CASE(unless_all_are_to_be),
        CASE(without_rpcbind_nothing_is_listened_at),
        CASE(a_silent_rpcbind_is_not_waited_for),
        CASE(a_refusal),
        CASE(what_a_dead_server_left_is_replaced),
        CASE(another_users_registration_is_left),
        CASE(a_living_servers_registration_is_left),
        CASE(a_dead_servers_port_that_another_program_has),
        CASE(what_has_changed_hands_is_left),
        CASE(a_program_that_cannot_be_registered_is_not_added),
        CASE(a_child_takes_nothing_back),
        CASE(rpcbind_is_gone_at_the_end),
        CASE(rpcbind_refuses_at_the_end),
        CASE(clients_find_it),
        CASE(finishing_takes_them_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
