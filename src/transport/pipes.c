/* SPDX-License-Identifier: MIT */
#include "transport/pipes.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Whether the other side's process has died. */
static bool is_dead(const di_pipes *pipes)
{
    struct pollfd one = {.fd = pipes->process, .events = POLLIN};
    return pipes->process >= 0 && poll(&one, 1, 0) > 0;
}

/* What a process wrote before it died is still there. */
static ssize_t pipes_receive(di_stream *stream, void *bytes, size_t size)
{
    di_pipes *pipes = (di_pipes *)stream;
    if (atomic_load_explicit(&pipes->is_shut, memory_order_relaxed))
        return 0;
    ssize_t got = pipes->await ? pipes->await(pipes) : 1;
    if (got <= 0)
        return got;
    got = di_pipe_end_read(&pipes->in, bytes, size);
    if (got >= 0 || errno != EAGAIN || pipes->process < 0)
        return got;
    if (!is_dead(pipes)) {
        errno = EAGAIN;
        return -1;
    }
    got = di_pipe_end_read(&pipes->in, bytes, size);
    return got < 0 && errno == EAGAIN ? 0 : got;
}

static ssize_t pipes_send_pieces(di_stream *stream, struct iovec *pieces, size_t count)
{
    di_pipes *pipes = (di_pipes *)stream;
    if (atomic_load_explicit(&pipes->is_shut, memory_order_relaxed)) {
        errno = EPIPE;
        return -1;
    }
    return di_pipe_end_write(&pipes->out, pieces, count);
}

static ssize_t pipes_send(di_stream *stream, const void *bytes, size_t size)
{
    struct iovec piece = {(void *)(uintptr_t)bytes, size};
    return pipes_send_pieces(stream, &piece, 1);
}

static void pipes_peer(const di_stream *stream, di_peer *ret_peer)
{
    *ret_peer = ((const di_pipes *)stream)->peer;
}

/* Wakes who waits for the reading end, by a byte that nobody reads any more. */
static void wake_readers(int descriptor)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    di_pipe_end end = di_pipe_end_own(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (end.descriptor < 0)
        return;
    di_pipe_end_write(&end, &(struct iovec){path, 1}, 1);
    close(end.descriptor);
}

/* There is no shutdown for pipes, and another thread may use the descriptors, so that they stay
 * taken: the writing end becomes one more of the reading end, whereby the peer finds the end of the
 * file. */
static void pipes_shut(di_stream *stream)
{
    di_pipes *pipes = (di_pipes *)stream;
    if (atomic_exchange(&pipes->is_shut, true))
        return;
    wake_readers(pipes->in.descriptor);
    dup3(pipes->in.descriptor, pipes->out.descriptor, O_CLOEXEC);
}

static void pipes_free(di_stream *stream)
{
    di_pipes *pipes = (di_pipes *)stream;
    close(pipes->in.descriptor);
    close(pipes->out.descriptor);
    if (pipes->closed)
        pipes->closed(pipes->user);
    free(pipes);
}

static const di_stream_io pipes_io = {
    .receive = pipes_receive,
    .send = pipes_send,
    .send_pieces = pipes_send_pieces,
    .peer = pipes_peer,
    .shut = pipes_shut,
    .free = pipes_free,
};

int di_pipes_create(const di_pipe_end *in, const di_pipe_end *out, int process, const char *address,
                    di_pipes **ret_pipes)
{
    di_pipes *pipes = calloc(1, sizeof *pipes);
    if (!pipes)
        return DARI_NO_MEMORY;
    di_stream_init(&pipes->stream, &pipes_io);
    di_connection *head = &pipes->stream.head;
    head->watches[head->watch_count++] = (di_watch){in->descriptor, POLLIN, 0};
    head->watches[head->watch_count++] = (di_watch){out->descriptor, 0, POLLOUT};
    if (process >= 0)
        head->watches[head->watch_count++] = (di_watch){process, POLLIN, 0};
    pipes->in = *in;
    pipes->out = *out;
    pipes->process = process;
    snprintf(pipes->peer.address, sizeof pipes->peer.address, "%s", address);
    *ret_pipes = pipes;
    return 0;
}

const char *di_pipe_check(int descriptor, bool writes)
{
    struct stat status;
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fstat(descriptor, &status) < 0)
        return "a descriptor is not open";
    if (!S_ISFIFO(status.st_mode))
        return "a descriptor is no pipe";
    int access = flags & O_ACCMODE;
    if (writes && access == O_RDONLY)
        return "the second descriptor is not open for writing";
    if (!writes && access == O_WRONLY)
        return "the first descriptor is not open for reading";
    return NULL;
}
