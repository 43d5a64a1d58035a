/* SPDX-License-Identifier: MIT */
/* Which version client and server have in common. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "loop/client.h"

#include <dari/interface.h>

/* The server has versions 1, 4, 5 and 9. */
void the_highest_common_version(test_fixture *fixture)
{
    static const struct {
        uint32_t lowest, highest;
        int error;
        uint32_t found;
        unsigned calls;
    } cases[] = {
        {1, 1, 0, 1, 1},
        {0, 4, 0, 4, 1},
        {4, 9, 0, 9, 1},
        {1, 12, 0, 9, 1}, /* the server's highest */
        {1, 2, 0, 1, 1},  /* its lowest */
        {2, 8, 0, 5, 4},  /* between the two, one by one */
        {2, 3, DARI_PROGRAM_MISMATCH, 0, 2},
        {0, 0, DARI_PROGRAM_MISMATCH, 0, 1},
        {10, 4000000000u, DARI_PROGRAM_MISMATCH, 0, 1},
        {0, UINT32_MAX, 0, 9, 1},
        {2, 1, DARI_INVALID, 0, 0},
    };
    static const uint32_t versions[] = {4, 5, 9};
    dari_interface interfaces[3];
    fixture_listen(fixture);
    for (int i = 0; i < 3; i++) {
        interfaces[i] = echo_1_interface;
        interfaces[i].version = versions[i];
        assert_int_equal(dari_server_add(fixture->server, &interfaces[i], &echo_handlers, fixture),
                         0);
    }
    fixture_start(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_S);
        uint32_t found = 77, before = client->pending.next_xid;
        assert_int_equal(dari_client_find_version(client, ECHO, cases[i].lowest, cases[i].highest,
                                                  &found, i % 2 ? &call : NULL),
                         cases[i].error);
        assert_int_equal(found, cases[i].error ? 77 : cases[i].found);
        assert_int_equal(client->pending.next_xid - before, cases[i].calls);
        assert_int_equal(call.deadline_ns, 10 * DARI_S);
        if (i % 2 && cases[i].error == DARI_PROGRAM_MISMATCH) {
            assert_int_equal(call.low, 1);
            assert_int_equal(call.high, 9);
        }
        dari_call_end(&call);
    }
    uint32_t found = 77;
    assert_int_equal(dari_client_find_version(client, ECHO + 1, 1, 2, &found, NULL),
                     DARI_PROGRAM_UNAVAILABLE);
    assert_int_equal(found, 77);
    fixture_stop(fixture);
    dari_client_close(client);
}

/* The deadline is that of all calls together. A server's range may be nonsense. */
void versions_of_silent_servers(test_fixture *fixture)
{
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    di_connection *peer = raw_accept(listener);
    dari_call call = DARI_CALL(.deadline_ns = 60 * DARI_MS);
    uint32_t found = 77, first = client->pending.next_xid;
    static const uint32_t ranges[][2] = {{5, 1}, {1, 9}};
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t reply[32];
        raw_reply(reply, first + i);
        dari_put_u32(reply + 20, 2); /* PROG_MISMATCH */
        dari_put_u32(reply + 24, ranges[i][0]);
        dari_put_u32(reply + 28, ranges[i][1]);
        raw_send_record(peer, reply, sizeof reply);
        uint64_t before = di_now();
        assert_int_equal(dari_client_find_version(client, ECHO, 1, 7, &found, &call),
                         i == 0 ? DARI_PROGRAM_MISMATCH : DARI_DEADLINE);
        if (i == 1)
            assert_in_range(di_now() - before, 60 * DARI_MS, 10 * DARI_S);
    }
    check_message(fixture, &call, "NULL: deadline of 60 ms passed, may have run");
    assert_int_equal(found, 77);
    raw_close(peer);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&call);
}

/* What each call was allowed. */
typedef struct shares {
    uint64_t allowed[8];
    unsigned count;
} shares;

static int note_share(const dari_client_call *call, void *user)
{
    shares *all = user;
    if (all->count < 8)
        all->allowed[all->count++] = call->allowed_ns;
    return 0;
}

/* Each call gets what those before have left. */
void versions_share_a_deadline(test_fixture *fixture)
{
    dari_interface next = echo_1_interface;
    shares all = {.count = 0};
    next.version = 5;
    fixture_listen(fixture);
    assert_int_equal(dari_server_add(fixture->server, &next, &echo_handlers, fixture), 0);
    fixture_start(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    dari_client_interceptor interceptor = {.before = note_share, .user = &all};
    assert_int_equal(dari_client_intercept(client, &interceptor), 0);
    dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_S);
    uint32_t found = 0;
    assert_int_equal(dari_client_find_version(client, ECHO, 2, 4, &found, &call),
                     DARI_PROGRAM_MISMATCH);
    assert_int_equal(all.count, 3);
    assert_in_range(all.allowed[0], 1, 10 * DARI_S);
    assert_in_range(all.allowed[1], 1, all.allowed[0] - 1);
    assert_in_range(all.allowed[2], 1, all.allowed[1] - 1);
    assert_int_equal(call.allowed_ns, 10 * DARI_S);
    fixture_stop(fixture);
    dari_client_close(client);
    dari_call_end(&call);
}
