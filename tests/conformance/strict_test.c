/* SPDX-License-Identifier: MIT */
/* Values that are wrong, as raw bytes: an argument is answered with GARBAGE_ARGS, a result is an
 * error that says what is wrong, and the connection lives on. What old peers do has a switch each,
 * which tolerates that and nothing else. */
#include "conformance/harness.h"

#include "rpc/message.h"
#include "strict.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE = 56, ALL = 31, NODES = 100000 };

/* RED, true, "abc", 5 bytes, RED: 7, {8, 9}, 10. */
static const uint32_t good[SIZE / 4] = {1, 1, 3, 0x61626300, 5, 0x01020304, 0x05000000,
                                        1, 7, 2, 8,          9, 1,          10};

static const struct wrong {
    const char *name;
    size_t at; /* bytes into the value */
    uint32_t word;
    int error;
    uint32_t accept; /* the switch that tolerates it, or 0 */
} wrongs[] = {
    {"an enumerator that is not declared", 0, 99, DARI_ENUM, DARI_ACCEPT_ENUM},
    {"no enumerator", 0, 0, DARI_ENUM, DARI_ACCEPT_ENUM},
    {"a negative enumerator", 0, UINT32_MAX, DARI_ENUM, DARI_ACCEPT_ENUM},
    {"bool 7", 4, 7, DARI_BOOL, DARI_ACCEPT_BOOL},
    {"bool -1", 4, UINT32_MAX, DARI_BOOL, DARI_ACCEPT_BOOL},
    {"padding of a string", 12, 0x61626301, DARI_PADDING, DARI_ACCEPT_PADDING},
    {"padding of opaque data", 24, 0x05000001, DARI_PADDING, DARI_ACCEPT_PADDING},
    {"padding behind the last byte", 24, 0x05800000, DARI_PADDING, DARI_ACCEPT_PADDING},
    {"a zero byte in a string", 12, 0x61006300, DARI_NUL, DARI_ACCEPT_NUL},
    {"a zero byte that ends a string", 12, 0x61620000, DARI_NUL, DARI_ACCEPT_NUL},
    {"a discriminant without an arm", 28, 5, DARI_ARM, 0},
    {"a string over its bound", 8, 9, DARI_BOUND, 0},
    {"a string of half of all bytes", 8, 0x80000000, DARI_BOUND, 0},
    {"a string of all bytes", 8, UINT32_MAX, DARI_BOUND, 0},
    {"opaque data over its bound", 16, 9, DARI_BOUND, 0},
    {"opaque data of half of all bytes", 16, 0x80000005, DARI_BOUND, 0},
    {"opaque data of all bytes", 16, UINT32_MAX, DARI_BOUND, 0},
    {"an array over its bound", 36, 5, DARI_BOUND, 0},
    {"an array whose size overflows", 36, 0x40000002, DARI_BOUND, 0},
    {"an array of all elements", 36, UINT32_MAX, DARI_BOUND, 0},
    {"an array that ends too late", 36, 4, DARI_TRUNCATED, 0},
    {"trailing bytes", SIZE, 1, DARI_TRAILING, DARI_ACCEPT_TRAILING},
};
#define WRONGS (sizeof wrongs / sizeof *wrongs)

static uint8_t *put_good(uint8_t *at)
{
    for (size_t i = 0; i < SIZE / 4; i++)
        dari_put_u32(at + 4 * i, good[i]);
    return at + SIZE;
}

/* Returns the end of the value with what is wrong about it. */
static uint8_t *put_wrong(uint8_t *at, const struct wrong *wrong)
{
    put_good(at);
    dari_put_u32(at + wrong->at, wrong->word);
    return at + (wrong->at == SIZE ? SIZE + 4 : SIZE);
}

static int handle_check(dari_request *request, const everything *arg)
{
    (void)request;
    (void)arg;
    return 0;
}

static int handle_count(dari_request *request, const node *arg, uint32_t *ret)
{
    (void)request;
    for (; arg; arg = arg->next)
        ++*ret;
    return 0;
}

static const strict_1_handlers handlers = {.check = handle_check, .count = handle_count};

typedef struct stage {
    test_fixture fixture;
    di_connection *peer;
    di_listener *listener;
    dari_client *client;
} stage;

static void begin_server(stage *self, uint32_t accept, uint32_t workers)
{
    *self = (stage){.fixture = {.scheme = scheme_named("unix_abstract")}};
    fixture_begin(&self->fixture);
    self->fixture.options.accept = accept;
    self->fixture.options.workers = workers;
    fixture_listen(&self->fixture);
    assert_int_equal(strict_1_serve(self->fixture.server, &handlers, NULL), 0);
    fixture_start(&self->fixture);
    self->peer = raw_connect(&self->fixture);
}

static void end_server(stage *self)
{
    raw_close(self->peer);
    fixture_end(&self->fixture);
}

/* Sends the call CHECK that ends there; returns the status of its reply. */
static uint32_t check_status(stage *self, const uint8_t *call, const uint8_t *end)
{
    uint8_t reply[64];
    raw_send_record(self->peer, call, (size_t)(end - call));
    assert_int_equal(raw_read_record(self->peer, reply, sizeof reply), 24);
    return dari_get_u32(reply + 20);
}

