/* SPDX-License-Identifier: MIT */
#include "conformance/udp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void serve(test_fixture *fixture)
{
    fixture->scheme = scheme_named("udp4");
    fixture_begin(fixture);
    fixture_serve(fixture);
}

int open_socket(uint16_t port, uint16_t *ret_own)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in other = own;
    socklen_t size = sizeof own;
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    other.sin_port = htons(port);
    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&own, sizeof own), 0);
    if (port)
        assert_int_equal(connect(descriptor, (struct sockaddr *)&other, sizeof other), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&own, &size), 0);
    if (ret_own)
        *ret_own = ntohs(own.sin_port);
    return descriptor;
}

bool readable(int descriptor, int milliseconds)
{
    struct pollfd one = {.fd = descriptor, .events = POLLIN};
    return poll(&one, 1, milliseconds) == 1;
}

size_t take(int descriptor, uint8_t *bytes, size_t room, struct sockaddr_in *ret_from)
{
    socklen_t size = sizeof *ret_from;
    assert_true(readable(descriptor, PATIENCE_MS));
    ssize_t got =
        recvfrom(descriptor, bytes, room, 0, (struct sockaddr *)ret_from, ret_from ? &size : NULL);
    assert_true(got >= 0);
    return (size_t)got;
}

void give(int descriptor, const uint8_t *bytes, size_t size, const struct sockaddr_in *to)
{
    assert_int_equal(
        sendto(descriptor, bytes, size, 0, (const struct sockaddr *)to, to ? sizeof *to : 0),
        (ssize_t)size);
}

dari_client *connect_to_port(uint16_t port, const dari_client_options *options)
{
    char address[64];
    dari_client *client = NULL;
    snprintf(address, sizeof address, "udp://127.0.0.1:%u", port);
    assert_int_equal(dari_connect(address, options, &client), 0);
    return client;
}
