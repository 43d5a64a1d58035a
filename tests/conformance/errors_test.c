/* SPDX-License-Identifier: MIT */
/* Errors that the public headers promise and that belong to no scheme: what each function says in a
 * child, without descriptors, and of code and arguments that are not for it. */
#include "conformance/cases.h"

#include "loop/client.h"
#include "loop/server.h"

#include <dari/counters.h>
#include <dari/loan.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CHECK(condition)     \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

typedef struct stage {
    test_fixture fixture;
    dari_client *client;
} stage;

static void begin(stage *self, const char *scheme)
{
    self->fixture.scheme = scheme_named(scheme);
    fixture_begin(&self->fixture);
    fixture_serve(&self->fixture);
    self->client = fixture_connect(&self->fixture, NULL);
}

static void end(stage *self)
{
    dari_client_close(self->client);
    fixture_end(&self->fixture);
}

static void forget(void *user, dari_call *call)
{
    (void)user;
    (void)call;
}

static dari_client *inherited;

static int use_client_of_parent(test_fixture *fixture)
{
    dari_call call = {0};
    dari_counters counters = {0};
    dari_client *client = inherited;
    void *memory = NULL;
    uint32_t version = 7;
    CHECK(nothing_1_start(client, &call, forget, NULL) == DARI_FORKED);
    CHECK(nothing_1_oneway(client, &call) == DARI_FORKED && !call.may_have_run);
    CHECK(strstr(dari_call_message(&call), dari_error_text(DARI_FORKED)));
    CHECK(dari_client_ping(client, ECHO, ECHO_V1, NULL) == DARI_FORKED);
    CHECK(dari_client_find_version(client, ECHO, 1, 2, &version, NULL) == DARI_FORKED);
    CHECK(version == 7);
    CHECK(dari_client_idempotent(client, &echo_1_interface, 2) == DARI_FORKED);
    CHECK(dari_client_intercept(client, &(dari_client_interceptor){0}) == DARI_FORKED);
    CHECK(dari_client_descriptor(client) == DARI_FORKED);
    CHECK(dari_client_dispatch(client) == DARI_FORKED);
    CHECK(dari_client_timeout_ns(client) == UINT64_MAX);
    CHECK(dari_client_wait(client, UINT64_MAX) == DARI_FORKED);
    CHECK(dari_client_counters(client, &counters) == DARI_FORKED && !counters.procedures);
    CHECK(dari_loan(client, 1, &memory) == DARI_FORKED && !memory);
    CHECK(dari_server_serve_client(fixture->server, client) == DARI_FORKED);
    dari_call_end(&call);
    dari_client_close(client);
    dari_server_destroy(fixture->server);
    return 0;
}

static int use_server_of_parent(test_fixture *fixture)
{
    dari_server *server = fixture->server;
    dari_counters counters = {0};
    CHECK(dari_server_listen(server, "unix:@nobody") == DARI_FORKED);
    CHECK(dari_server_listen_descriptor(server, 0) == DARI_FORKED);
    char self[16];
    snprintf(self, sizeof self, "%d", getpid());
    CHECK(setenv("LISTEN_PID", self, 1) == 0 && setenv("LISTEN_FDS", "1", 1) == 0);
    CHECK(dari_server_listen_inherited(server, true) == DARI_FORKED);
    CHECK(dari_server_add(server, &echo_1_interface, NULL, NULL) == DARI_FORKED);
    CHECK(dari_server_intercept(server, &(dari_interceptor){0}) == DARI_FORKED);
    CHECK(dari_server_run(server) == DARI_FORKED);
    CHECK(dari_server_dispatch(server) == DARI_FORKED);
    CHECK(dari_server_counters(server, &counters) == DARI_FORKED && !counters.procedures);
    dari_server_stop(server);
    dari_server_finish(server, 0);
    dari_client_close(inherited);
    dari_server_destroy(server);
    return 0;
}

static void a_child_gets_nothing_of_its_parents(void **state)
{
    (void)state;
    stage self = {0};
    begin(&self, "unix_abstract");
    check_add(self.client);
    inherited = self.client;
    check_child(use_client_of_parent, &self.fixture);
    check_child(use_server_of_parent, &self.fixture);
    check_add(self.client);
    end(&self);
}

