/* SPDX-License-Identifier: MIT */
/* Clients of addresses without a port: they ask an rpcbind of the tests' own. */
#include "conformance/lookup.h"

#include "base/clock.h"
#include "loop/client.h"

#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result);

/* "both.test" has an IPv6 address, then an IPv4 one. */
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **result)
{
    if (hints->ai_flags & AI_NUMERICHOST || strcmp(host, "both.test") != 0)
        return __real_getaddrinfo(host, port, hints, result);
    struct addrinfo *second;
    int error = __real_getaddrinfo("::1", port, hints, result);
    if (error == 0)
        error = __real_getaddrinfo("127.0.0.1", port, hints, &second);
    if (error == 0)
        (*result)->ai_next = second;
    return error;
}

static void the_first_call_finds_the_port(void **state)
{
    (void)state;
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(with.rpcbind.calls[4], 0);
    dari_counters counters;
    assert_int_equal(dari_client_counters(with.client, &counters), 0);
    assert_int_equal(counters.bytes_out, 0);
    dari_counters_end(&counters);
    assert_int_equal(try_add(), 0);
    assert_int_equal(try_add(), 0);
    says(HOST ": ADD: done");
    assert_int_equal(with.rpcbind.calls[4], 1);
}

static void a_ping_finds_it_too(void **state)
{
    (void)state;
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(dari_client_ping(with.client, with.program, with.version, &with.call), 0);
}

static void with_an_interface_it_is_found_at_once(void **state)
{
    (void)state;
    assert_int_equal(try_connect(HOST, &echo_1_interface), 0);
    assert_int_equal(with.rpcbind.calls[4], 1);
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 1);
}

static void an_interface_says_nothing_where_a_port_is_given(void **state)
{
    (void)state;
    assert_int_equal(try_connect(with.server.address, &echo_1_interface), 0);
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 0);
}

static void older_versions_are_asked_in_turn(void **state)
{
    (void)state;
    static const unsigned versions[] = {FAKE_V4, FAKE_V3, FAKE_V2, FAKE_V2 | FAKE_V3};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        fake_stop(&with.rpcbind);
        fake_start(&with.rpcbind, versions[i]);
        fake_add(&with.rpcbind, with.program, with.version, "tcp", universal("0.0.0.0"), "1");
        assert_int_equal(try_connect(HOST, NULL), 0);
        assert_int_equal(try_add(), 0);
        assert_int_equal(with.rpcbind.calls[4], versions[i] & FAKE_V4 ? 1 : 0);
        assert_int_equal(with.rpcbind.calls[3], versions[i] & FAKE_V3 ? 1 : 0);
        assert_int_equal(with.rpcbind.calls[2], versions[i] == FAKE_V2 ? 1 : 0);
        close_client();
    }
}

static void a_program_that_is_not_registered(void **state)
{
    (void)state;
    static const unsigned versions[] = {FAKE_V4, FAKE_V2};
    char words[160];
    for (size_t i = 0; i < 2; i++) {
        fake_stop(&with.rpcbind);
        fake_start(&with.rpcbind, versions[i]);
        assert_int_equal(try_connect(HOST, NULL), 0);
        assert_int_equal(try_add(), DARI_NOT_REGISTERED);
        assert_int_equal(with.call.fault.found, with.program);
        assert_int_equal(with.call.fault.allowed, with.version);
        assert_false(with.call.may_have_run);
        snprintf(words, sizeof words, HOST ": ADD: rpcbind does not know program %u, version %u",
                 with.program, with.version);
        says(words);
        /* The next call asks again. */
        fake_add(&with.rpcbind, with.program, with.version, "tcp", universal("127.0.0.1"), "1");
        assert_int_equal(try_add(), 0);
        close_client();
    }
    fake_stop(&with.rpcbind);
    fake_start(&with.rpcbind, FAKE_ALL);
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_NOT_REGISTERED);
    assert_null(with.client);
    snprintf(words, sizeof words, HOST ": connect: rpcbind does not know program %u, version %u",
             with.program, with.version);
    says(words);
}

static void rpcbind_is_not_there(void **state)
{
    (void)state;
    dari_client_options options = {.rpcbind = "unix:@dari-nobody-at-all"};
    assert_int_equal(dari_connect(HOST, &options, &with.client), 0);
    assert_int_equal(try_add(), DARI_REFUSED);
    says(HOST ": ADD: rpcbind cannot be reached (Connection refused)");
    assert_false(with.call.may_have_run);
}

