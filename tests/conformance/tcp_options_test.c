/* SPDX-License-Identifier: MIT */
/* What a client asks of its TCP socket, and a server of those that it accepts, read back from the
 * system; and ports below 1024, of which a stand-in for bind says whether they are free. */
#include "conformance/harness.h"

#include "loop/client.h"
#include "loop/server.h"
#include "transport/tcp_options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS (DI_RESERVED_PORT_HIGHEST - DI_RESERVED_PORT_LOWEST + 1)

/* The stand-in for bind counts reserved ports, and refuses as many as it is told. */
static struct {
    unsigned refuse;
    int cause;
    unsigned tried;
    unsigned tries[1024];
    unsigned instead; /* the port of the loopback that is taken for a reserved one */
} ports;

int __real_bind(int descriptor, const struct sockaddr *address, socklen_t size);
int __wrap_bind(int descriptor, const struct sockaddr *address, socklen_t size);

int __wrap_bind(int descriptor, const struct sockaddr *address, socklen_t size)
{
    unsigned port = 0;
    if (address->sa_family == AF_INET)
        port = ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
    else if (address->sa_family == AF_INET6)
        port = ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
    if (port > 0 && port < 1024 && ports.instead) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        own.sin_port = htons((in_port_t)ports.instead);
        return __real_bind(descriptor, (struct sockaddr *)&own, sizeof own);
    }
    if (port == 0 || port > 1023 || ports.cause == 0)
        return __real_bind(descriptor, address, size);
    ports.tries[port]++;
    if (ports.tried++ < ports.refuse) {
        errno = ports.cause;
        return -1;
    }
    return 0;
}

static int set_up_scheme(void **state, const test_scheme *scheme)
{
    static test_fixture fixture;
    fixture = (test_fixture){.scheme = scheme};
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    memset(&ports, 0, sizeof ports);
    *state = &fixture;
    return 0;
}

static int set_up(void **state)
{
    return set_up_scheme(state, scheme_named("tcp4"));
}

static int set_up_udp(void **state)
{
    return set_up_scheme(state, scheme_named("udp4"));
}

static int tear_down(void **state)
{
    fixture_end(*state);
    return 0;
}

static int option_of(const di_channel *channel, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(
        getsockopt(di_connection_descriptor(channel->connection), level, name, &value, &size), 0);
    return value;
}

static int option(const dari_client *client, int level, int name)
{
    return option_of(&client->channel, level, name);
}

static unsigned local_port(const dari_client *client)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    assert_int_equal(getsockname(di_connection_descriptor(client->channel.connection),
                                 (struct sockaddr *)&address, &size),
                     0);
    return ntohs(address.sin_port);
}

static dari_client *connect_with(test_fixture *fixture, dari_tcp_options tcp)
{
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.tcp = tcp});
    int32_t sum = 0;
    assert_int_equal(add_1(client, &(pair){1, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 3);
    return client;
}

static void the_defaults(void **state)
{
    dari_client *client = fixture_connect(*state, NULL);
    assert_true(option(client, IPPROTO_TCP, TCP_NODELAY));
    assert_true(option(client, SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(option(client, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_KEEPCNT), DI_KEEPALIVE_PROBES);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    assert_true(local_port(client) > 1023);
    dari_client_close(client);
}

static void every_option(void **state)
{
    dari_client *client =
        connect_with(*state, (dari_tcp_options){.delay = true,
                                                .keepalive_ns = 9 * DARI_S + 1,
                                                .user_timeout_ns = 1500 * DARI_MS + 1});
    assert_false(option(client, IPPROTO_TCP, TCP_NODELAY));
    assert_true(option(client, SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(option(client, IPPROTO_TCP, TCP_KEEPIDLE), 10);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_KEEPINTVL), 3);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_USER_TIMEOUT), 1501);
    dari_client_close(client);
}

static void the_least_and_the_most(void **state)
{
    dari_client *client =
        connect_with(*state, (dari_tcp_options){.keepalive_ns = 1, .user_timeout_ns = 1});
    assert_int_equal(option(client, IPPROTO_TCP, TCP_KEEPIDLE), 1);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_KEEPINTVL), 1);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_USER_TIMEOUT), 1);
    dari_client_close(client);
    client = connect_with(
        *state, (dari_tcp_options){.keepalive_ns = UINT64_MAX - 1, .user_timeout_ns = UINT64_MAX});
    assert_int_equal(option(client, IPPROTO_TCP, TCP_KEEPIDLE), DI_KEEPALIVE_MAX_S);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_USER_TIMEOUT), DI_USER_TIMEOUT_MAX_MS);
    dari_client_close(client);
}