/* In a child: no descriptor is left, and then so many more, until what makes some succeeds. */
static int make_with_few(test_fixture *fixture, int (*make)(test_fixture *fixture))
{
    int error = DARI_ERRNO;
    for (rlim_t more = 0; error != 0 && more < 40; more++) {
        struct rlimit limit;
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        int next = dup(0);
        CHECK(next > 0 && close(next) == 0);
        limit.rlim_cur = (rlim_t)next + more;
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        errno = 0;
        error = make(fixture);
        CHECK(error == 0 || (error == DARI_ERRNO && errno == EMFILE));
        CHECK(more > 0 || error == DARI_ERRNO);
        limit.rlim_cur = limit.rlim_max;
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    }
    CHECK(error == 0);
    return 0;
}

static int make_server(test_fixture *fixture)
{
    dari_server *server = NULL;
    (void)fixture;
    int error = dari_server_create(NULL, &server);
    int cause = errno;
    dari_server_destroy(server);
    errno = cause;
    return error;
}

static int make_cancel(test_fixture *fixture)
{
    dari_cancel *cancel = NULL;
    (void)fixture;
    int error = dari_cancel_create(&cancel);
    int cause = errno;
    dari_cancel_destroy(cancel);
    errno = cause;
    return error;
}

static int make_pipes(test_fixture *fixture)
{
    dari_pipes pipes = {.in = {-1, -1}, .out = {-1, -1}};
    (void)fixture;
    int error = dari_pipe_pair(&pipes);
    int cause = errno;
    dari_pipe_close(&pipes);
    errno = cause;
    return error;
}

static int make_loop(test_fixture *fixture)
{
    (void)fixture;
    int descriptor = dari_client_descriptor(inherited);
    return descriptor < 0 ? descriptor : 0;
}

static int make_client(test_fixture *fixture)
{
    dari_client *client = NULL;
    dari_call call = {0};
    int error = dari_connect(fixture->address, &(dari_client_options){.call = &call}, &client);
    int cause = call.system_error;
    dari_client_close(client);
    errno = cause;
    return error;
}

static int make_all_with_few(test_fixture *fixture)
{
    static int (*const makers[])(test_fixture *) = {make_server, make_cancel, make_pipes,
                                                    make_client, make_loop};
    int line = 0;
    inherited = fixture_connect(fixture, NULL);
    unsigned before = count_descriptors();
    for (size_t i = 0; line == 0 && i < sizeof makers / sizeof *makers; i++) {
        line = make_with_few(fixture, makers[i]);
        if (line == 0 && makers[i] != make_loop && count_descriptors() != before)
            line = __LINE__;
    }
    dari_client_close(inherited);
    dari_server_destroy(fixture->server);
    return line;
}

static void descriptors_that_are_not_there(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    fixture_begin(&fixture);
    fixture_listen(&fixture);
    check_child(make_all_with_few, &fixture);
    fixture_end(&fixture);
}

/* Code that was generated for a library of another time, on either side. */
static void generated_code_of_another_version(void **state)
{
    (void)state;
    static const uint32_t others[] = {DARI_GENERATOR_OLDEST - 1, DARI_GENERATOR_NEWEST + 1, 0,
                                      UINT32_MAX};
    stage self = {.fixture = {.scheme = scheme_named("unix_abstract")}};
    dari_call call = {0};
    fixture_begin(&self.fixture);
    fixture_listen(&self.fixture);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        dari_interface other = echo_1_interface;
        other.generator = others[i];
        other.version = 9;
        assert_int_equal(dari_server_add(self.fixture.server, &other, &echo_handlers, NULL),
                         DARI_GENERATOR);
        assert_string_equal(
            dari_server_message(self.fixture.server),
            "ECHO_V1: the generated code was made for another version of the library; "
            "generate it again");
    }
    fixture_start(&self.fixture);
    self.client = fixture_connect(&self.fixture, NULL);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        dari_interface other = echo_1_interface;
        dari_exchange exchange;
        other.generator = others[i];
        dari_exchange_begin(&exchange, self.client, &other, 0, &call);
        assert_null(dari_exchange_reserve(&exchange, 0));
        assert_null(dari_exchange_send(&exchange));
        assert_int_equal(dari_exchange_end(&exchange, NULL), DARI_GENERATOR);
        assert_int_equal(call.error, DARI_GENERATOR);
        assert_false(call.may_have_run);
    }
    check_add(self.client);
    dari_call_end(&call);
    end(&self);
}

