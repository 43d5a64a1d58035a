/* SPDX-License-Identifier: MIT */
/* The wire: bytes as a peer of another make, or a hostile one, may send them, against the library's
 * client. */
#include "conformance/wire.h"

#include "loop/client.h"

#include <stdlib.h>
#include <string.h>

/* A raw server that answers the calls of one connection with given bytes. */
typedef struct wire_client {
    test_fixture fixture;
    di_listener *listener;
    di_connection *peer;
    dari_client *client;
    dari_call call;
    pthread_t thread;
    uint8_t answer[2048]; /* `xid_count` of its words become the xid of the call: see answer_at */
    size_t answer_size;
    size_t xid_at[4];
    size_t xid_count;
} wire_client;

enum { FRAGMENTS_MAX = 30 };

static int begin_client(void **state)
{
    wire_client *wire = calloc(1, sizeof *wire);
    assert_non_null(wire);
    wire->fixture.scheme = scheme_named("unix_abstract");
    fixture_begin(&wire->fixture);
    wire->listener = raw_listen(&wire->fixture);
    wire->client =
        fixture_connect(&wire->fixture, &(dari_client_options){.message_max = 5000,
                                                               .fragments_max = FRAGMENTS_MAX,
                                                               .no_reconnect = true});
    wire->peer = raw_accept(wire->listener);
    *state = wire;
    return 0;
}

static int end_client(void **state)
{
    wire_client *wire = *state;
    dari_client_close(wire->client);
    raw_close(wire->peer);
    wire->listener->ops->close(wire->listener);
    fixture_end(&wire->fixture);
    dari_call_end(&wire->call);
    free(wire);
    return 0;
}

static void *answer_once(void *argument)
{
    wire_client *wire = argument;
    uint8_t call[128];
    if (raw_read_record(wire->peer, call, sizeof call) >= 4) {
        for (size_t i = 0; i < wire->xid_count; i++)
            memcpy(wire->answer + wire->xid_at[i], call, 4);
        raw_send(wire->peer, wire->answer, wire->answer_size);
    }
    return NULL;
}

/* Calls ADD and has it answered; returns what the client says. */
static int call_answered(wire_client *wire, int32_t *sum)
{
    dari_call_reset(&wire->call);
    pthread_create(&wire->thread, NULL, answer_once, wire);
    int result = add_1(wire->client, &(pair){2, 3}, sum, &wire->call);
    pthread_join(wire->thread, NULL);
    return result;
}

/* Makes the answer one record of these words; the first is the xid. */
static void set_answer(wire_client *wire, const uint32_t *words, size_t count)
{
    uint8_t *at = put(wire->answer, LAST | (uint32_t)(4 * count));
    for (size_t i = 0; i < count; i++)
        at = put(at, words[i]);
    wire->answer_size = (size_t)(at - wire->answer);
    wire->xid_at[0] = 4;
    wire->xid_count = count > 0;
}

#define ANSWER(wire, ...)                             \
    set_answer(wire, (const uint32_t[]){__VA_ARGS__}, \
               sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void check_client_lives(wire_client *wire)
{
    int32_t sum = 0;
    ANSWER(wire, 0, 1, 0, 0, 0, 0, 5);
    assert_int_equal(call_answered(wire, &sum), 0);
    assert_int_equal(sum, 5);
}

/* Expects an error that the connection survives, and the message's end. */
static void check_answer(wire_client *wire, int error, bool may_have_run, const char *words)
{
    int32_t sum = 99;
    assert_int_equal(call_answered(wire, &sum), error);
    assert_int_equal(sum, 99);
    assert_int_equal(wire->call.may_have_run, may_have_run);
    const char *message = dari_call_message(&wire->call);
    if (words && !strstr(message, words))
        fail_msg("\"%s\" does not say \"%s\"", message, words);
    check_client_lives(wire);
}

static void every_status(void **state)
{
    wire_client *wire = *state;
    ANSWER(wire, 0, 1, 0, 0, 0, 1);
    check_answer(wire, DARI_PROGRAM_UNAVAILABLE, false, NULL);
    ANSWER(wire, 0, 1, 0, 0, 0, 2, 2, 4);
    check_answer(wire, DARI_PROGRAM_MISMATCH, false,
                 ": ADD: PROGRAM_MISMATCH: the server has versions 2 to 4");
    ANSWER(wire, 0, 1, 0, 0, 0, 3);
    check_answer(wire, DARI_PROCEDURE_UNAVAILABLE, false, NULL);
    ANSWER(wire, 0, 1, 0, 0, 0, 4);
    check_answer(wire, DARI_GARBAGE_ARGUMENTS, false, NULL);
    ANSWER(wire, 0, 1, 0, 0, 0, 5);
    check_answer(wire, DARI_SYSTEM_ERROR, true, ", may have run");
    ANSWER(wire, 0, 1, 1, 0, 3, 5);
    check_answer(wire, DARI_RPC_MISMATCH, false,
                 ": ADD: RPC_MISMATCH: the server has versions 3 to 5");
    ANSWER(wire, 0, 1, 1, 1, 1);
    check_answer(wire, DARI_AUTH, false, "AUTH_BADCRED");
    ANSWER(wire, 0, 1, 1, 1, 99);
    check_answer(wire, DARI_AUTH, false, "status 99");
    ANSWER(wire, 0, 1, 0, 2, 8, 1, 2, 0, 5); /* a verifier of AUTH_SHORT */
    assert_int_equal(call_answered(wire, &(int32_t){0}), 0);
}

static void replies_that_are_none(void **state)
{
    wire_client *wire = *state;
    static const uint32_t replies[][12] = {
        {2, 0, 1},                         /* ends after the type */
        {3, 0, 1, 0},                      /* ends after reply_stat */
        {3, 0, 1, 2},                      /* no reply_stat */
        {3, 0, 1, 1},                      /* ends before reject_stat */
        {5, 0, 1, 1, 0, 2},                /* ends within the range */
        {5, 0, 1, 1, 2, 0},                /* no reject_stat */
        {4, 0, 1, 1, 1},                   /* ends before auth_stat */
        {5, 0, 1, 0, 0, 0},                /* ends before accept_stat */
        {6, 0, 1, 0, 0, 0, 6},             /* no accept_stat */
        {6, 0, 1, 0, 0, 0, UINT32_MAX},    /* no accept_stat */
        {7, 0, 1, 0, 0, 0, 2, 1},          /* ends within the range */
        {7, 0, 1, 0, 0, 401, 0, 0},        /* verifier too long */
        {7, 0, 1, 0, 0, UINT32_MAX, 0, 0}, /* verifier much too long */
        {7, 0, 1, 0, 0, 12, 0, 0},         /* verifier that is not there */
    };
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        set_answer(wire, replies[i] + 1, replies[i][0]);
        check_answer(wire, DARI_BAD_REPLY, true, ", may have run");
    }
}

