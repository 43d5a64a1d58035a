/* SPDX-License-Identifier: MIT */
/* One end of a pipe: reads and writes that never wait, never raise SIGPIPE, and never change flags
 * of a description that other processes share.
 *
 * O_NONBLOCK and SIGPIPE are where pipes are worse than sockets: the flag sits on the description,
 * which a program's standard input and output have in common with whoever started it, and no flag
 * of write keeps the signal away. New kernels have both for a single call: RWF_NOWAIT and
 * RWF_NOSIGNAL. Where they are not, in this order:
 *   for waiting: a description of our own of the same pipe, opened by /proc/self/fd, in the place
 *   of the shared one; or a poll before each call, which then moves PIPE_BUF bytes at most: so many
 *   fit where a pipe is writable at all.
 *   for the signal: it is blocked in this thread during the call, and taken where the call has
 *   raised it.
 *
 * One thread at a time. */
#ifndef DI_TRANSPORT_PIPE_END_H
#define DI_TRANSPORT_PIPE_END_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct iovec;

/* How a call is kept from waiting. */
enum di_pipe_patience {
    DI_PIPE_FLAG,  /* RWF_NOWAIT */
    DI_PIPE_OWN,   /* the description is our own, and has O_NONBLOCK */
    DI_PIPE_POLLED /* poll tells before */
};

typedef struct di_pipe_end {
    int descriptor;
    enum di_pipe_patience patience;
    bool masks; /* SIGPIPE is blocked during writes: there is no RWF_NOSIGNAL */
} di_pipe_end;

/* An end with a description of our own that has O_NONBLOCK. */
static inline di_pipe_end di_pipe_end_own(int descriptor)
{
    return (di_pipe_end){.descriptor = descriptor, .patience = DI_PIPE_OWN};
}

/* An end whose description may be shared. Finds out what the kernel can do, without moving a byte,
 * and may put another description in the descriptor's place. */
di_pipe_end di_pipe_end_shared(int descriptor, bool writes);

/* As read and writev on a description with O_NONBLOCK; EPIPE comes without SIGPIPE. The list of
 * pieces may be changed. */
ssize_t di_pipe_end_read(di_pipe_end *end, void *bytes, size_t size);
ssize_t di_pipe_end_write(di_pipe_end *end, struct iovec *pieces, size_t count);

#endif
