/* SPDX-License-Identifier: MIT */
/* Connections over two one-way pipes, which pipe:, exec: and fifo: share.
 *
 * The other side has gone where reading finds the end of file or writing EPIPE, or where its
 * process has died, if there is one to watch: descendants of it may keep the pipes open. */
#ifndef DI_TRANSPORT_PIPES_H
#define DI_TRANSPORT_PIPES_H

#include "transport/pipe_end.h"
#include "transport/stream.h"

#include <stdatomic.h>

typedef struct di_pipes di_pipes;

struct di_pipes {
    di_stream stream;
    di_pipe_end in;
    di_pipe_end out;
    atomic_bool is_shut;
    di_peer peer;
    int process; /* a pidfd of the other side, or -1 */
    /* The scheme's own: asked before the connection receives, while it is there: 1 to go on, or
     * what receiving comes to, as with read; and told that the ends are closed. May be NULL. */
    ssize_t (*await)(di_pipes *pipes);
    void (*closed)(void *user);
    void *user;
};

/* Makes a connection of the ends, which it owns from then on; on failure (DARI_NO_MEMORY) they are
 * the caller's. `process` may be -1. `address` is the peer's as a client writes it. */
int di_pipes_create(const di_pipe_end *in, const di_pipe_end *out, int process, const char *address,
                    di_pipes **ret_pipes);

/* Checks a descriptor: that it is a pipe, and open for reading, or for writing. Returns NULL, or
 * what is wrong with it. */
const char *di_pipe_check(int descriptor, bool writes);

#endif
