/* SPDX-License-Identifier: MIT */
/* pipe:IN,OUT, and pairs of pipes for both sides of a fork.
 *
 * The one connection of a listener is made with it, and handed out by the first accept. An eventfd
 * says that it is there. */
#include "transport/pipe.h"

#include "transport/failure.h"
#include "transport/pipes.h"

#include <dari/error.h>
#include <dari/pipe.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct pipe_listener {
    di_listener head;
    di_connection *connection; /* NULL once it is handed out */
    char address[DARI_PIPE_ADDRESS_SIZE];
} pipe_listener;

/* Reads a descriptor's number, which `end` follows. Returns what comes after it, or NULL. */
static const char *parse_number(const char *text, char end, int *ret_number)
{
    long long number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (*at - '0');
        if (number > INT_MAX)
            return NULL;
    }
    if (at == text || *at != end || (*text == '0' && at > text + 1))
        return NULL;
    *ret_number = (int)number;
    return at + 1;
}

static int parse(const char *rest, int *ret_in, int *ret_out, di_failure *failure)
{
    const char *second = parse_number(rest, ',', ret_in);
    if (!second || !parse_number(second, '\0', ret_out))
        return di_fail(failure, DARI_ADDRESS, "two numbers of descriptors belong there: IN,OUT");
    if (*ret_in == *ret_out)
        return di_fail(failure, DARI_ADDRESS, "both descriptors are the same");
    const char *wrong = di_pipe_check(*ret_in, false);
    if (!wrong)
        wrong = di_pipe_check(*ret_out, true);
    return wrong ? di_fail(failure, DARI_ADDRESS, wrong) : 0;
}

/* Leaves in the place of a standard stream what does no harm. */
static void stand_in(int descriptor)
{
    if (descriptor == STDOUT_FILENO && dup2(STDERR_FILENO, descriptor) >= 0)
        return;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0)
        return;
    dup2(nothing, descriptor);
    close(nothing);
}

/* Finds a place for the descriptor that is no standard stream's: its own, or another one. The
 * original is there still. Returns -1 where there is none. */
static int place(int descriptor)
{
    if (descriptor > STDERR_FILENO)
        return fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0 ? -1 : descriptor;
    return fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static void give_back(int descriptor, int own)
{
    if (own >= 0 && own != descriptor)
        close(own);
}

/* Makes the connection, to which both descriptors belong then; after an error they are the
 * caller's, as they were. */
static int make_connection(const char *rest, di_connection **ret_connection, di_failure *failure)
{
    int in = -1, out = -1;
    di_pipes *pipes = NULL;
    int error = parse(rest, &in, &out, failure);
    if (error < 0)
        return error;
    int own_in = place(in);
    int own_out = own_in < 0 ? -1 : place(out);
    if (own_out < 0)
        error = di_fail_system(failure, errno, NULL);
    if (error == 0) {
        di_pipe_end read_end = di_pipe_end_shared(own_in, false);
        di_pipe_end write_end = di_pipe_end_shared(own_out, true);
        error = di_pipes_create(&read_end, &write_end, -1, "pipe:", &pipes);
    }
    if (error < 0) {
        give_back(in, own_in);
        give_back(out, own_out);
        return error;
    }
    if (own_in != in)
        stand_in(in);
    if (own_out != out)
        stand_in(out);
    *ret_connection = &pipes->stream.head;
    return 0;
}

static int pipe_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                        di_connection **ret_connection, di_failure *failure)
{
    (void)deadline;
    (void)options;
    return make_connection(rest, ret_connection, failure);
}

static int pipe_accept(di_listener *base, di_connection **ret_connection)
{
    pipe_listener *listener = (pipe_listener *)base;
    eventfd_t count;
    if (!listener->connection)
        return DI_BLOCKED;
    eventfd_read(listener->head.descriptor, &count);
    *ret_connection = listener->connection;
    listener->connection = NULL;
    return DI_MOVED;
}

static const char *pipe_address(const di_listener *listener)
{
    return ((const pipe_listener *)listener)->address;
}

static bool pipe_is_over(const di_listener *listener)
{
    return !((const pipe_listener *)listener)->connection;
}

static void pipe_close_listener(di_listener *base)
{
    pipe_listener *listener = (pipe_listener *)base;
    if (listener->connection)
        listener->connection->ops->close(listener->connection);
    close(listener->head.descriptor);
    free(listener);
}

static const di_listener_ops pipe_listener_ops = {
    .accept = pipe_accept,
    .address = pipe_address,
    .is_over = pipe_is_over,
    .close = pipe_close_listener,
};

static int pipe_listen(const char *rest, di_listener **ret_listener, di_failure *failure)
{
    pipe_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return DARI_NO_MEMORY;
    listener->head.ops = &pipe_listener_ops;
    listener->head.descriptor = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (listener->head.descriptor < 0) {
        int error = di_fail_system(failure, errno, NULL);
        free(listener);
        return error;
    }
    int error = make_connection(rest, &listener->connection, failure);
    if (error < 0) {
        pipe_close_listener(&listener->head);
        return error;
    }
    snprintf(listener->address, sizeof listener->address, "pipe:%s", rest);
    *ret_listener = &listener->head;
    return 0;
}

const di_transport di_pipe_transport = {
    .prefix = "pipe:",
    .once = true,
    .connect = pipe_connect,
    .listen = pipe_listen,
};

int dari_pipe_pair(dari_pipes *ret_pipes)
{
    int to_server[2], to_client[2];
    if (!ret_pipes)
        return DARI_INVALID;
    if (pipe2(to_server, O_CLOEXEC | O_NONBLOCK) < 0)
        return DARI_ERRNO;
    if (pipe2(to_client, O_CLOEXEC | O_NONBLOCK) < 0) {
        int cause = errno;
        close(to_server[0]);
        close(to_server[1]);
        errno = cause;
        return DARI_ERRNO;
    }
    *ret_pipes =
        (dari_pipes){.in = {to_client[0], to_server[0]}, .out = {to_server[1], to_client[1]}};
    snprintf(ret_pipes->client, sizeof ret_pipes->client, "pipe:%d,%d", to_client[0], to_server[1]);
    snprintf(ret_pipes->server, sizeof ret_pipes->server, "pipe:%d,%d", to_server[0], to_client[1]);
    return 0;
}

static void close_side(dari_pipes *pipes, unsigned side)
{
    if (pipes->in[side] >= 0)
        close(pipes->in[side]);
    if (pipes->out[side] >= 0)
        close(pipes->out[side]);
    pipes->in[side] = pipes->out[side] = -1;
}

void dari_pipe_keep(dari_pipes *pipes, enum dari_pipe_side side)
{
    close_side(pipes, 1u - (unsigned)side);
}

void dari_pipe_close(dari_pipes *pipes)
{
    close_side(pipes, DARI_PIPE_CLIENT);
    close_side(pipes, DARI_PIPE_SERVER);
}
