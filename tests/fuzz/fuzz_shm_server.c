/* SPDX-License-Identifier: MIT */
/* Fuzzes a server by a hostile client of shm: (shm_hostile.h has its script). Whatever that one
 * does, the server does not go on turning, loses that connection and nothing else, keeps no
 * descriptor, and answers another client. Run as fuzz_message.c, with the files of src/ipc,
 * src/transport and src/loop and with echo.c and shm_hostile.c beside it, and
 * -Wl,--wrap=recv,--wrap=send,--wrap=poll,--wrap=mmap,--wrap=mmap64,--wrap=munmap. */
#include "echo.h"
#include "fuzz/shm_hostile.h"
#include "ipc/memory.h"
#include "loop/server.h"
#include "transport/shm_connection.h"
#include "transport/stream.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIMIT 2000u
#define QUEUED_MAX 20000u
/* With loans: more than has to be there to be read in place. */
#define LOANS 131072u
#define LIMIT_LENT 100000u
#define TURNS_MAX 10000u

typedef struct victim {
    dari_server *server;
    unsigned entered;
    int witness; /* the other client's end */
} victim;

static int handle_nothing(dari_request *request)
{
    ((victim *)dari_request_user(request))->entered++;
    return 0;
}

static int handle_echo_data(dari_request *request, const opaque_data *arg, opaque_data *ret)
{
    ((victim *)dari_request_user(request))->entered++;
    *ret = *arg;
    return 0;
}

static int handle_add(dari_request *request, const pair *arg, int32_t *ret)
{
    ((victim *)dari_request_user(request))->entered++;
    *ret = (int32_t)((uint32_t)arg->a + (uint32_t)arg->b);
    return 0;
}

static int handle_fail(dari_request *request, const int32_t *arg)
{
    ((victim *)dari_request_user(request))->entered++;
    return *arg == DARI_LATER ? 1 : *arg;
}

static const echo_1_handlers handlers = {.nothing = handle_nothing,
                                         .echo_data = handle_echo_data,
                                         .add = handle_add,
                                         .fail = handle_fail};

/* Lets the server do all that it has to do now. */
static void turn(void *user)
{
    victim *self = user;
    struct pollfd one = {.fd = dari_server_descriptor(self->server), .events = POLLIN};
    unsigned turns = 0;
    int more = 1;
    while (more || poll(&one, 1, 0) > 0) {
        more = dari_server_dispatch(self->server);
        hostile_check(more >= 0);
        hostile_check(++turns < TURNS_MAX);
    }
}

static void add_session(victim *self, di_connection *connection, const char *address)
{
    hostile_check(di_session_create(self->server, connection, address, false) == 0);
}

static void open_victim(victim *self, uint8_t flags)
{
    int ends[2];
    di_connection *connection = NULL;
    dari_server_options options = {.message_max = LIMIT, .queued_max = LIMIT};
    if (flags & 0x20)
        options.queued_max = QUEUED_MAX;
    if (flags & 0x40)
        options.message_max = LIMIT_LENT;
    options.spin = flags % 64 == 1   ? DARI_SPIN_LATENCY
                   : flags % 16 == 0 ? DARI_SPIN_BALANCED
                                     : DARI_SPIN_NEVER;
    *self = (victim){0};
    hostile_check(dari_server_create(&options, &self->server) == 0);
    hostile_check(echo_1_serve(self->server, &handlers, self) == 0);
    hostile_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    hostile_check(di_stream_create(ends[0], NULL, &connection) == 0);
    add_session(self, connection, "unix:");
    self->witness = ends[1];
}

/* The other client calls, and is answered. */
static void check_witness(victim *self)
{
    uint8_t call[44] = {0}, reply[64];
    const uint32_t words[] = {0x80000028, 7, 0, 2, ECHO, ECHO_V1, 0};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        dari_put_u32(call + 4 * i, words[i]);
    hostile_check(send(self->witness, call, sizeof call, MSG_NOSIGNAL) == sizeof call);
    turn(self);
    hostile_check(recv(self->witness, reply, sizeof reply, MSG_DONTWAIT) == 28);
    hostile_check(dari_get_u32(reply + 4) == 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static victim self;
    hostile peer;
    int ends[2];
    di_connection *connection = NULL;
    if (size < HOSTILE_HEAD)
        return 0;
    uint64_t before = hostile_descriptors();
    open_victim(&self, data[HOSTILE_HEAD - 1]);
    hostile_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    hostile_begin(&peer, data, size, false, ends[1]);
    uint8_t how = data[HOSTILE_HEAD - 2], flags = data[HOSTILE_HEAD - 1];
    bool early = how % 2;
    if (flags & 0x40)
        peer.loans = LOANS;
    if (early)
        hostile_meet(&peer);
    const di_shm_terms terms = {.ring_size = (uint32_t)di_memory_page(),
                                .loans_max = flags & 0x80 ? LOANS / 2 : LOANS,
                                .in_place = how & 2};
    hostile_check(di_shm_create_server(ends[0], &terms, &connection) == 0);
    add_session(&self, connection, "shm:");
    peer.turn = turn;
    peer.user = &self;
    if (!early)
        hostile_meet(&peer);
    turn(&self);
    hostile_hear(&peer);
    hostile_act(&peer);
    turn(&self);
    check_witness(&self);
    hostile_end(&peer);
    turn(&self);
    /* Who does not read its replies, or calls too much, has hung up all the same. */
    hostile_check(self.server->connections == 1);
    close(self.witness);
    turn(&self);
    hostile_check(self.server->sessions == NULL);
    dari_server_destroy(self.server);
    hostile_check(hostile_descriptors() == before);
    return 0;
}