static void results_that_are_wrong(void **state)
{
    wire_client *wire = *state;
    ANSWER(wire, 0, 1, 0, 0, 0, 0);
    check_answer(wire, DARI_TRUNCATED, true, "byte 24");
    ANSWER(wire, 0, 1, 0, 0, 0, 0, 5, 6);
    int32_t sum;
    assert_int_equal(call_answered(wire, &sum), DARI_TRAILING);
    assert_non_null(strstr(dari_call_message(&wire->call), "byte 28"));
    check_client_lives(wire);
}

static void replies_to_others_are_dropped(void **state)
{
    wire_client *wire = *state;
    int32_t sum = 0;
    uint8_t *at = wire->answer;
    at = put(put(put(put(put(put(put(at, LAST | 24), 12345), 1), 0), 0), 0), 0); /* another xid */
    at = raw_call(put(at, LAST | 40), 1, ECHO, 1, 0);                            /* a call */
    uint8_t *own = at;
    at = put(raw_reply(put(at, LAST | 28), 0), 5);
    at = put(raw_reply(put(at, LAST | 28), 0), 6); /* twice */
    wire->answer_size = (size_t)(at - wire->answer);
    wire->xid_at[0] = (size_t)(own - wire->answer) + 4;
    wire->xid_at[1] = wire->xid_at[0] + 32;
    wire->xid_count = 2;
    assert_int_equal(call_answered(wire, &sum), 0);
    assert_int_equal(sum, 5);
    check_client_lives(wire);
    assert_int_equal(wire->client->pending.dropped, 3);
}

/* Prepares a reply of 27 fragments and `more` empty ones. */
static void cut_up(wire_client *wire, unsigned more)
{
    /* The xid stays whole, so that it can be put in; the rest comes byte by byte. */
    uint8_t rest[24] = {0};
    put(rest, 1);
    put(rest + 20, 5);
    uint8_t *at = put(wire->answer, 0);
    at = put(put(at, 4), 0);
    for (size_t i = 0; i < sizeof rest; i++) {
        at = put(at, 1);
        *at++ = rest[i];
    }
    for (unsigned i = 0; i < more; i++)
        at = put(at, 0);
    at = put(at, LAST);
    wire->answer_size = (size_t)(at - wire->answer);
    wire->xid_at[0] = 8;
    wire->xid_count = 1;
}

static void a_reply_in_fragments(void **state)
{
    wire_client *wire = *state;
    int32_t sum = 0;
    cut_up(wire, FRAGMENTS_MAX - 27);
    assert_int_equal(call_answered(wire, &sum), 0);
    assert_int_equal(sum, 5);
    cut_up(wire, FRAGMENTS_MAX - 26);
    assert_int_equal(call_answered(wire, &sum), DARI_LIMIT);
    assert_true(wire->call.may_have_run);
    assert_int_equal(nothing_1(wire->client, &wire->call), DARI_LIMIT);
}

typedef struct plain_call {
    dari_client *client;
    int32_t sum;
    int error;
} plain_call;

