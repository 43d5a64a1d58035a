/* SPDX-License-Identifier: MIT */
#include "support/relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 64
#define DATAGRAM_MAX 65536

/* A datagram on its way. */
typedef struct delayed {
    struct delayed *next; /* by time */
    uint64_t due_ms;
    int descriptor; /* it goes out by, */
    struct sockaddr_in to;
    size_t size;
    uint8_t bytes[];
} delayed;

/* A client, with the socket by which the server sees it. */
typedef struct client {
    struct sockaddr_in address;
    int descriptor;
} client;

struct test_relay {
    relay_options options;
    uint64_t chance;
    struct sockaddr_in server;
    int front; /* the socket that clients see */
    int stop;
    client clients[CLIENTS_MAX];
    unsigned client_count;
    delayed *waiting;
    relay_counts counts;
    pthread_t thread;
    uint8_t bytes[DATAGRAM_MAX];
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static unsigned random_below(test_relay *relay, unsigned end)
{
    relay->chance = relay->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((relay->chance >> 33) % end);
}

static bool happens(test_relay *relay, unsigned of_1000)
{
    return random_below(relay, 1000) < of_1000;
}

static void delay(test_relay *relay, const delayed *one, const uint8_t *bytes)
{
    delayed *copy = malloc(sizeof *copy + one->size);
    if (!copy)
        return;
    *copy = *one;
    memcpy(copy->bytes, bytes, one->size);
    delayed **link = &relay->waiting;
    while (*link && (*link)->due_ms <= copy->due_ms)
        link = &(*link)->next;
    copy->next = *link;
    *link = copy;
}

static void send_on(const delayed *one, const uint8_t *bytes)
{
    sendto(one->descriptor, bytes, one->size, MSG_NOSIGNAL, (const struct sockaddr *)&one->to,
           sizeof one->to);
}

/* Lets chance decide what becomes of a datagram. */
static void pass(test_relay *relay, int descriptor, const struct sockaddr_in *to, size_t size)
{
    if (happens(relay, relay->options.lost)) {
        relay->counts.lost++;
        return;
    }
    unsigned copies = 1;
    if (happens(relay, relay->options.doubled)) {
        relay->counts.doubled++;
        copies = 2;
    }
    for (; copies > 0; copies--) {
        delayed one = {.descriptor = descriptor, .to = *to, .size = size};
        if (relay->options.delay_ms && happens(relay, relay->options.delayed)) {
            relay->counts.delayed++;
            one.due_ms = now_ms() + random_below(relay, relay->options.delay_ms + 1);
            delay(relay, &one, relay->bytes);
        } else {
            relay->counts.passed++;
            send_on(&one, relay->bytes);
        }
    }
}

static client *find_client(test_relay *relay, const struct sockaddr_in *address)
{
    for (unsigned i = 0; i < relay->client_count; i++)
        if (relay->clients[i].address.sin_port == address->sin_port &&
            relay->clients[i].address.sin_addr.s_addr == address->sin_addr.s_addr)
            return &relay->clients[i];
    if (relay->client_count == CLIENTS_MAX)
        return NULL;
    client *made = &relay->clients[relay->client_count];
    made->address = *address;
    made->descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made->descriptor < 0)
        return NULL;
    relay->client_count++;
    return made;
}

static void take_from_clients(test_relay *relay)
{
    struct sockaddr_in from;
    socklen_t from_size = sizeof from;
    ssize_t size;
    while ((size = recvfrom(relay->front, relay->bytes, sizeof relay->bytes, 0,
                            (struct sockaddr *)&from, &from_size)) >= 0) {
        const client *one = find_client(relay, &from);
        if (one)
            pass(relay, one->descriptor, &relay->server, (size_t)size);
    }
}

static void take_from_server(test_relay *relay, const client *one)
{
    ssize_t size;
    while ((size = recv(one->descriptor, relay->bytes, sizeof relay->bytes, 0)) >= 0)
        pass(relay, relay->front, &one->address, (size_t)size);
}

static void send_due(test_relay *relay)
{
    uint64_t now = now_ms();
    while (relay->waiting && relay->waiting->due_ms <= now) {
        delayed *one = relay->waiting;
        relay->waiting = one->next;
        relay->counts.passed++;
        send_on(one, one->bytes);
        free(one);
    }
}

static int time_left(const test_relay *relay)
{
    if (!relay->waiting)
        return -1;
    uint64_t now = now_ms();
    return relay->waiting->due_ms > now ? (int)(relay->waiting->due_ms - now) : 0;
}

static void *run(void *argument)
{
    test_relay *relay = argument;
    for (;;) {
        struct pollfd descriptors[CLIENTS_MAX + 2] = {{.fd = relay->stop, .events = POLLIN},
                                                      {.fd = relay->front, .events = POLLIN}};
        unsigned count = relay->client_count;
        for (unsigned i = 0; i < count; i++)
            descriptors[i + 2] =
                (struct pollfd){.fd = relay->clients[i].descriptor, .events = POLLIN};
        if (poll(descriptors, count + 2, time_left(relay)) < 0)
            continue;
        if (descriptors[0].revents)
            return NULL;
        if (descriptors[1].revents)
            take_from_clients(relay);
        for (unsigned i = 0; i < count; i++)
            if (descriptors[i + 2].revents)
                take_from_server(relay, &relay->clients[i]);
        send_due(relay);
    }
}

static void free_relay(test_relay *relay)
{
    for (unsigned i = 0; i < relay->client_count; i++)
        close(relay->clients[i].descriptor);
    for (delayed *next; relay->waiting; relay->waiting = next) {
        next = relay->waiting->next;
        free(relay->waiting);
    }
    if (relay->front >= 0)
        close(relay->front);
    if (relay->stop >= 0)
        close(relay->stop);
    free(relay);
}

test_relay *relay_start(const relay_options *options, const char *server_host, uint16_t server_port,
                        uint16_t *ret_port)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof here;
    test_relay *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->options = *options;
    made->chance = options->seed;
    made->server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(server_port)};
    inet_pton(AF_INET, server_host, &made->server.sin_addr);
    made->front = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    made->stop = eventfd(0, EFD_CLOEXEC);
    if (made->front < 0 || made->stop < 0 ||
        bind(made->front, (struct sockaddr *)&here, sizeof here) < 0 ||
        getsockname(made->front, (struct sockaddr *)&here, &size) < 0 ||
        pthread_create(&made->thread, NULL, run, made) != 0) {
        free_relay(made);
        return NULL;
    }
    *ret_port = ntohs(here.sin_port);
    return made;
}

relay_counts relay_stop(test_relay *relay)
{
    eventfd_write(relay->stop, 1);
    pthread_join(relay->thread, NULL);
    relay_counts counts = relay->counts;
    free_relay(relay);
    return counts;
}
