/* SPDX-License-Identifier: MIT */
/* The wire: bytes as a peer of another make, or a hostile one, may send them, against the library's
 * server; wire_client_test.c has its client. */
#include "conformance/wire.h"

#include "loop/server.h"
#include "rpc/message.h"

#include <stdlib.h>
#include <string.h>

/* A server of the echo interface in versions 1 and 4, and a raw peer of it. */
typedef struct wire_server {
    test_fixture fixture;
    dari_interface version_4;
    di_connection *peer;
} wire_server;

static const echo_1_handlers no_handlers;

/* So that a message beyond its limit may come byte by byte. */
enum { FRAGMENTS_MAX = 20000 };

static int begin_with(void **state, uint32_t workers)
{
    wire_server *wire = calloc(1, sizeof *wire);
    assert_non_null(wire);
    wire->fixture.scheme = scheme_named("unix_abstract");
    fixture_begin(&wire->fixture);
    wire->fixture.options.message_max = 5000;
    wire->fixture.options.fragments_max = FRAGMENTS_MAX;
    wire->fixture.options.workers = workers;
    fixture_listen(&wire->fixture);
    wire->version_4 = echo_1_interface;
    wire->version_4.version = 4;
    assert_int_equal(dari_server_add(wire->fixture.server, &wire->version_4, &no_handlers, NULL),
                     0);
    fixture_start(&wire->fixture);
    wire->peer = raw_connect(&wire->fixture);
    *state = wire;
    return 0;
}

static int begin(void **state)
{
    return begin_with(state, 0);
}

static int begin_with_workers(void **state)
{
    return begin_with(state, 2);
}

static int end(void **state)
{
    wire_server *wire = *state;
    raw_close(wire->peer);
    fixture_end(&wire->fixture);
    free(wire);
    return 0;
}

/* ADD(2, 3): 48 bytes at `body`. */
static size_t make_add(uint8_t *body, uint32_t xid)
{
    uint8_t *at = raw_call(body, xid, ECHO, ECHO_V1, 2);
    return (size_t)(put(put(at, 2), 3) - body);
}