static void *call_add(void *argument)
{
    plain_call *one = argument;
    one->error = add_1(one->client, &(pair){2, 3}, &one->sum, NULL);
    return NULL;
}

/* Where nothing else is said, a record may have so many fragments and no more. */
static void fragments_by_default(void **state)
{
    static const uint8_t zeros[4 * (DARI_FRAGMENTS_MAX_DEFAULT + 1)];
    wire_client *wire = *state;
    assert_int_equal(DARI_FRAGMENTS_MAX_DEFAULT, 65536);
    for (unsigned beyond = 0; beyond < 2; beyond++) {
        pthread_t thread;
        uint8_t call[128], reply[64];
        plain_call one = {0};
        one.client = fixture_connect(&wire->fixture, &(dari_client_options){.no_reconnect = true});
        di_connection *peer = raw_accept(wire->listener);
        assert_int_equal(pthread_create(&thread, NULL, call_add, &one), 0);
        assert_true(raw_read_record(peer, call, sizeof call) >= 4);
        uint8_t *end = put(raw_reply(put(reply, 0), dari_get_u32(call)), 5);
        put(reply, LAST | (uint32_t)(end - reply - 4));
        raw_send(peer, zeros, (size_t)4 * (DARI_FRAGMENTS_MAX_DEFAULT - 1 + 2 * beyond));
        if (!beyond)
            raw_send(peer, reply, (size_t)(end - reply));
        pthread_join(thread, NULL);
        assert_int_equal(one.error, beyond ? DARI_LIMIT : 0);
        assert_int_equal(one.sum, beyond ? 0 : 5);
        dari_client_close(one.client);
        raw_close(peer);
    }
}

static void an_oversized_reply(void **state)
{
    wire_client *wire = *state;
    uint8_t rest[5001] = {0};
    int32_t sum;
    raw_reply(put(wire->answer, LAST | 6000), 0);
    wire->answer_size = 1003;
    wire->xid_at[0] = 4;
    wire->xid_count = 1;
    assert_int_equal(call_answered(wire, &sum), DARI_LIMIT);
    assert_true(wire->call.may_have_run);
    raw_send(wire->peer, rest, sizeof rest);
    check_client_lives(wire);
}

/* What is no RPC message ends the connection. */
static void check_answer_is_fatal(wire_client *wire)
{
    int32_t sum;
    assert_int_equal(call_answered(wire, &sum), DARI_BAD_REPLY);
    assert_true(wire->call.may_have_run);
    assert_true(raw_ended(wire->peer));
    assert_int_equal(add_1(wire->client, &(pair){1, 1}, &sum, &wire->call), DARI_BAD_REPLY);
    assert_false(wire->call.may_have_run);
}

static void an_empty_record(void **state)
{
    wire_client *wire = *state;
    set_answer(wire, NULL, 0);
    check_answer_is_fatal(wire);
}

static void a_message_of_no_type(void **state)
{
    wire_client *wire = *state;
    ANSWER(wire, 0, 2, 0, 0, 0, 0, 5);
    check_answer_is_fatal(wire);
}

static void text_instead_of_records(void **state)
{
    wire_client *wire = *state;
    memset(wire->answer, '!', sizeof wire->answer);
    wire->answer_size = sizeof wire->answer;
    wire->xid_count = 0;
    check_answer_is_fatal(wire);
}

static void noisy_replies(void **state)
{
    wire_client *wire = *state;
    uint32_t random = 4711;
    for (int round = 0; round < 300; round++) {
        int32_t sum;
        ANSWER(wire, 0, 1, 0, 0, 0, 0, 5);
        for (int flips = 0; flips < 3; flips++) {
            random = random * 1664525 + 1013904223;
            wire->answer[(random >> 8) % wire->answer_size] ^= (uint8_t)(random >> 24);
        }
        dari_call_reset(&wire->call);
        wire->call.deadline_ns = 5 * DARI_MS;
        pthread_create(&wire->thread, NULL, answer_once, wire);
        int error = add_1(wire->client, &(pair){2, 3}, &sum, &wire->call);
        pthread_join(wire->thread, NULL);
        assert_true(error <= 0);
        /* A new connection each time: a wrong mark leaves the old one waiting. */
        dari_client_close(wire->client);
        raw_close(wire->peer);
        wire->client = fixture_connect(&wire->fixture, NULL);
        wire->peer = raw_accept(wire->listener);
    }
}

#define CLIENT(name) cmocka_unit_test_setup_teardown(name, begin_client, end_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT(every_status),
        CLIENT(replies_that_are_none),
        CLIENT(results_that_are_wrong),
        CLIENT(replies_to_others_are_dropped),
        CLIENT(a_reply_in_fragments),
        CLIENT(fragments_by_default),
        CLIENT(an_oversized_reply),
        CLIENT(an_empty_record),
        CLIENT(a_message_of_no_type),
        CLIENT(text_instead_of_records),
        CLIENT(noisy_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