static void a_version_is_served_once(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    fixture_begin(&fixture);
    fixture_listen(&fixture);
    assert_int_equal(echo_1_serve(fixture.server, &echo_handlers, NULL), DARI_IN_USE);
    assert_string_equal(dari_server_message(fixture.server),
                        "ECHO_V1: this version of the program is served already");
    fixture_start(&fixture);
    dari_client *client = fixture_connect(&fixture, NULL);
    check_add(client);
    dari_client_close(client);
    fixture_end(&fixture);
}

static void interceptors_come_before_workers(void **state)
{
    (void)state;
    test_fixture fixture = {.scheme = scheme_named("unix_abstract")};
    fixture_begin(&fixture);
    fixture.options.workers = 1;
    fixture_listen(&fixture);
    assert_int_equal(dari_server_intercept(fixture.server, &(dari_interceptor){0}), 0);
    assert_int_equal(dari_server_dispatch(fixture.server), 0);
    assert_int_equal(dari_server_intercept(fixture.server, &(dari_interceptor){0}), DARI_INVALID);
    fixture_end(&fixture);
}

static void priorities_have_a_limit(void **state)
{
    (void)state;
    static const char *const names[] = {"unix_abstract", "udp4", "shm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        stage self = {0};
        dari_call call = DARI_CALL(.priority = 31), wrong = DARI_CALL(.priority = 32);
        begin(&self, names[i]);
        assert_int_equal(nothing_1(self.client, &call), 0);
        assert_int_equal(nothing_1(self.client, &wrong), DARI_INVALID);
        assert_int_equal(nothing_1_oneway(self.client, &wrong), DARI_INVALID);
        assert_int_equal(nothing_1_start(self.client, &wrong, forget, NULL), DARI_INVALID);
        assert_false(wrong.may_have_run);
        dari_call_end(&call);
        dari_call_end(&wrong);
        end(&self);
        assert_int_equal(self.fixture.entered, 1);
    }
}

/* Where there is no memory for loans that both sides have, it is the process's own. */
static void loans_that_cannot_be(void **state)
{
    (void)state;
    stage self = {0};
    void *memory = NULL;
    begin(&self, "unix_abstract");
    assert_int_equal(dari_loan(self.client, 0, &memory), DARI_INVALID);
    assert_int_equal(dari_loan(NULL, 1, &memory), DARI_INVALID);
    assert_int_equal(dari_loan(self.client, 1, NULL), DARI_INVALID);
    assert_int_equal(dari_loan(self.client, SIZE_MAX, &memory), DARI_LIMIT);
    assert_null(memory);
    assert_int_equal(dari_loan(self.client, 1, &memory), 0);
    assert_int_equal((uintptr_t)memory % 4096, 0);
    dari_loan_end(self.client, memory);
    end(&self);
}

static void nothing_can_be_given_back(void **state)
{
    (void)state;
    dari_server_destroy(NULL);
    dari_client_close(NULL);
    dari_cancel_destroy(NULL);
    dari_counters_end(NULL);
    dari_call_end(NULL);
    dari_arena_end(NULL);
    assert_int_equal(dari_pipe_pair(NULL), DARI_INVALID);
    assert_int_equal(dari_cancel_create(NULL), DARI_INVALID);
}

/* What handlers are told where nobody can be called back. */
static struct {
    test_fixture *fixture;
    dari_request *request;
    int first, second, third;
} asked;

static int keep(dari_request *request)
{
    dari_client *caller = NULL;
    asked.request = request;
    asked.first = dari_request_client(request, &caller);
    asked.second = asked.third = 0;
    if (asked.first == 0) {
        asked.second = dari_client_dispatch(caller);
        asked.third = nothing_1(caller, NULL);
    }
    dari_client_close(caller);
    pthread_mutex_lock(&asked.fixture->lock);
    asked.fixture->entered++;
    pthread_cond_broadcast(&asked.fixture->changed);
    pthread_mutex_unlock(&asked.fixture->lock);
    return DARI_LATER;
}

