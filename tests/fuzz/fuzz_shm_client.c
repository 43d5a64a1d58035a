/* SPDX-License-Identifier: MIT */
/* Fuzzes a client by a hostile server of shm: (shm_hostile.h has its script): some calls are in
 * flight while that one acts; then a synchronous call meets what is left of it. Every call ends
 * once, with a result that can be read or with an error, and no descriptor is kept. Run as
 * fuzz_shm_server.c. */
#include "echo.h"
#include "fuzz/shm_hostile.h"
#include "loop/client.h"

#include <dari/error.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define IN_FLIGHT_MAX 32u /* several times what the ring has room for */
#define LIMIT 2000u
#define TURNS_MAX 10000u

typedef struct flying {
    dari_call call;
    bool started; /* the connection was there still */
    unsigned ended;
} flying;

static void check_error(int error)
{
    hostile_check(error <= 0 && error != DARI_INVALID && error != DARI_NO_MEMORY &&
                  error != DARI_ERRNO);
}

static void end(void *user, dari_call *call)
{
    ((flying *)user)->ended++;
    check_error(call->error);
}

static void end_add(void *user, const int32_t *ret, dari_call *call)
{
    hostile_check((ret != NULL) == (call->error == 0));
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
    hostile_check((ret != NULL) == (call->error == 0));
    if (ret)
        hostile_check(ret->size <= LIMIT && sum_of(ret) <= 255 * LIMIT);
    end(user, call);
}

/* Where the hostile server listens: in a folder of this process's own. */
static char folder[] = "/tmp/dari-fuzz-XXXXXX";
static char address[sizeof folder + 16];

static void remove_folder(void)
{
    unlink(address + strlen("shm:"));
    rmdir(folder);
}

static int listen_once(void)
{
    static int listening = -1;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (listening >= 0)
        return listening;
    hostile_check(mkdtemp(folder) != NULL);
    snprintf(address, sizeof address, "shm:%s/socket", folder);
    snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", folder);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    hostile_check(listening >= 0);
    hostile_check(bind(listening, (struct sockaddr *)&name, sizeof name) == 0);
    hostile_check(atexit(remove_folder) == 0 && listen(listening, 4) == 0);
    return listening;
}

static void start(dari_client *client, flying *all, unsigned count)
{
    static const uint8_t bytes[1900];
    for (unsigned i = 0; i < count; i++) {
        flying *one = &all[i];
        one->call.deadline_ns = 20 * DARI_S;
        int error = i % 3 == 0   ? nothing_1_start(client, &one->call, end, one)
                    : i % 3 == 1 ? add_1_start(client, &(pair){1, 2}, &one->call, end_add, one)
                                 : echo_data_1_start(client, &(opaque_data){sizeof bytes, bytes},
                                                     &one->call, end_echo, one);
        check_error(error);
        one->started = error == 0;
    }
}

/* Lets the client do all that it has to do now. */
static void turn(void *user)
{
    dari_client *client = user;
    struct pollfd one = {.fd = dari_client_descriptor(client), .events = POLLIN};
    unsigned turns = 0;
    int more = 1;
    while (more || dari_client_timeout_ns(client) == 0 || poll(&one, 1, 0) > 0) {
        more = dari_client_dispatch(client);
        hostile_check(more >= 0);
        hostile_check(++turns < TURNS_MAX);
    }
}

static void call_after_all(dari_client *client)
{
    dari_call call = {.deadline_ns = 20 * DARI_S};
    opaque_data ret = {0};
    int error = echo_data_1(client, &(opaque_data){0}, &ret, &call);
    check_error(error);
    hostile_check(error == call.error && error != DARI_DEADLINE);
    if (error == 0)
        hostile_check(sum_of(&ret) <= 255 * LIMIT);
    hostile_check(*dari_call_message(&call) != '\0');
    dari_call_end(&call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    flying all[IN_FLIGHT_MAX] = {0};
    hostile peer;
    dari_client *client = NULL;
    if (size < HOSTILE_HEAD)
        return 0;
    int listening = listen_once();
    uint64_t before = hostile_descriptors();
    uint8_t flags = data[HOSTILE_HEAD - 1];
    dari_client_options options = {.message_max = LIMIT, .no_reconnect = true};
    options.spin = flags % 16 == 0 ? DARI_SPIN_BALANCED : DARI_SPIN_NEVER;
    unsigned count = data[HOSTILE_HEAD - 2] % (IN_FLIGHT_MAX + 1);
    hostile_check(dari_connect(address, &options, &client) == 0);
    int socket = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    hostile_check(socket >= 0);
    client->pending.next_xid = 1;
    hostile_begin(&peer, data, size, true, socket);
    peer.turn = turn;
    peer.user = client;
    if (flags & 0x80)
        start(client, all, count);
    hostile_meet(&peer);
    if (!(flags & 0x80))
        start(client, all, count);
    turn(client);
    hostile_act(&peer);
    /* No more comes: what waits for it ends at once. */
    shutdown(peer.socket, SHUT_WR);
    if (flags & 0x40)
        turn(client);
    call_after_all(client);
    dari_client_close(client);
    for (unsigned i = 0; i < count; i++) {
        hostile_check(all[i].ended == all[i].started);
        dari_call_end(&all[i].call);
    }
    hostile_end(&peer);
    hostile_check(hostile_descriptors() == before);
    return 0;
}
