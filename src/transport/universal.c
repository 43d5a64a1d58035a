/* SPDX-License-Identifier: MIT */
#include "transport/universal.h"

#include <dari/error.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *di_netid(int family, int type)
{
    if (family != AF_INET && family != AF_INET6)
        return NULL;
    if (type == SOCK_STREAM)
        return family == AF_INET6 ? "tcp6" : "tcp";
    if (type == SOCK_DGRAM)
        return family == AF_INET6 ? "udp6" : "udp";
    return NULL;
}

unsigned di_socket_port(const di_socket_address *address)
{
    switch (address->any.sa_family) {
    case AF_INET:
        return ntohs(address->v4.sin_port);
    case AF_INET6:
        return ntohs(address->v6.sin6_port);
    default:
        return 0;
    }
}

int di_universal_write(const di_socket_address *address, char ret_text[DI_UNIVERSAL_SIZE])
{
    char host[INET6_ADDRSTRLEN];
    int family = address->any.sa_family;
    if (family != AF_INET && family != AF_INET6)
        return DARI_ADDRESS;
    const void *bytes =
        family == AF_INET ? (const void *)&address->v4.sin_addr : &address->v6.sin6_addr;
    if (!inet_ntop(family, bytes, host, sizeof host))
        return DARI_ADDRESS;
    unsigned port = di_socket_port(address);
    int size = snprintf(ret_text, DI_UNIVERSAL_SIZE, "%s.%u.%u", host, port >> 8, port & 255);
    return size < DI_UNIVERSAL_SIZE ? 0 : DARI_ADDRESS;
}

/* Reads a number of 0 to 255 that ends at `end`. */
static bool read_byte(const char *at, const char *end, uint8_t *ret_byte)
{
    unsigned number = 0;
    if (at == end || end - at > 3 || (*at == '0' && end - at > 1))
        return false;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        number = number * 10 + (unsigned)(*at - '0');
    }
    *ret_byte = (uint8_t)number;
    return number <= 255;
}

/* The dot before `end`, or NULL. */
static const char *dot_before(const char *text, const char *end)
{
    while (end > text)
        if (*--end == '.')
            return end;
    return NULL;
}

/* Reads h.h.h.h, up to `end`. */
static bool read_host(const char *text, const char *end, uint8_t ret_host[4])
{
    for (int i = 3; i >= 0; i--) {
        const char *dot = i ? dot_before(text, end) : NULL;
        if ((i && !dot) || !read_byte(dot ? dot + 1 : text, end, &ret_host[i]))
            return false;
        end = dot;
    }
    return true;
}

int di_universal_read(const char *text, di_socket_address *ret_address)
{
    char host[INET6_ADDRSTRLEN];
    uint8_t port[2];
    size_t size = strnlen(text, DI_UNIVERSAL_SIZE);
    const char *end = text + size;
    const char *low = dot_before(text, end);
    const char *high = low ? dot_before(text, low) : NULL;
    di_socket_address address = {.v6 = {0}};
    if (size == DI_UNIVERSAL_SIZE || !high || !read_byte(high + 1, low, &port[0]) ||
        !read_byte(low + 1, end, &port[1]) || high >= text + INET6_ADDRSTRLEN)
        return DARI_ADDRESS;
    memcpy(host, text, (size_t)(high - text));
    host[high - text] = '\0';
    if (strchr(host, ':')) {
        address.v6.sin6_family = AF_INET6;
        memcpy(&address.v6.sin6_port, port, sizeof port);
        if (inet_pton(AF_INET6, host, &address.v6.sin6_addr) != 1)
            return DARI_ADDRESS;
    } else {
        uint8_t bytes[4];
        address.v4.sin_family = AF_INET;
        memcpy(&address.v4.sin_port, port, sizeof port);
        if (!read_host(text, high, bytes))
            return DARI_ADDRESS;
        memcpy(&address.v4.sin_addr, bytes, sizeof bytes);
    }
    *ret_address = address;
    return 0;
}