static void check_arguments(uint32_t accept)
{
    stage self;
    uint8_t call[128];
    uint8_t *argument = call + 40;
    begin_server(&self, accept, 0);
    raw_call(call, 1, STRICT, STRICT_V1, CHECK);
    for (size_t i = 0; i < WRONGS; i++) {
        bool tolerated = (wrongs[i].accept & accept) != 0;
        if (check_status(&self, call, put_wrong(argument, &wrongs[i])) !=
            (tolerated ? DI_SUCCESS : DI_GARBAGE_ARGS))
            fail_msg("%s, where %u is accepted", wrongs[i].name, (unsigned)accept);
        assert_int_equal(check_status(&self, call, put_good(argument)), DI_SUCCESS);
    }
    end_server(&self);
}

static void arguments_that_are_wrong(void **state)
{
    (void)state;
    check_arguments(0);
}

static void each_switch_tolerates_its_own_arguments(void **state)
{
    (void)state;
    for (uint32_t accept = 1; accept <= ALL; accept *= 2) {
        check_arguments(accept);
        check_arguments(ALL & ~accept);
    }
    check_arguments(ALL);
}

static void arguments_that_end_early(void **state)
{
    (void)state;
    stage self;
    uint8_t call[128];
    begin_server(&self, ALL, 0);
    raw_call(call, 1, STRICT, STRICT_V1, CHECK);
    put_good(call + 40);
    for (size_t size = 0; size < SIZE; size++)
        assert_int_equal(check_status(&self, call, call + 40 + size), DI_GARBAGE_ARGS);
    assert_int_equal(check_status(&self, call, call + 40 + SIZE), DI_SUCCESS);
    end_server(&self);
}

/* Nobody recurses over it. */
static void a_long_list(void **state)
{
    (void)state;
    uint8_t *call = malloc(40 + 8 * NODES), reply[64];
    assert_non_null(call);
    uint8_t *at = raw_call(call, 1, STRICT, STRICT_V1, COUNT);
    for (uint32_t i = 0; i < NODES; i++, at += 8) {
        dari_put_u32(at, i);
        dari_put_u32(at + 4, i + 1 < NODES);
    }
    for (uint32_t workers = 0; workers < 2; workers++) {
        stage self;
        begin_server(&self, 0, workers);
        raw_send_record(self.peer, call, (size_t)(at - call));
        assert_int_equal(raw_read_record(self.peer, reply, sizeof reply), 28);
        assert_int_equal(dari_get_u32(reply + 20), DI_SUCCESS);
        assert_int_equal(dari_get_u32(reply + 24), NODES);
        end_server(&self);
    }
    free(call);
}

/* The next answer of the raw server. */
typedef struct answer {
    stage *stage;
    uint8_t bytes[128];
    size_t size;
} answer;

static void *give_answer(void *argument)
{
    answer *self = argument;
    uint8_t call[64];
    if (raw_read_record(self->stage->peer, call, sizeof call) == 40) {
        memcpy(self->bytes, call, 4);
        raw_send_record(self->stage->peer, self->bytes, self->size);
    }
    return NULL;
}

/* Calls GIVE and has it answered with a value that is wrong, or good: NULL. */
static int give(stage *self, const struct wrong *wrong, everything *ret, dari_call *call)
{
    pthread_t thread;
    answer one = {.stage = self};
    uint8_t *end = raw_reply(one.bytes, 0);
    end = wrong ? put_wrong(end, wrong) : put_good(end);
    one.size = (size_t)(end - one.bytes);
    assert_int_equal(pthread_create(&thread, NULL, give_answer, &one), 0);
    int error = give_1(self->client, ret, call);
    pthread_join(thread, NULL);
    return error;
}

static void check_results(uint32_t accept)
{
    stage self = {.fixture = {.scheme = scheme_named("unix_abstract")}};
    dari_call call = {0};
    everything ret;
    fixture_begin(&self.fixture);
    self.listener = raw_listen(&self.fixture);
    self.client = fixture_connect(&self.fixture, &(dari_client_options){.accept = accept});
    self.peer = raw_accept(self.listener);
    for (size_t i = 0; i < WRONGS; i++) {
        bool tolerated = (wrongs[i].accept & accept) != 0;
        int error = give(&self, &wrongs[i], &ret, &call);
        if (error != (tolerated ? 0 : wrongs[i].error))
            fail_msg("%s, where %u is accepted: %s", wrongs[i].name, (unsigned)accept,
                     dari_call_message(&call));
        if (error)
            assert_true(call.may_have_run);
        assert_int_equal(give(&self, NULL, &ret, &call), 0);
        assert_string_equal(ret.name, "abc");
        assert_int_equal(*ret.maybe, 10);
    }
    raw_close(self.peer);
    dari_client_close(self.client);
    self.listener->ops->close(self.listener);
    dari_call_end(&call);
    fixture_end(&self.fixture);
}

static void results_that_are_wrong(void **state)
{
    (void)state;
    check_results(0);
}

static void each_switch_tolerates_its_own_results(void **state)
{
    (void)state;
    for (uint32_t accept = 1; accept <= ALL; accept *= 2)
        check_results(accept);
    check_results(ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_that_are_wrong),
        cmocka_unit_test(each_switch_tolerates_its_own_arguments),
        cmocka_unit_test(arguments_that_end_early),
        cmocka_unit_test(a_long_list),
        cmocka_unit_test(results_that_are_wrong),
        cmocka_unit_test(each_switch_tolerates_its_own_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