static void no_keepalive(void **state)
{
    dari_client *client = connect_with(*state, (dari_tcp_options){.keepalive_ns = UINT64_MAX});
    assert_false(option(client, SOL_SOCKET, SO_KEEPALIVE));
    dari_client_close(client);
}

/* Has the fixture's server accept one connection, of this peer. */
static di_connection *accept_one(test_fixture *fixture)
{
    fixture_listen(fixture);
    di_connection *peer = raw_connect(fixture);
    while (!fixture->server->sessions) {
        struct pollfd one = {.fd = dari_server_descriptor(fixture->server), .events = POLLIN};
        assert_int_equal(poll(&one, 1, 10000), 1);
        assert_true(dari_server_dispatch(fixture->server) >= 0);
    }
    return peer;
}

static void check_keepalive(const test_scheme *scheme, uint64_t keepalive_ns, int idle,
                            int interval)
{
    test_fixture fixture = {.scheme = scheme};
    fixture_begin(&fixture);
    fixture.options.tcp_keepalive_ns = keepalive_ns;
    di_connection *peer = accept_one(&fixture);
    const di_channel *channel = &fixture.server->sessions->channel;
    assert_int_equal(option_of(channel, SOL_SOCKET, SO_KEEPALIVE), idle > 0);
    if (idle > 0) {
        assert_int_equal(option_of(channel, IPPROTO_TCP, TCP_KEEPIDLE), idle);
        assert_int_equal(option_of(channel, IPPROTO_TCP, TCP_KEEPINTVL), interval);
        assert_int_equal(option_of(channel, IPPROTO_TCP, TCP_KEEPCNT), DI_KEEPALIVE_PROBES);
    }
    raw_close(peer);
    fixture_end(&fixture);
}

static void keepalive_of_servers(void **state)
{
    (void)state;
    static const char *const names[] = {"tcp4", "tcp6"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const test_scheme *scheme = scheme_named(names[i]);
        if (!scheme_is_there(scheme))
            continue;
        check_keepalive(scheme, 0, 60, 15);
        check_keepalive(scheme, 9 * DARI_S + 1, 10, 3);
        check_keepalive(scheme, 1, 1, 1);
        check_keepalive(scheme, UINT64_MAX - 1, (int)DI_KEEPALIVE_MAX_S,
                        (int)(DI_KEEPALIVE_MAX_S / DI_KEEPALIVE_PROBES + 1));
        check_keepalive(scheme, UINT64_MAX, 0, 0);
    }
    check_keepalive(scheme_named("unix_abstract"), 1, 0, 0);
}

/* Such a socket is as its maker has set it up. */
static void keepalive_of_a_socket_handed_in(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("tcp4")};
    fixture_begin(&fixture);
    di_listener *listener = raw_listen(&fixture);
    int copy = dup(listener->descriptor);
    assert_int_equal(dari_server_create(NULL, &fixture.server), 0);
    assert_int_equal(dari_server_listen_descriptor(fixture.server, copy), 0);
    di_connection *peer = raw_connect(&fixture);
    di_connection *accepted = raw_accept(listener);
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(
        getsockopt(di_connection_descriptor(accepted), SOL_SOCKET, SO_KEEPALIVE, &value, &size), 0);
    assert_int_equal(value, 0);
    raw_close(accepted);
    raw_close(peer);
    listener->ops->close(listener);
    fixture_end(&fixture);
}