static void rpcbind_does_not_answer(void **state)
{
    (void)state;
    fake_set_silent(&with.rpcbind, true);
    assert_int_equal(try_connect(HOST, NULL), 0);
    with.call.deadline_ns = 30 * DARI_MS;
    uint64_t before = di_now();
    assert_int_equal(try_add(), DARI_DEADLINE);
    assert_in_range(di_now() - before, 30 * DARI_MS, 10 * DARI_S);
    says(HOST ": ADD: deadline of 30 ms passed (rpcbind does not answer)");
    assert_false(with.call.may_have_run);
    fake_set_silent(&with.rpcbind, false);
    with.call.deadline_ns = 0;
    assert_int_equal(try_add(), 0);
}

static void answers_that_are_of_no_use(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "127.0.0.1.0.0", "127.0.0.1.1",    "127.0.0.1.256.1", "::1.1.1",
        "/run/socket",   "127.0.0.1.1.1 ", "nonsense",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        with.rpcbind.answer = answers[i];
        assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
        says(HOST ": connect: rpcbind answers with an address that is of no use");
    }
}

static void an_answer_of_255_and_256_bytes(void **state)
{
    (void)state;
    char answer[257];
    memset(answer, '1', sizeof answer);
    answer[255] = '\0';
    with.rpcbind.answer = answer;
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    says(HOST ": connect: rpcbind answers with an address that is of no use");
    answer[255] = '1';
    answer[256] = '\0';
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    says(HOST ": connect: the answer of rpcbind cannot be read");
}

static void a_port_that_is_too_large(void **state)
{
    (void)state;
    fake_stop(&with.rpcbind);
    fake_start(&with.rpcbind, FAKE_V2);
    with.rpcbind.answer = "65536";
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    says(HOST ": connect: the answer of rpcbind cannot be read");
}

static void rpcbind_refuses_every_version(void **state)
{
    (void)state;
    static const int errors[] = {DARI_AUTH, DARI_PROGRAM_UNAVAILABLE, DARI_PROCEDURE_UNAVAILABLE,
                                 DARI_GARBAGE_ARGUMENTS, DARI_SYSTEM_ERROR};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        with.rpcbind.error = errors[i];
        assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
        says(HOST ": connect: rpcbind refuses to answer");
        assert_int_equal(with.rpcbind.calls[4], i + 1);
        assert_int_equal(with.rpcbind.calls[3], i + 1);
        assert_int_equal(with.rpcbind.calls[2], i + 1);
    }
}

static void a_server_that_is_gone(void **state)
{
    (void)state;
    fixture_stop(&with.server);
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(try_add(), DARI_REFUSED);
    says(HOST ": ADD: nobody listens there (Connection refused)");
}

static void answer_with(const char *answer)
{
    pthread_mutex_lock(&with.rpcbind.lock);
    with.rpcbind.answer = answer;
    pthread_mutex_unlock(&with.rpcbind.lock);
}

/* Where the connection is lost, the server may have another port when it is back. */
static void a_server_that_comes_back_elsewhere(void **state)
{
    (void)state;
    test_fixture next = {.scheme = scheme_named("tcp4")};
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(try_add(), 0);
    fixture_begin(&next);
    fixture_serve(&next);
    fixture_stop(&with.server);
    strcpy(with.server.address, next.address);
    answer_with(universal("127.0.0.1"));
    with.client->reconnect.used = 0;
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 2);
    fixture_end(&next);
    answer_with("");
    with.client->reconnect.used = 0;
    with.call.deadline_ns = 30 * DARI_MS;
    assert_int_equal(try_add(), DARI_DEADLINE);
    assert_int_equal(with.call.fault.error, DARI_NOT_REGISTERED);
    says(HOST ": ADD: deadline of 30 ms passed, not connected: rpcbind does not know the program");
    assert_false(with.call.may_have_run);
}

/* Rpcbind is believed about the port alone. */
static void the_host_is_the_one_in_the_address(void **state)
{
    (void)state;
    with.rpcbind.answer = universal("192.0.2.1");
    assert_int_equal(try_connect(HOST, NULL), 0);
    with.call.deadline_ns = 10 * DARI_S;
    assert_int_equal(try_add(), 0);
}