static const echo_1_handlers keepers = {.nothing = keep};

static void callers_that_are_gone(void **state)
{
    (void)state;
    stage self = {.fixture = {.scheme = scheme_named("unix_abstract"), .handlers = NULL}};
    dari_client *caller = NULL;
    fixture_begin(&self.fixture);
    asked.fixture = &self.fixture;
    self.fixture.handlers = &keepers;
    fixture_serve(&self.fixture);
    self.client = fixture_connect(&self.fixture, NULL);
    assert_int_equal(nothing_1_oneway(self.client, NULL), 0);
    fixture_await_entered(&self.fixture, 1);
    assert_int_equal(asked.first, 0);
    assert_int_equal(asked.second, DARI_INVALID);
    assert_int_equal(asked.third, DARI_DEADLOCK);
    dari_server_stop(self.fixture.server);
    pthread_join(self.fixture.thread, NULL);
    self.fixture.running = false;
    dari_client_close(self.client);
    while (self.fixture.server->connections > 0)
        step(self.fixture.server, 1000);
    assert_int_equal(dari_request_client(asked.request, &caller), DARI_CLOSED);
    assert_null(caller);
    assert_int_equal(nothing_1_reply(asked.request), DARI_CLOSED);
    self.client = NULL;
    end(&self);
}

static void datagrams_call_nobody_back(void **state)
{
    (void)state;
    stage self = {.fixture = {.scheme = scheme_named("udp4")}};
    dari_server *other = NULL;
    fixture_begin(&self.fixture);
    asked.fixture = &self.fixture;
    self.fixture.handlers = &keepers;
    fixture_serve(&self.fixture);
    self.client = fixture_connect(&self.fixture, NULL);
    assert_int_equal(nothing_1_oneway(self.client, NULL), 0);
    fixture_await_entered(&self.fixture, 1);
    assert_int_equal(asked.first, DARI_SCHEME);
    assert_int_equal(nothing_1_reply(asked.request), 0);
    assert_int_equal(dari_server_create(NULL, &other), 0);
    assert_int_equal(dari_server_serve_client(other, self.client), DARI_SCHEME);
    dari_server_destroy(other);
    end(&self);
}

/* A call that came to a client is answered by a server; the client itself calls the other way. */
static void who_is_called_back_calls_by_itself(void **state)
{
    (void)state;
    stage self = {.fixture = {.scheme = scheme_named("unix_abstract")}};
    test_fixture home = {.scheme = scheme_named("unix_abstract")};
    uint8_t message[64], reply[64];
    fixture_begin(&home);
    asked.fixture = &home;
    fixture_begin(&self.fixture);
    di_listener *listener = raw_listen(&self.fixture);
    self.client = fixture_connect(&self.fixture, NULL);
    di_connection *peer = raw_accept(listener);
    home.handlers = &keepers;
    fixture_listen(&home);
    assert_int_equal(dari_server_serve_client(home.server, self.client), 0);
    fixture_start(&home);
    raw_call(message, 3, ECHO, ECHO_V1, 0);
    raw_send_record(peer, message, 40);
    fixture_await_entered(&home, 1);
    assert_int_equal(asked.first, DARI_SCHEME);
    assert_int_equal(nothing_1_reply(asked.request), 0);
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 24);
    fixture_stop(&home);
    fixture_end(&home);
    raw_close(peer);
    listener->ops->close(listener);
    end(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_gets_nothing_of_its_parents),
        cmocka_unit_test(descriptors_that_are_not_there),
        cmocka_unit_test(generated_code_of_another_version),
        cmocka_unit_test(a_version_is_served_once),
        cmocka_unit_test(interceptors_come_before_workers),
        cmocka_unit_test(priorities_have_a_limit),
        cmocka_unit_test(loans_that_cannot_be),
        cmocka_unit_test(nothing_can_be_given_back),
        cmocka_unit_test(callers_that_are_gone),
        cmocka_unit_test(datagrams_call_nobody_back),
        cmocka_unit_test(who_is_called_back_calls_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