/* Expects a reply of exactly these words. */
static void expect(di_connection *peer, const uint32_t *words, size_t count)
{
    uint8_t reply[256];
    assert_int_equal(raw_read_record(peer, reply, sizeof reply), 4 * count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(dari_get_u32(reply + 4 * i), words[i]);
}

#define EXPECT(peer, ...)                         \
    expect(peer, (const uint32_t[]){__VA_ARGS__}, \
           sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void check_lives(wire_server *wire)
{
    uint8_t body[64];
    raw_send_record(wire->peer, body, make_add(body, 0xabcd));
    EXPECT(wire->peer, 0xabcd, 1, 0, 0, 0, 0, 5);
}

/* Expects the connection to end, and a new one to work. */
static void check_closed_for(wire_server *wire, int error)
{
    assert_true(raw_ended(wire->peer));
    raw_close(wire->peer);
    wire->peer = raw_connect(&wire->fixture);
    check_lives(wire);
    fixture_await_logged(&wire->fixture, 1);
    assert_int_equal(wire->fixture.log_error, error);
}

static void check_closed(wire_server *wire)
{
    check_closed_for(wire, DARI_BAD_REPLY);
}

/* Sends `size` bytes at `body` in fragments of `step` bytes, with empty ones where asked. */
static void send_fragments(di_connection *peer, const uint8_t *body, size_t size, size_t step,
                           bool empty_first, bool empty_between, bool empty_last)
{
    uint8_t stream[8192];
    uint8_t *at = stream;
    if (empty_first)
        at = put(at, 0);
    for (size_t done = 0; done < size; done += step) {
        size_t part = size - done < step ? size - done : step;
        bool last = done + part == size && !empty_last;
        at = put(at, (uint32_t)part | (last ? LAST : 0));
        memcpy(at, body + done, part);
        at += part;
        if (empty_between && !last)
            at = put(at, 0);
    }
    if (empty_last)
        at = put(at, LAST);
    raw_send(peer, stream, (size_t)(at - stream));
}

static void any_fragmentation(void **state)
{
    wire_server *wire = *state;
    uint8_t body[64];
    uint32_t xid = 1;
    for (size_t step = 1; step <= 48; step++) {
        for (unsigned empty = 0; empty < 8; empty++, xid++) {
            size_t size = make_add(body, xid);
            send_fragments(wire->peer, body, size, step, empty & 1, empty & 2, empty & 4);
            EXPECT(wire->peer, xid, 1, 0, 0, 0, 0, 5);
        }
    }
}

static void any_packets(void **state)
{
    wire_server *wire = *state;
    uint8_t body[64], byte[68];
    size_t size = make_add(body, 77);
    put(byte, LAST | (uint32_t)size);
    memcpy(byte + 4, body, size);
    for (size_t i = 0; i < size + 4; i++)
        raw_send(wire->peer, byte + i, 1);
    EXPECT(wire->peer, 77, 1, 0, 0, 0, 0, 5);
}

static void many_calls_at_once_are_answered_in_order(void **state)
{
    enum { COUNT = 500 };
    wire_server *wire = *state;
    static uint8_t stream[COUNT * 52];
    uint8_t *at = stream;
    for (uint32_t i = 0; i < COUNT; i++) {
        uint8_t *mark = at;
        at += 4 + make_add(at + 4, i);
        put(mark, LAST | (uint32_t)(at - mark - 4));
    }
    raw_send(wire->peer, stream, sizeof stream);
    for (uint32_t i = 0; i < COUNT; i++)
        EXPECT(wire->peer, i, 1, 0, 0, 0, 0, 5);
}

static void another_version_of_rpc(void **state)
{
    wire_server *wire = *state;
    uint8_t body[64];
    for (uint32_t version = 0; version < 5; version++) {
        if (version == 2)
            continue;
        size_t size = make_add(body, 9);
        put(body + 8, version);
        raw_send_record(wire->peer, body, size);
        EXPECT(wire->peer, 9, 1, 1, 0, 2, 2);
        raw_send_record(wire->peer, body, 12); /* nothing more need follow */
        EXPECT(wire->peer, 9, 1, 1, 0, 2, 2);
    }
    check_lives(wire);
}

/* A call of ADD with a credential and a verifier of these sizes. */
static size_t make_authentic(uint8_t *body, uint32_t flavor, uint32_t credential, uint32_t verifier)
{
    const uint32_t words[] = {5, 0, 2, ECHO, 1, 2, flavor, credential};
    uint8_t *at = body;
    for (size_t i = 0; i < 8; i++)
        at = put(at, words[i]);
    memset(at, 0, 2 * 512);
    at = put(put(at + dari_padded(credential), 0), verifier);
    at += dari_padded(verifier);
    return (size_t)(put(put(at, 2), 3) - body);
}

static void credentials(void **state)
{
    wire_server *wire = *state;
    uint8_t body[2048];
    static const struct {
        uint32_t flavor, credential, verifier, status;
    } cases[] = {
        {0, 0, 0, 0},   {1, 20, 0, 0},  {0, 400, 400, 0}, {0, 397, 3, 0},
        {0, 401, 0, 1}, {0, 404, 0, 1}, {0, 0, 404, 3},   {0, 0, 401, 3},
        {77, 0, 0, 2},  {2, 8, 0, 2},   {6, 20, 0, 2},    {7, 0, 0, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = make_authentic(body, cases[i].flavor, cases[i].credential, cases[i].verifier);
        raw_send_record(wire->peer, body, size);
        if (cases[i].status == 0)
            EXPECT(wire->peer, 5, 1, 0, 0, 0, 0, 5);
        else
            EXPECT(wire->peer, 5, 1, 1, 1, cases[i].status);
    }
    size_t size = make_authentic(body, 0, 0, 0);
    put(body + 28, UINT32_MAX);
    raw_send_record(wire->peer, body, size);
    EXPECT(wire->peer, 5, 1, 1, 1, DI_AUTH_BADCRED);
    check_lives(wire);
}

/* ADD(2, 3) with AUTH_SYS: a name of `name` bytes, `groups` groups, and `more` bytes. */
static size_t make_auth_sys(uint8_t *body, uint32_t name, uint32_t groups, uint32_t more)
{
    uint32_t padded = (uint32_t)dari_padded(name);
    uint8_t *at = raw_call(body, 5, ECHO, ECHO_V1, 2) - 16;
    at = put(put(put(put(at, 1), 20 + padded + 4 * groups + more), 99), name);
    memset(at, 'n', name);
    memset(at + name, 0, padded - name);
    at = put(put(put(at + padded, 1000), 100), groups);
    for (uint32_t i = 0; i < groups; i++)
        at = put(at, 500 + i);
    memset(at, 0, more);
    return (size_t)(put(put(put(put(at + more, 0), 0), 2), 3) - body);
}

static void auth_sys_within_its_limits(void **state)
{
    wire_server *wire = *state;
    uint8_t body[1024];
    static const struct {
        uint32_t name, groups, more, status;
    } cases[] = {
        {0, 0, 0, 0},  {1, 1, 0, 0},    {255, 16, 0, 0}, {0, 16, 0, 0},   {255, 0, 0, 0},
        {0, 17, 0, 1}, {10, 17, 0, 1},  {256, 0, 0, 1},  {256, 16, 0, 1}, {300, 0, 0, 1},
        {4, 2, 4, 1},  {255, 16, 4, 1}, {0, 95, 0, 1},   {380, 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = make_auth_sys(body, cases[i].name, cases[i].groups, cases[i].more);
        raw_send_record(wire->peer, body, size);
        if (cases[i].status == 0)
            EXPECT(wire->peer, 5, 1, 0, 0, 0, 0, 5);
        else
            EXPECT(wire->peer, 5, 1, 1, 1, cases[i].status);
    }
    /* Numbers that overflow where they are added up, and a name with a zero byte in it. */
    static const struct {
        size_t offset;
        uint32_t word;
    } wrong[] = {{36, UINT32_MAX}, {36, 0x80000004}, {56, UINT32_MAX}, {56, 0x40000002}, {40, 'n'}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t size = make_auth_sys(body, 8, 2, 0);
        put(body + wrong[i].offset, wrong[i].word);
        raw_send_record(wire->peer, body, size);
        EXPECT(wire->peer, 5, 1, 1, 1, DI_AUTH_BADCRED);
    }
    check_lives(wire);
}

static void the_first_reason_to_refuse_is_told(void **state)
{
    wire_server *wire = *state;
    uint8_t body[2048];
    /* Version of RPC, credential, verifier, program, version, procedure, arguments. */
    size_t size = make_authentic(body, 0, 404, 404);
    put(put(put(body + 12, ECHO + 1), 9), 99);
    put(body + 8, 3);
    raw_send_record(wire->peer, body, size);
    EXPECT(wire->peer, 5, 1, 1, 0, 2, 2);
    put(body + 8, 2);
    raw_send_record(wire->peer, body, size);
    EXPECT(wire->peer, 5, 1, 1, 1, DI_AUTH_BADCRED);
    size = make_authentic(body, 77, 4, 404);
    put(body + 12, ECHO + 1);
    raw_send_record(wire->peer, body, size);
    EXPECT(wire->peer, 5, 1, 1, 1, DI_AUTH_BADVERF);
    size = make_authentic(body, 77, 4, 0);
    put(body + 12, ECHO + 1);
    raw_send_record(wire->peer, body, size);
    EXPECT(wire->peer, 5, 1, 1, 1, DI_AUTH_REJECTEDCRED);
    size = make_authentic(body, 0, 0, 0);
    put(put(put(body + 12, ECHO + 1), 9), 99);
    raw_send_record(wire->peer, body, size);
    EXPECT(wire->peer, 5, 1, 0, 0, 0, DI_PROG_UNAVAIL);
    put(body + 12, ECHO);
    raw_send_record(wire->peer, body, size);
    EXPECT(wire->peer, 5, 1, 0, 0, 0, DI_PROG_MISMATCH, 1, 4);
    put(body + 16, 1);
    raw_send_record(wire->peer, body, size - 4);
    EXPECT(wire->peer, 5, 1, 0, 0, 0, DI_PROC_UNAVAIL);
    put(body + 20, 2);
    raw_send_record(wire->peer, body, size - 4);
    EXPECT(wire->peer, 5, 1, 0, 0, 0, DI_GARBAGE_ARGS);
    check_lives(wire);
}

static void programs_versions_procedures(void **state)
{
    wire_server *wire = *state;
    uint8_t body[64];
    static const struct {
        uint32_t program, version, procedure, status;
    } cases[] = {
        {ECHO + 1, 1, 0, DI_PROG_UNAVAIL},
        {0, 0, 0, DI_PROG_UNAVAIL},
        {UINT32_MAX, 1, 1, DI_PROG_UNAVAIL},
        {ECHO, 1, 5, DI_PROC_UNAVAIL},
        {ECHO, 1, 7, DI_PROC_UNAVAIL},
        {ECHO, 1, UINT32_MAX, DI_PROC_UNAVAIL},
        {ECHO, 1, 6, DI_PROC_UNAVAIL},
        {ECHO, 4, 2, DI_PROC_UNAVAIL},
        {ECHO, 1, 0, DI_SUCCESS},
        {ECHO, 4, 0, DI_SUCCESS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size =
            (size_t)(raw_call(body, 3, cases[i].program, cases[i].version, cases[i].procedure) -
                     body);
        raw_send_record(wire->peer, body, size);
        EXPECT(wire->peer, 3, 1, 0, 0, 0, cases[i].status);
    }
    static const uint32_t versions[] = {0, 2, 3, 5, UINT32_MAX};
    for (size_t i = 0; i < 5; i++) {
        raw_call(body, 4, ECHO, versions[i], 0);
        raw_send_record(wire->peer, body, 40);
        EXPECT(wire->peer, 4, 1, 0, 0, 0, DI_PROG_MISMATCH, 1, 4);
    }
    check_lives(wire);
}

static void garbage_arguments(void **state)
{
    wire_server *wire = *state;
    uint8_t body[64];
    for (size_t size = 40; size < 64; size++) {
        memset(body, 0, sizeof body);
        make_add(body, 6);
        raw_send_record(wire->peer, body, size);
        if (size == 48)
            EXPECT(wire->peer, 6, 1, 0, 0, 0, DI_SUCCESS, 5);
        else
            EXPECT(wire->peer, 6, 1, 0, 0, 0, DI_GARBAGE_ARGS);
    }
    /* A length that says more than there is. */
    put(raw_call(body, 6, ECHO, 1, 1), UINT32_MAX);
    raw_send_record(wire->peer, body, 44);
    EXPECT(wire->peer, 6, 1, 0, 0, 0, DI_GARBAGE_ARGS);
    check_lives(wire);
}

static void an_oversized_call_is_answered_before_it_is_there(void **state)
{
    wire_server *wire = *state;
    uint8_t stream[20004] = {0};
    static const uint32_t fragments[] = {1, 3, 1000, 5001, 20000};
    for (size_t i = 0; i < 5; i++) {
        /* Fragments of one size; the record is 20000 bytes or so. */
        static uint8_t record[120000];
        uint8_t *at = record;
        raw_call(stream, 8, ECHO, 1, 4);
        for (uint32_t done = 0; done < 20000; done += fragments[i]) {
            uint32_t part = 20000 - done < fragments[i] ? 20000 - done : fragments[i];
            at = put(at, part | (done + part == 20000 ? LAST : 0));
            memcpy(at, stream + done, part);
            at += part;
        }
        size_t size = (size_t)(at - record);
        raw_send(wire->peer, record, size / 2);
        EXPECT(wire->peer, 8, 1, 0, 0, 0, DI_GARBAGE_ARGS);
        raw_send(wire->peer, record + size / 2, size - size / 2);
        check_lives(wire);
    }
    /* The other reasons to refuse a call go first. */
    raw_call(stream + 4, 8, ECHO, 1, 99);
    put(stream, LAST | 20000);
    raw_send(wire->peer, stream, sizeof stream);
    EXPECT(wire->peer, 8, 1, 0, 0, 0, DI_PROC_UNAVAIL);
    check_lives(wire);
}

static void a_record_of_the_largest_kind_costs_nothing(void **state)
{
    wire_server *wire = *state;
    uint8_t stream[1024] = {0};
    put(stream, LAST | 0x7fffffff);
    raw_call(stream + 4, 1, ECHO, 1, 4);
    raw_send(wire->peer, stream, sizeof stream);
    EXPECT(wire->peer, 1, 1, 0, 0, 0, DI_GARBAGE_ARGS);
}

static void empty_fragments_without_end(void **state)
{
    wire_server *wire = *state;
    static const uint8_t zeros[4 * (FRAGMENTS_MAX + 1)];
    uint8_t body[64];
    size_t size = make_add(body, 11);
    for (int i = 0; i < 2; i++) {
        raw_send(wire->peer, zeros, (size_t)4 * (FRAGMENTS_MAX - 2));
        send_fragments(wire->peer, body, size, 30, false, false, false);
        EXPECT(wire->peer, 11, 1, 0, 0, 0, 0, 5);
    }
    raw_send(wire->peer, zeros, sizeof zeros);
    check_closed_for(wire, DARI_LIMIT);
    assert_non_null(strstr(wire->fixture.log_text, "more than 20000 fragments"));
}

/* Where nothing else is said, a record may have so many fragments and no more. */
static void fragments_by_default(void **state)
{
    wire_server *wire = *state;
    static const uint8_t zeros[4 * (DARI_FRAGMENTS_MAX_DEFAULT + 1)];
    test_fixture plain = {.scheme = wire->fixture.scheme};
    uint8_t body[64];
    size_t size = make_add(body, 11);
    assert_int_equal(DARI_FRAGMENTS_MAX_DEFAULT, 65536);
    fixture_begin(&plain);
    fixture_serve(&plain);
    di_connection *peer = raw_connect(&plain);
    raw_send(peer, zeros, (size_t)4 * (DARI_FRAGMENTS_MAX_DEFAULT - 2));
    send_fragments(peer, body, size, 30, false, false, false);
    EXPECT(peer, 11, 1, 0, 0, 0, 0, 5);
    raw_send(peer, zeros, sizeof zeros);
    assert_true(raw_ended(peer));
    fixture_await_logged(&plain, 1);
    assert_non_null(strstr(plain.log_text, "more than 65536 fragments"));
    raw_close(peer);
    fixture_end(&plain);
}

static void no_rpc_message_at_all(void **state)
{
    wire_server *wire = *state;
    uint8_t body[1024];
    size_t size = make_add(body, 1);
    raw_send_record(wire->peer, body, 0);
    check_closed(wire);
    for (size_t cut = 1; cut < 40; cut++) {
        make_add(body, 1);
        raw_send_record(wire->peer, body, cut);
        check_closed(wire);
    }
    make_add(body, 1);
    put(body + 4, 2);
    raw_send_record(wire->peer, body, size);
    check_closed(wire);
    make_add(body, 1);
    put(body + 28, 100); /* a credential that is not there */
    raw_send_record(wire->peer, body, size);
    check_closed(wire);
    memset(body, 'A', sizeof body);
    memcpy(body, "GET / HTTP/1.1\r\n", 16);
    raw_send(wire->peer, body, sizeof body);
    check_closed(wire);
}

static void replies_before_garbage_are_sent(void **state)
{
    wire_server *wire = *state;
    uint8_t stream[64];
    size_t size = make_add(stream + 4, 21);
    put(stream, LAST | (uint32_t)size);
    put(stream + 4 + size, LAST);
    raw_send(wire->peer, stream, 8 + size);
    EXPECT(wire->peer, 21, 1, 0, 0, 0, 0, 5);
    check_closed(wire);
}

static void garbage_harms_that_connection_only(void **state)
{
    wire_server *wire = *state;
    di_connection *other = raw_connect(&wire->fixture);
    raw_send_record(other, "garbage!", 8);
    assert_true(raw_ended(other));
    raw_close(other);
    check_lives(wire);
}

static void a_reply_to_a_server_is_dropped(void **state)
{
    wire_server *wire = *state;
    uint8_t body[64];
    raw_reply(body, 5);
    raw_send_record(wire->peer, body, 24);
    check_lives(wire);
    fixture_stop(&wire->fixture);
    assert_int_equal(wire->fixture.logged, 0);
}

static void noise(void **state)
{
    wire_server *wire = *state;
    uint32_t random = 12345;
    uint8_t bytes[600];
    for (int round = 0; round < 300; round++) {
        di_connection *peer = raw_connect(&wire->fixture);
        size_t size = make_add(bytes + 4, 1) + 4;
        put(bytes, LAST | (uint32_t)(size - 4));
        for (int flips = 0; flips < 4; flips++) {
            random = random * 1664525 + 1013904223;
            bytes[(random >> 8) % size] ^= (uint8_t)(random >> 24);
        }
        raw_send(peer, bytes, size);
        raw_end(peer);
        while (raw_read(peer, bytes, 1))
            continue;
        raw_close(peer);
    }
    check_lives(wire);
}

#define SERVER(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define WORKERS(name)                                              \
    {                                                              \
#name "_with_workers", name, begin_with_workers, end, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER(any_fragmentation),
        SERVER(any_packets),
        SERVER(many_calls_at_once_are_answered_in_order),
        SERVER(another_version_of_rpc),
        SERVER(credentials),
        SERVER(auth_sys_within_its_limits),
        SERVER(the_first_reason_to_refuse_is_told),
        SERVER(programs_versions_procedures),
        SERVER(garbage_arguments),
        WORKERS(any_fragmentation),
        WORKERS(garbage_arguments),
        WORKERS(programs_versions_procedures),
        SERVER(an_oversized_call_is_answered_before_it_is_there),
        SERVER(a_record_of_the_largest_kind_costs_nothing),
        SERVER(empty_fragments_without_end),
        SERVER(fragments_by_default),
        SERVER(no_rpc_message_at_all),
        SERVER(replies_before_garbage_are_sent),
        SERVER(garbage_harms_that_connection_only),
        SERVER(a_reply_to_a_server_is_dropped),
        SERVER(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
