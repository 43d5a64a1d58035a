/* SPDX-License-Identifier: MIT */
/* Connections that are streams of bytes in the kernel: two buffers, one each way, and a table of
 * how bytes get in and out, for which there are sockets (here; unix: and tcp:// share them) and
 * pipes (pipes.h). One receive is one recv, one flush is one send where the kernel takes
 * everything. See transport.h for threads. */
#ifndef DI_TRANSPORT_STREAM_H
#define DI_TRANSPORT_STREAM_H

#include "base/buffer.h"
#include "transport/inbound.h"
#include "transport/transport.h"

#include <sys/types.h>

struct iovec;

typedef struct di_stream di_stream;

/* How bytes get in and out: as recv, send and sendmsg with MSG_DONTWAIT do it, and without SIGPIPE.
 * Sends of several pieces may change the list. */
typedef struct di_stream_io {
    ssize_t (*receive)(di_stream *stream, void *bytes, size_t size);
    /* The same, but waits as transport.h says; or NULL. */
    ssize_t (*receive_patiently)(di_stream *stream, void *bytes, size_t size);
    ssize_t (*send)(di_stream *stream, const void *bytes, size_t size);
    ssize_t (*send_pieces)(di_stream *stream, struct iovec *pieces, size_t count);
    void (*peer)(const di_stream *stream, di_peer *ret_peer); /* or NULL */
    void (*shut)(di_stream *stream);
    void (*free)(di_stream *stream); /* closes and frees all but the buffers */
} di_stream_io;

/* The head of every stream; what it moves bytes by follows. */
struct di_stream {
    di_connection head;
    const di_stream_io *io;
    di_buffer out;
    di_inbound in;
    int send_failed; /* errno of a send whose failure flush has to tell, or 0 */
};

/* A stream without descriptors. */
void di_stream_init(di_stream *stream, const di_stream_io *io);

/* Finds out who the other side of a socket is. */
typedef void di_stream_peer(int descriptor, di_peer *ret_peer);

/* Makes a connection of a non-blocking stream socket, which it owns from then on; on failure
 * (DARI_NO_MEMORY) the descriptor is closed. */
int di_stream_create(int descriptor, di_stream_peer *ask, di_connection **ret_connection);

/* The same for the one of a client, which waits by receiving. */
int di_stream_create_patient(int descriptor, di_stream_peer *ask, di_connection **ret_connection);

/* Accepts a connection of a listening socket: DI_MOVED and a non-blocking close-on-exec descriptor,
 * DI_BLOCKED, or DARI_ERRNO. Connections that died in the queue are passed over. */
int di_stream_accept(int listening, int *ret_descriptor);

#endif
