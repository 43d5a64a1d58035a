/* SPDX-License-Identifier: MIT */
#include "conformance/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

lookup with;

const char *universal(const char *host)
{
    static char text[80];
    unsigned port = (unsigned)atoi(strrchr(with.server.address, ':') + 1);
    snprintf(text, sizeof text, "%s.%u.%u", host, port >> 8, port & 255);
    return text;
}

int lookup_set_up(void **state)
{
    (void)state;
    with = (lookup){.program = echo_1_interface.program,
                    .version = echo_1_interface.version,
                    .server = {.scheme = scheme_named("tcp4")}};
    fixture_begin(&with.server);
    fixture_serve(&with.server);
    fake_start(&with.rpcbind, FAKE_ALL);
    fake_add(&with.rpcbind, with.program, with.version, "tcp", universal("127.0.0.1"), "1");
    return 0;
}

int lookup_tear_down(void **state)
{
    (void)state;
    dari_client_close(with.client);
    dari_call_end(&with.call);
    fake_stop(&with.rpcbind);
    fixture_end(&with.server);
    return 0;
}

int try_connect(const char *address, const dari_interface *interface)
{
    dari_client_options options = {
        .rpcbind = with.rpcbind.address, .interface = interface, .call = &with.call};
    return dari_connect(address, &options, &with.client);
}

void close_client(void)
{
    dari_client_close(with.client);
    with.client = NULL;
}

int try_add(void)
{
    int32_t sum = 0;
    int error = add_1(with.client, &(pair){40, 2}, &sum, &with.call);
    assert_int_equal(sum, error ? 0 : 42);
    return error;
}

void says(const char *words)
{
    assert_string_equal(dari_call_message(&with.call), words);
}
