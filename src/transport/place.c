/* SPDX-License-Identifier: MIT */
#include "transport/place.h"

#include "transport/failure.h"

#include <dari/error.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int parse_port(const char *text, di_place *place, di_failure *failure)
{
    size_t size = strlen(text);
    unsigned long number = 0;
    if (size == 0)
        return di_fail(failure, DARI_ADDRESS, "the port is missing");
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return di_fail(failure, DARI_ADDRESS, "the port is no number");
        number = number * 10 + (unsigned long)(text[i] - '0');
        if (number > 65535 || size > 5) {
            *failure = (di_failure){.words = "the port is too large", .allowed = 65535};
            failure->found = (int64_t)number;
            return DARI_ADDRESS;
        }
    }
    memcpy(place->port, text, size + 1);
    return 0;
}

int di_place_parse(const char *rest, di_place *place, di_failure *failure)
{
    place->bracketed = *rest == '[';
    const char *host = rest + place->bracketed;
    const char *end = place->bracketed ? strchr(host, ']') : strrchr(host, ':');
    if (place->bracketed && !end)
        return di_fail(failure, DARI_ADDRESS, "the bracket is not closed");
    if (!end)
        end = host + strlen(host);
    const char *colon = place->bracketed ? end + 1 : end;
    size_t size = (size_t)(end - host);
    if (size == 0)
        return di_fail(failure, DARI_ADDRESS, "the host is missing");
    if (*colon && *colon != ':')
        return di_fail(failure, DARI_ADDRESS, "the port is missing");
    if (size >= DI_HOST_SIZE) {
        *failure = (di_failure){.words = "the host name is too long",
                                .found = (int64_t)size,
                                .allowed = DI_HOST_SIZE - 1};
        return DARI_ADDRESS;
    }
    if (!place->bracketed && memchr(host, ':', size))
        return di_fail(failure, DARI_ADDRESS, "an IPv6 address belongs in brackets");
    memcpy(place->host, host, size);
    place->host[size] = '\0';
    *place->port = '\0';
    return *colon ? parse_port(colon + 1, place, failure) : 0;
}

void di_place_format(di_text *text, const char *prefix, const di_place *place, unsigned port)
{
    di_text_format(text, place->bracketed ? "%s[%s]:%u" : "%s%s:%u", prefix, place->host, port);
}

void di_place_peer(const char *prefix, const struct sockaddr *address, di_peer *ret_peer)
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool six = address->sa_family == AF_INET6;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    const void *bytes = six ? (const void *)&v6->sin6_addr : &v4->sin_addr;
    inet_ntop(address->sa_family, bytes, host, sizeof host);
    snprintf(ret_peer->address, sizeof ret_peer->address, six ? "%s[%s]:%u" : "%s%s:%u", prefix,
             host, (unsigned)ntohs(six ? v6->sin6_port : v4->sin_port));
    ret_peer->key[0] = (uint8_t)address->sa_family;
    memcpy(ret_peer->key + 1, bytes, six ? 16 : 4);
}

int di_place_of_socket(int descriptor, int family, di_place *ret_place,
                       di_socket_address *ret_address, di_failure *failure)
{
    socklen_t size = sizeof *ret_address;
    if (family != AF_INET && family != AF_INET6)
        return DARI_SCHEME;
    *ret_place = (di_place){.bracketed = family == AF_INET6};
    if (getsockname(descriptor, &ret_address->any, &size) < 0)
        return di_fail_system(failure, errno, NULL);
    if (getnameinfo(&ret_address->any, size, ret_place->host, sizeof ret_place->host, NULL, 0,
                    NI_NUMERICHOST))
        return DARI_ADDRESS;
    return 0;
}

unsigned di_bound_port(int descriptor)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &size) < 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}
