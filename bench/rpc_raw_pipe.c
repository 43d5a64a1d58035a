/* SPDX-License-Identifier: MIT */
/* The raw client and server over two pipes, or two FIFOs: as rpc_raw.c, with read and write. */
#include "rpc_raw.h"
#include "rpc_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_MS 25000
#define PATH_SIZE 112

typedef struct raw_pipes {
    int in, out;
    uint8_t bytes[256];
} raw_pipes;

/* The FIFOs beside a place, that to the server and that to the client. */
static void name_fifos(const rpc_place *place, char ret_names[2][PATH_SIZE])
{
    snprintf(ret_names[0], PATH_SIZE, "%s.s", place->path);
    snprintf(ret_names[1], PATH_SIZE, "%s.c", place->path);
}

/* Opens both ends of one side, which do not block. FIFOs are opened for both directions: that does
 * not wait for the other side. */
static bool open_ends(const rpc_place *place, bool serves, raw_pipes *pipes)
{
    if (place->scheme == RPC_PIPE) {
        pipes->in = serves ? place->server_in : place->client_in;
        pipes->out = serves ? place->server_out : place->client_out;
    } else {
        char names[2][PATH_SIZE];
        name_fifos(place, names);
        pipes->in = open(names[serves ? 0 : 1], O_RDWR | O_CLOEXEC);
        pipes->out = open(names[serves ? 1 : 0], O_RDWR | O_CLOEXEC);
    }
    return pipes->in >= 0 && pipes->out >= 0 && fcntl(pipes->in, F_SETFL, O_NONBLOCK) == 0 &&
           fcntl(pipes->out, F_SETFL, O_NONBLOCK) == 0;
}

static void close_client(void *context)
{
    raw_pipes *pipes = context;
    close(pipes->in);
    close(pipes->out);
    free(pipes);
}

static void *open_client(const rpc_place *place)
{
    raw_pipes *pipes = calloc(1, sizeof *pipes);
    if (pipes && open_ends(place, false, pipes))
        return pipes;
    free(pipes);
    return NULL;
}

static bool call_nothing(raw_pipes *pipes, uint32_t xid)
{
    struct pollfd descriptor = {.fd = pipes->in, .events = POLLIN};
    wire_write_mark(pipes->bytes, WIRE_CALL);
    wire_write_call(pipes->bytes + WIRE_MARK, xid, WIRE_NOTHING);
    if (write(pipes->out, pipes->bytes, WIRE_MARK + WIRE_CALL) != WIRE_MARK + WIRE_CALL)
        return false;
    int count;
    do
        count = poll(&descriptor, 1, TIMEOUT_MS);
    while (count < 0 && errno == EINTR);
    return count == 1 &&
           read(pipes->in, pipes->bytes, sizeof pipes->bytes) == WIRE_MARK + WIRE_REPLY &&
           wire_read_reply(pipes->bytes + WIRE_MARK, xid);
}

static bool nothing(void *context, uint64_t rounds, uint64_t seed)
{
    bool right = true;
    for (uint64_t round = 0; right && round < rounds; round++)
        right = call_nothing(context, (uint32_t)measure_mix(seed, round));
    return right;
}

static bool answer(raw_pipes *pipes)
{
    uint32_t procedure;
    ssize_t size = read(pipes->in, pipes->bytes, sizeof pipes->bytes);
    if (size != WIRE_MARK + WIRE_CALL || codec_load_be32(pipes->bytes) != (WIRE_LAST | WIRE_CALL) ||
        !wire_read_call(pipes->bytes + WIRE_MARK, &procedure) || procedure != WIRE_NOTHING)
        return false;
    uint32_t xid = codec_load_be32(pipes->bytes + WIRE_MARK);
    wire_write_mark(pipes->bytes, WIRE_REPLY);
    wire_write_reply(pipes->bytes + WIRE_MARK, xid);
    return write(pipes->out, pipes->bytes, WIRE_MARK + WIRE_REPLY) == WIRE_MARK + WIRE_REPLY;
}

static void serve(rpc_place *place, int ready)
{
    raw_pipes pipes = {.in = -1};
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    char names[2][PATH_SIZE];
    name_fifos(place, names);
    if (place->scheme == RPC_FIFO && (mkfifo(names[0], 0600) < 0 || mkfifo(names[1], 0600) < 0))
        return;
    if (!open_ends(place, true, &pipes) || epoll_ctl(epoll, EPOLL_CTL_ADD, pipes.in, &event) < 0)
        return;
    rpc_server_ready(place, ready);
    for (;;) {
        int count = epoll_wait(epoll, &event, 1, -1);
        if (count < 0 && errno != EINTR)
            return;
        if (count == 1 && !answer(&pipes))
            _exit(0); /* the client may go first */
    }
}

const rpc_subject rpc_raw_pipe = {
    .name = "raw",
    .serve = serve,
    .open = open_client,
    .close = close_client,
    .nothing = nothing,
};
