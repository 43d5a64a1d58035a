/* SPDX-License-Identifier: MIT */
/* What the cases of the suite share. */
#include "conformance/cases.h"

#include "support/child.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

uint8_t *pattern(size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 131 + (i >> 8));
    return bytes;
}

void check_echo(dari_client *client, size_t size)
{
    dari_call call = {0};
    uint8_t *bytes = pattern(size);
    opaque_data arg = {(uint32_t)size, bytes}, ret = {0};
    if (echo_data_1(client, &arg, &ret, &call) < 0)
        fail_msg("%zu bytes: %s", size, dari_call_message(&call));
    assert_int_equal(ret.size, size);
    if (size)
        assert_memory_equal(ret.data, bytes, size);
    free(bytes);
    dari_call_end(&call);
}

void check_add(dari_client *client)
{
    int32_t sum = 0;
    assert_int_equal(add_1(client, &(pair){40, 2}, &sum, NULL), 0);
    assert_int_equal(sum, 42);
}

void check_message(test_fixture *fixture, dari_call *call, const char *rest)
{
    char expected[512];
    snprintf(expected, sizeof expected, "%s: %s", fixture->address, rest);
    assert_string_equal(dari_call_message(call), expected);
}

void check_child(int (*child)(test_fixture *), test_fixture *fixture)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_exit(child(fixture) & 0xff);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child failed: status %#x, line %d", (unsigned)status, WEXITSTATUS(status));
}

bool step(dari_server *server, int milliseconds)
{
    struct pollfd one = {.fd = dari_server_descriptor(server), .events = POLLIN};
    uint64_t timeout = dari_server_timeout_ns(server);
    int limit =
        timeout < (uint64_t)milliseconds * DARI_MS ? (int)(timeout / DARI_MS) + 1 : milliseconds;
    int ready = poll(&one, 1, limit);
    int more;
    while ((more = dari_server_dispatch(server)) == 1)
        continue;
    assert_int_equal(more, 0);
    return ready > 0;
}

void queue_echo(di_connection *peer, uint32_t xid, uint32_t size)
{
    uint8_t *room = NULL;
    assert_int_equal(peer->ops->reserve(peer, 48 + size, &room), 0);
    dari_put_u32(room, 0x80000000u | (44 + size));
    uint8_t *at = raw_call(room + 4, xid, ECHO, ECHO_V1, 1);
    dari_put_u32(at, size);
    memset(at + 4, (int)xid, size);
    peer->ops->commit(peer, 48 + size);
}