/* Over UDP nobody tells that a server is gone which rpcbind still knows: it is asked itself. */
static void a_dead_server_is_registered_at_one_address(void **state)
{
    (void)state;
    char dead[80];
    test_fixture server = {.scheme = scheme_named("udp4")}, gone = {.scheme = scheme_named("udp6")};
    if (!scheme_is_there(gone.scheme))
        skip();
    fixture_begin(&gone);
    fixture_serve(&gone);
    unsigned port = (unsigned)atoi(strrchr(gone.address, ':') + 1);
    snprintf(dead, sizeof dead, "::1.%u.%u", port >> 8, port & 255);
    fixture_stop(&gone);
    fixture_begin(&server);
    fixture_serve(&server);
    strcpy(with.server.address, server.address);
    fake_add(&with.rpcbind, with.program, with.version, "udp6", dead, "1");
    fake_add(&with.rpcbind, with.program, with.version, "udp", universal("127.0.0.1"), "1");
    assert_int_equal(try_connect("udp://both.test", NULL), 0);
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 2);
    close_client();
    fixture_end(&server);
    fixture_end(&gone);
}

static void each_address_of_a_name_is_asked(void **state)
{
    (void)state;
    if (!scheme_is_there(scheme_named("tcp6")))
        skip();
    assert_int_equal(try_connect("tcp://both.test", NULL), 0);
    assert_int_equal(try_add(), 0);
    assert_int_equal(with.rpcbind.calls[4], 2);
    close_client();
    /* What was furthest is told: the server that is gone, not what is unknown elsewhere. */
    fixture_stop(&with.server);
    assert_int_equal(try_connect("tcp://both.test", &echo_1_interface), DARI_REFUSED);
    says("tcp://both.test: connect: nobody listens there (Connection refused)");
}

static void version_2_has_no_ipv6(void **state)
{
    (void)state;
    if (!scheme_is_there(scheme_named("tcp6")))
        skip();
    fake_stop(&with.rpcbind);
    fake_start(&with.rpcbind, FAKE_V2);
    assert_int_equal(try_connect("tcp://[::1]", &echo_1_interface), DARI_RPCBIND);
    says("tcp://[::1]: connect: rpcbind is too old for IPv6");
}

static void datagrams_are_looked_up_too(void **state)
{
    (void)state;
    static const unsigned versions[] = {FAKE_V4, FAKE_V2};
    fixture_stop(&with.server);
    strcpy(with.server.address, "udp://127.0.0.1:0");
    fixture_serve(&with.server);
    for (size_t i = 0; i < 2; i++) {
        fake_stop(&with.rpcbind);
        fake_start(&with.rpcbind, versions[i]);
        fake_add(&with.rpcbind, with.program, with.version, "udp", universal("0.0.0.0"), "1");
        assert_int_equal(try_connect("udp://127.0.0.1", NULL), 0);
        assert_int_equal(try_add(), 0);
        close_client();
        assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_NOT_REGISTERED);
    }
}

static void a_client_that_never_calls_is_closed(void **state)
{
    (void)state;
    unsigned before = count_descriptors();
    assert_int_equal(try_connect(HOST, NULL), 0);
    assert_int_equal(count_descriptors(), before);
}

static void nothing_is_left_after_failures(void **state)
{
    (void)state;
    with.rpcbind.answer = "nonsense";
    assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    unsigned before = count_descriptors();
    for (int i = 0; i < 4; i++)
        assert_int_equal(try_connect(HOST, &echo_1_interface), DARI_RPCBIND);
    /* The fake's end of the last connections may not be closed yet. */
    assert_in_range(count_descriptors(), 0, before + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOKUP_CASE(the_first_call_finds_the_port),
        LOOKUP_CASE(a_ping_finds_it_too),
        LOOKUP_CASE(with_an_interface_it_is_found_at_once),
        LOOKUP_CASE(an_interface_says_nothing_where_a_port_is_given),
        LOOKUP_CASE(older_versions_are_asked_in_turn),
        LOOKUP_CASE(a_program_that_is_not_registered),
        LOOKUP_CASE(rpcbind_is_not_there),
        LOOKUP_CASE(rpcbind_does_not_answer),
        LOOKUP_CASE(answers_that_are_of_no_use),
        LOOKUP_CASE(an_answer_of_255_and_256_bytes),
        LOOKUP_CASE(a_port_that_is_too_large),
        LOOKUP_CASE(rpcbind_refuses_every_version),
        LOOKUP_CASE(a_server_that_is_gone),
        LOOKUP_CASE(a_server_that_comes_back_elsewhere),
        LOOKUP_CASE(the_host_is_the_one_in_the_address),
        LOOKUP_CASE(a_dead_server_is_registered_at_one_address),
        LOOKUP_CASE(each_address_of_a_name_is_asked),
        LOOKUP_CASE(version_2_has_no_ipv6),
        LOOKUP_CASE(datagrams_are_looked_up_too),
        LOOKUP_CASE(a_client_that_never_calls_is_closed),
        LOOKUP_CASE(nothing_is_left_after_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