/* Whether this process may have a reserved port; otherwise the error is seen to. */
static void a_reserved_port(void **state)
{
    test_fixture *fixture = *state;
    dari_call call = {0};
    dari_client *client = NULL;
    int error =
        dari_connect(fixture->address,
                     &(dari_client_options){.tcp.reserved_port = true, .call = &call}, &client);
    if (error == 0)
        assert_in_range(local_port(client), DI_RESERVED_PORT_LOWEST, DI_RESERVED_PORT_HIGHEST);
    else
        assert_int_equal(error, DARI_PERMISSION);
    dari_client_close(client);
    dari_call_end(&call);
}

static int connect_reserved(test_fixture *fixture, const char *words)
{
    dari_call call = {0};
    dari_client *client = NULL;
    int error =
        dari_connect(fixture->address,
                     &(dari_client_options){.tcp.reserved_port = true, .call = &call}, &client);
    if (words && !strstr(dari_call_message(&call), words))
        fail_msg("\"%s\" does not say \"%s\"", dari_call_message(&call), words);
    dari_client_close(client);
    dari_call_end(&call);
    return error;
}

static void a_process_that_may_not_have_one(void **state)
{
    ports.cause = EACCES;
    ports.refuse = 1;
    assert_int_equal(connect_reserved(*state, "this process may not use a reserved port "
                                              "(Permission denied)"),
                     DARI_PERMISSION);
    assert_int_equal(ports.tried, 1);
}

static void each_port_is_tried_once(void **state)
{
    ports.cause = EADDRINUSE;
    ports.refuse = PORTS;
    assert_int_equal(connect_reserved(*state, "all reserved ports, 512 to 1023, are taken"),
                     DARI_IN_USE);
    assert_int_equal(ports.tried, PORTS);
    for (unsigned port = 0; port < 1024; port++)
        assert_int_equal(ports.tries[port], port >= DI_RESERVED_PORT_LOWEST);
}

static void the_last_free_port_is_found(void **state)
{
    ports.cause = EADDRINUSE;
    ports.refuse = PORTS - 1;
    assert_int_equal(connect_reserved(*state, NULL), 0);
    assert_int_equal(ports.tried, PORTS);
}

static void searches_begin_anywhere(void **state)
{
    unsigned different = 0;
    ports.cause = EADDRINUSE;
    for (int i = 0; i < 8; i++)
        assert_int_equal(connect_reserved(*state, NULL), 0);
    for (unsigned port = 0; port < 1024; port++)
        different += ports.tries[port] > 0;
    assert_true(different > 1);
}

/* Where nobody listens at a port that the system gives to clients, it may give it to this one, and
 * connect it to itself. */
static void nobody_is_connected_to_itself(void **state)
{
    test_fixture *fixture = *state;
    ports.instead = (unsigned)strtoul(strrchr(fixture->address, ':') + 1, NULL, 10);
    fixture_stop(fixture);
    assert_int_equal(connect_reserved(fixture, "nobody listens there (Connection refused)"),
                     DARI_REFUSED);
}

static void another_error_of_bind(void **state)
{
    ports.cause = EIO;
    ports.refuse = 1;
    assert_int_equal(connect_reserved(*state, "Input/output error"), DARI_ERRNO);
}

static void other_schemes_ignore_them(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    fixture_begin(&fixture);
    fixture_serve(&fixture);
    dari_client_close(
        connect_with(&fixture, (dari_tcp_options){.reserved_port = true, .keepalive_ns = 1}));
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_option, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_least_and_the_most, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_keepalive, set_up, tear_down),
        cmocka_unit_test(keepalive_of_servers),
        cmocka_unit_test(keepalive_of_a_socket_handed_in),
        cmocka_unit_test_setup_teardown(a_reserved_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_process_that_may_not_have_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_port_is_tried_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_free_port_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(searches_begin_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_connected_to_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_error_of_bind, set_up, tear_down),
        {"udp: a_reserved_port", a_reserved_port, set_up_udp, tear_down, NULL},
        {"udp: each_port_is_tried_once", each_port_is_tried_once, set_up_udp, tear_down, NULL},
        {"udp: the_last_free_port_is_found", the_last_free_port_is_found, set_up_udp, tear_down,
         NULL},
        cmocka_unit_test(other_schemes_ignore_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
