/* SPDX-License-Identifier: MIT */
/* Fuzzes a whole client by a hostile server: some calls are in flight while a stream comes in
 * portions, both from the input; then a synchronous call meets what is left of it. Every call ends
 * once, with a result that can be read or with an error. Run as fuzz_server.c. */
#include "echo.h"
#include "loop/client.h"

#include <dari/error.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD 8 /* how many calls, then the portions in which the stream comes */
#define IN_FLIGHT_MAX 8u
#define LIMIT 2000u

typedef struct flying {
    dari_call call;
    unsigned ended;
} flying;

static void check(int holds)
{
    if (!holds)
        abort();
}

static void check_error(int error)
{
    check(error <= 0 && error != DARI_INVALID && error != DARI_NO_MEMORY && error != DARI_ERRNO);
}

static void end(void *user, dari_call *call)
{
    ((flying *)user)->ended++;
    check_error(call->error);
}

static void end_add(void *user, const int32_t *ret, dari_call *call)
{
    check((ret != NULL) == (call->error == 0));
    end(user, call);
}

/* Looks at every byte, so that a sanitizer sees those that are not there. */
static unsigned sum_of(const opaque_data *data)
{
    unsigned sum = 0;
    for (uint32_t i = 0; i < data->size; i++)
        sum += data->data[i];
    return sum;
}

static void end_echo(void *user, const opaque_data *ret, dari_call *call)
{
    check((ret != NULL) == (call->error == 0));
    if (ret)
        check(ret->size <= LIMIT && sum_of(ret) <= 255 * LIMIT);
    end(user, call);
}

/* Listens at a name of this process's own, and puts the address together. */
static int listen_anywhere(char *address, size_t room)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int size = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "dari-fuzz-%d", getpid());
    socklen_t whole = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)size;
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(listening >= 0);
    check(bind(listening, (struct sockaddr *)&name, whole) == 0);
    check(listen(listening, 4) == 0);
    snprintf(address, room, "unix:@%s", name.sun_path + 1);
    return listening;
}

static void start(dari_client *client, flying *all, unsigned count)
{
    static const uint8_t bytes[100];
    for (unsigned i = 0; i < count; i++) {
        flying *one = &all[i];
        one->call.deadline_ns = 20 * DARI_S;
        int error = i % 3 == 0   ? nothing_1_start(client, &one->call, end, one)
                    : i % 3 == 1 ? add_1_start(client, &(pair){1, 2}, &one->call, end_add, one)
                                 : echo_data_1_start(client, &(opaque_data){sizeof bytes, bytes},
                                                     &one->call, end_echo, one);
        check(error == 0);
    }
}

/* Lets the client do all that it has to do now. */
static void turn(dari_client *client)
{
    struct pollfd one = {.fd = dari_client_descriptor(client), .events = POLLIN};
    unsigned turns = 0;
    int more = 1;
    while (more || dari_client_timeout_ns(client) == 0 || poll(&one, 1, 0) > 0) {
        more = dari_client_dispatch(client);
        check(more >= 0);
        check(++turns < 10000);
    }
}

/* Sends what the connection takes: the client may have ended it. */
static void send_portions(dari_client *client, int peer, const uint8_t *data, size_t size)
{
    size_t done = HEAD;
    for (unsigned portion = 1; done < size; portion++) {
        size_t part = 1 + (size_t)data[portion % HEAD] * data[portion % HEAD];
        if (part > size - done)
            part = size - done;
        ssize_t sent = send(peer, data + done, part, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return;
        done += (size_t)sent;
        turn(client);
    }
}

static void call_after_all(dari_client *client)
{
    dari_call call = {.deadline_ns = 20 * DARI_S};
    opaque_data ret = {0};
    int error = echo_data_1(client, &(opaque_data){0}, &ret, &call);
    check_error(error);
    check(error == call.error && error != DARI_DEADLINE);
    if (error == 0)
        check(sum_of(&ret) <= 255 * LIMIT);
    check(*dari_call_message(&call) != '\0');
    dari_call_end(&call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char address[128];
    flying all[IN_FLIGHT_MAX] = {0};
    dari_client *client = NULL;
    dari_client_options options = {.message_max = LIMIT, .no_reconnect = true};
    if (size < HEAD)
        return 0;
    unsigned count = data[0] % (IN_FLIGHT_MAX + 1);
    int listening = listen_anywhere(address, sizeof address);
    check(dari_connect(address, &options, &client) == 0);
    int peer = accept(listening, NULL, NULL);
    check(peer >= 0);
    client->pending.next_xid = 1;
    start(client, all, count);
    send_portions(client, peer, data, size);
    /* No more comes: what waits for it ends at once. */
    shutdown(peer, SHUT_WR);
    if (data[0] & 0x80)
        turn(client);
    call_after_all(client);
    dari_client_close(client);
    for (unsigned i = 0; i < count; i++) {
        check(all[i].ended == 1);
        dari_call_end(&all[i].call);
    }
    close(peer);
    close(listening);
    return 0;
}
