/* SPDX-License-Identifier: MIT */
#include "transport/universal.h"

#include <dari/error.h>

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    int family;
    const char *host;
    uint16_t port;
    const char *universal;
} pairs[] = {
    {AF_INET, "192.0.2.1", 2049, "192.0.2.1.8.1"},
    {AF_INET, "0.0.0.0", 0, "0.0.0.0.0.0"},
    {AF_INET, "255.255.255.255", 65535, "255.255.255.255.255.255"},
    {AF_INET, "127.0.0.1", 111, "127.0.0.1.0.111"},
    {AF_INET6, "::", 111, "::.0.111"},
    {AF_INET6, "::1", 256, "::1.1.0"},
    {AF_INET6, "2001:db8::1", 2049, "2001:db8::1.8.1"},
    {AF_INET6, "::ffff:192.0.2.1", 2049, "::ffff:192.0.2.1.8.1"},
    {AF_INET6, "1111:2222:3333:4444:5555:6666:7777:8888", 65535,
     "1111:2222:3333:4444:5555:6666:7777:8888.255.255"},
};

static di_socket_address make(int family, const char *host, uint16_t port)
{
    di_socket_address address = {.v6 = {0}};
    address.any.sa_family = (sa_family_t)family;
    void *bytes = family == AF_INET ? (void *)&address.v4.sin_addr : &address.v6.sin6_addr;
    assert_int_equal(inet_pton(family, host, bytes), 1);
    if (family == AF_INET)
        address.v4.sin_port = htons(port);
    else
        address.v6.sin6_port = htons(port);
    return address;
}

static void addresses_are_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[DI_UNIVERSAL_SIZE];
        di_socket_address address = make(pairs[i].family, pairs[i].host, pairs[i].port);
        assert_int_equal(di_universal_write(&address, text), 0);
        assert_string_equal(text, pairs[i].universal);
    }
}

static void addresses_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        di_socket_address wanted = make(pairs[i].family, pairs[i].host, pairs[i].port), address;
        memset(&address, 0xa5, sizeof address);
        assert_int_equal(di_universal_read(pairs[i].universal, &address), 0);
        assert_memory_equal(&address, &wanted, sizeof address);
        assert_int_equal(di_socket_port(&address), pairs[i].port);
    }
}

static void the_longest_address_fits(void **state)
{
    (void)state;
    char text[DI_UNIVERSAL_SIZE];
    di_socket_address address = {.v6 = {.sin6_family = AF_INET6, .sin6_port = 0xffff}};
    const char *longest = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255.255.255";
    assert_int_equal(strlen(longest) + 1, DI_UNIVERSAL_SIZE);
    assert_int_equal(di_universal_read(longest, &address), 0);
    assert_int_equal(di_universal_write(&address, text), 0);
    assert_string_equal(text, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff.255.255");
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        ".",
        "..",
        ".....",
        "1.2.3.4",
        "1.2.3.4.5",
        "1.2.3.4.5.6.7",
        "1.2.3.4.5.256",
        "1.2.3.256.5.6",
        "1.2.3.4.5.-6",
        "1.2.3.4.5.+6",
        " 1.2.3.4.5.6",
        "1.2.3.4.5.6 ",
        "1.2.3.4.5. 6",
        "1.2.3.4.05.6",
        "1.2.3.04.5.6",
        "1.2.3.4.5.00",
        "1.2..4.5.6",
        "1.2.3.4.5.",
        ".1.2.3.4.5",
        "1.2.3.4.0x5.6",
        "1.2.3.4.5.1000",
        "a.b.c.d.e.f",
        "localhost.1.1",
        "1.2.3.4.5.6\n",
        "::1",
        "::1.1",
        "::1.1.256",
        "::1.01.1",
        ":::1.1.1",
        "[::1].1.1",
        "fe80::1%lo.1.1",
        "12345::1.1.1",
        "::g.1.1",
        "1:2:3:4:5:6:7:8:9.1.1",
        "::1.1.1.1.1.1.1",
        "unix:/run/rpcbind.sock",
        "/run/rpcbind.sock",
        "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255.255.2555",
        "00000000000000000000000000000000000000000000000000000000000000000000000000000000001.1.1",
    };
    di_socket_address untouched, address;
    memset(&untouched, 0xa5, sizeof untouched);
    address = untouched;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (di_universal_read(wrong[i], &address) != DARI_ADDRESS)
            fail_msg("\"%s\" was read", wrong[i]);
        assert_memory_equal(&address, &untouched, sizeof address);
    }
}

static void other_families_have_no_universal_address(void **state)
{
    (void)state;
    char text[DI_UNIVERSAL_SIZE] = "as before";
    di_socket_address address = {.any = {.sa_family = AF_UNIX}};
    assert_int_equal(di_universal_write(&address, text), DARI_ADDRESS);
    assert_string_equal(text, "as before");
    assert_int_equal(di_socket_port(&address), 0);
}

static void network_ids(void **state)
{
    (void)state;
    assert_string_equal(di_netid(AF_INET, SOCK_STREAM), "tcp");
    assert_string_equal(di_netid(AF_INET6, SOCK_STREAM), "tcp6");
    assert_string_equal(di_netid(AF_INET, SOCK_DGRAM), "udp");
    assert_string_equal(di_netid(AF_INET6, SOCK_DGRAM), "udp6");
    assert_null(di_netid(AF_UNIX, SOCK_STREAM));
    assert_null(di_netid(AF_INET, SOCK_SEQPACKET));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_written),
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(the_longest_address_fits),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(other_families_have_no_universal_address),
        cmocka_unit_test(network_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
