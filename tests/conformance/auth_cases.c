/* SPDX-License-Identifier: MIT */
/* AUTH_SYS credentials of a client's calls, of every kind. */
#include "conformance/cases.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* What the calls of a server are expected to carry, and how many did. */
typedef struct doorman {
    dari_auth_sys expected; /* a group_count of UINT32_MAX: none */
    atomic_uint good, bad;
} doorman;

static int look(dari_request *request, void *user)
{
    doorman *self = user;
    dari_auth_sys got;
    memset(&got, 0, sizeof got);
    bool none = self->expected.group_count == UINT32_MAX;
    bool good = dari_request_auth_sys(request, &got) == 0
                    ? !none && strcmp(got.machine, self->expected.machine) == 0 &&
                          got.stamp == self->expected.stamp && got.uid == self->expected.uid &&
                          got.gid == self->expected.gid &&
                          got.group_count == self->expected.group_count &&
                          memcmp(got.groups, self->expected.groups, 4 * got.group_count) == 0
                    : none;
    atomic_fetch_add(good ? &self->good : &self->bad, 1);
    return 0;
}

static void serve(test_fixture *fixture, doorman *door)
{
    fixture_listen(fixture);
    assert_int_equal(
        dari_server_intercept(fixture->server, &(dari_interceptor){.before = look, .user = door}),
        0);
    fixture_start(fixture);
}

static void count_done(void *user, dari_call *call)
{
    assert_int_equal(call->error, 0);
    ++*(unsigned *)user;
}

/* Large arguments are not copied, ones in flight are kept, idempotent ones are copied. */
static void check_calls(test_fixture *fixture, doorman *door)
{
    dari_client *client =
        fixture_connect(fixture, &(dari_client_options){.auth_sys = &door->expected});
    dari_call call = {0};
    unsigned done = 0, before = atomic_load(&door->good);
    check_add(client);
    check_echo(client, 1);
    check_echo(client, 50000);
    if (!fixture->scheme->datagrams)
        check_echo(client, 300000);
    assert_int_equal(nothing_1_start(client, &call, count_done, &done), 0);
    assert_int_equal(dari_client_wait(client, 20 * DARI_S), 0);
    assert_int_equal(done, 1);
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    assert_int_equal(dari_client_idempotent(client, &echo_1_interface, ADD), 0);
    check_add(client);
    assert_int_equal(dari_client_ping(client, ECHO, ECHO_V1, NULL), 0);
    assert_in_range(atomic_load(&door->good) - before, 6, 8);
    assert_int_equal(atomic_load(&door->bad), 0);
    dari_client_close(client);
    dari_call_end(&call);
}

void calls_carry_auth_sys(test_fixture *fixture)
{
    doorman door = {.expected = {.stamp = 7, .uid = 1000, .gid = 100, .machine = "m"}};
    serve(fixture, &door);
    check_calls(fixture, &door);
    fixture_stop(fixture);
}

void the_largest_auth_sys(test_fixture *fixture)
{
    doorman door = {.expected = {.group_count = DARI_AUTH_SYS_GROUPS_MAX}};
    memset(door.expected.machine, 'm', DARI_AUTH_SYS_NAME_MAX);
    for (uint32_t i = 0; i < DARI_AUTH_SYS_GROUPS_MAX; i++)
        door.expected.groups[i] = UINT32_MAX - i;
    serve(fixture, &door);
    check_calls(fixture, &door);
    fixture_stop(fixture);
}

void auth_sys_over_its_limits(test_fixture *fixture)
{
    fixture_serve(fixture);
    dari_client *client = NULL;
    dari_auth_sys auth = {.group_count = DARI_AUTH_SYS_GROUPS_MAX + 1};
    const dari_client_options options = {.auth_sys = &auth};
    assert_int_equal(dari_connect(fixture->address, &options, &client), DARI_INVALID);
    auth.group_count = 0;
    memset(auth.machine, 'm', sizeof auth.machine);
    assert_int_equal(dari_connect(fixture->address, &options, &client), DARI_INVALID);
    assert_null(client);
    fixture_stop(fixture);
}

void no_auth_sys_unless_asked_for(test_fixture *fixture)
{
    doorman door = {.expected = {.group_count = UINT32_MAX}};
    serve(fixture, &door);
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    assert_int_equal(atomic_load(&door.good), 1);
    dari_client_close(client);
    fixture_stop(fixture);
}

void auth_sys_of_this_process(test_fixture *fixture)
{
    doorman door = {.expected = {0}};
    dari_auth_sys_self(&door.expected);
    char name[DARI_AUTH_SYS_NAME_MAX + 1] = "";
    gethostname(name, sizeof name - 1);
    assert_string_equal(door.expected.machine, name);
    assert_int_equal(door.expected.uid, geteuid());
    assert_int_equal(door.expected.gid, getegid());
    serve(fixture, &door);
    check_calls(fixture, &door);
    fixture_stop(fixture);
}
