/* SPDX-License-Identifier: MIT */
#include "transport/pipe_end.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100 /* Linux 6.18 */
#endif

/* Whether the kernel, or what emulates it, has not got the call, the flag, or the flag for this
 * file. */
static bool is_unsupported(int cause)
{
    return cause == EOPNOTSUPP || cause == EINVAL || cause == ENOSYS;
}

/* Keeps SIGPIPE from this thread during a write. One that was pending before stays so. */
typedef struct signal_guard {
    sigset_t before;
    bool pending;
} signal_guard;

static void guard_begin(signal_guard *guard)
{
    sigset_t broken, pending;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, &guard->before);
    guard->pending = sigismember(&guard->before, SIGPIPE) == 1 && sigpending(&pending) == 0 &&
                     sigismember(&pending, SIGPIPE) == 1;
}

static void guard_end(const signal_guard *guard, bool raised)
{
    int cause = errno;
    sigset_t broken;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    if (raised && !guard->pending)
        while (sigtimedwait(&broken, NULL, &(struct timespec){0}) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
    errno = cause;
}

/* Whether a call would not wait; EAGAIN where it would. */
static bool is_ready(int descriptor, short events)
{
    struct pollfd one = {.fd = descriptor, .events = events};
    int ready = poll(&one, 1, 0);
    if (ready == 0)
        errno = EAGAIN;
    return ready > 0;
}

static ssize_t try_read(const di_pipe_end *end, struct iovec *piece)
{
    if (end->patience == DI_PIPE_FLAG)
        return preadv2(end->descriptor, piece, 1, -1, RWF_NOWAIT);
    if (end->patience == DI_PIPE_POLLED && !is_ready(end->descriptor, POLLIN))
        return -1;
    return read(end->descriptor, piece->iov_base, piece->iov_len);
}

/* Cuts the pieces to `most` bytes altogether. Returns how many are left. */
static size_t cut(struct iovec *pieces, size_t count, size_t most)
{
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].iov_len >= most) {
            pieces[i].iov_len = most;
            return i + 1;
        }
        most -= pieces[i].iov_len;
    }
    return count;
}

static ssize_t try_write(const di_pipe_end *end, struct iovec *pieces, size_t count)
{
    int flags = end->patience == DI_PIPE_FLAG ? RWF_NOWAIT : 0;
    if (end->patience == DI_PIPE_POLLED) {
        count = cut(pieces, count, PIPE_BUF);
        if (!is_ready(end->descriptor, POLLOUT))
            return -1;
    }
    if (!end->masks)
        return pwritev2(end->descriptor, pieces, (int)count, -1, flags | RWF_NOSIGNAL);
    signal_guard guard;
    guard_begin(&guard);
    ssize_t sent = flags ? pwritev2(end->descriptor, pieces, (int)count, -1, flags)
                         : writev(end->descriptor, pieces, (int)count);
    guard_end(&guard, sent < 0 && errno == EPIPE);
    return sent;
}

ssize_t di_pipe_end_read(di_pipe_end *end, void *bytes, size_t size)
{
    struct iovec piece = {bytes, size};
    ssize_t got = try_read(end, &piece);
    if (got >= 0 || end->patience != DI_PIPE_FLAG || !is_unsupported(errno))
        return got;
    end->patience = DI_PIPE_POLLED;
    return try_read(end, &piece);
}

/* What is not there is found out at first use at the latest: first it may be RWF_NOSIGNAL. */
ssize_t di_pipe_end_write(di_pipe_end *end, struct iovec *pieces, size_t count)
{
    for (;;) {
        ssize_t sent = try_write(end, pieces, count);
        if (sent >= 0 || !is_unsupported(errno))
            return sent;
        if (!end->masks)
            end->masks = true;
        else if (end->patience == DI_PIPE_FLAG)
            end->patience = DI_PIPE_POLLED;
        else
            return sent;
    }
}

/* Whether the end knows RWF_NOWAIT: a byte is asked for or offered where there is no memory, which
 * moves nothing, and fails by that only after the flag has been taken. */
static bool takes_flag(di_pipe_end *end, bool writes)
{
    struct iovec nowhere = {NULL, 1};
    ssize_t moved = writes ? di_pipe_end_write(end, &nowhere, 1) : try_read(end, &nowhere);
    return moved >= 0 || !is_unsupported(errno);
}

/* Puts a description of our own in the place of the one that is shared. Returns whether it has. */
static bool reopen(int descriptor, bool writes)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    int own = open(path, (writes ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own < 0)
        return false;
    bool done = dup3(own, descriptor, O_CLOEXEC) >= 0;
    close(own);
    return done;
}

di_pipe_end di_pipe_end_shared(int descriptor, bool writes)
{
    di_pipe_end end = {.descriptor = descriptor, .patience = DI_PIPE_FLAG};
    if (takes_flag(&end, writes) && end.patience == DI_PIPE_FLAG)
        return end;
    return (di_pipe_end){.descriptor = descriptor,
                         .patience = reopen(descriptor, writes) ? DI_PIPE_OWN : DI_PIPE_POLLED};
}
