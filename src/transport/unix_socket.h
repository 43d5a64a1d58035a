/* SPDX-License-Identifier: MIT */
/* Stream sockets of this machine, where they are met: at a path, or under an abstract name,
 * "@NAME".
 *
 * A path belongs to the process that holds its lock (path_lock.h): only under that is a socket file
 * bound, taken over or removed. A name after @ is the kernel's own and vanishes with its socket.
 * One thread at a time. */
#ifndef DI_TRANSPORT_UNIX_SOCKET_H
#define DI_TRANSPORT_UNIX_SOCKET_H

#include "base/fork_guard.h"
#include "transport/access.h"
#include "transport/path_lock.h"
#include "transport/transport.h"

#include <sys/un.h>

/* The place of a listener. */
typedef struct di_unix_place {
    di_fork_guard guard; /* a child that inherited this removes no files */
    di_path_lock lock;   /* not held for an abstract name */
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* what was bound, or "" */
    di_access access;                                     /* who may connect, */
    bool asks; /* which a mode does not settle: each peer is looked at */
} di_unix_place;

/* Connects, at the latest by the deadline. The descriptor is non-blocking and close-on-exec.
 * Errors: DARI_ADDRESS, DARI_REFUSED, DARI_DEADLINE, DARI_PERMISSION, DARI_NO_MEMORY, DARI_ERRNO.
 */
int di_unix_connect(const char *name, uint64_t deadline, int *ret_descriptor,
                    di_failure *ret_failure);

/* A place where nothing is bound. Errors: as di_fork_guard_init; di_unix_place_end is due all the
 * same. */
int di_unix_place_init(di_unix_place *place, di_failure *ret_failure);

/* Makes a listening, non-blocking socket there; a file has mode 0600 from the beginning. Errors: as
 * above, and DARI_IN_USE; di_unix_place_end is due all the same. */
int di_unix_place_listen(di_unix_place *place, const char *name, int *ret_descriptor,
                         di_failure *ret_failure);

/* Lets others in: a file's group and mode become what that takes. Returns 0 or an error. */
int di_unix_place_admit(di_unix_place *place, const di_access *access, di_failure *ret_failure);

/* Accepts a connection, as di_stream_accept does, of somebody who may connect. DARI_PERMISSION:
 * `ret_stranger`, who may not, was turned away. */
int di_unix_place_accept(const di_unix_place *place, int listening, int *ret_descriptor,
                         uint32_t *ret_stranger);

/* Gives the place up, and closes the socket between its file and its lock; -1: there is none. */
void di_unix_place_end(di_unix_place *place, int descriptor);

/* The process at the other side of a connection; one peer is one user. `prefix` is of its address.
 */
void di_unix_peer(int descriptor, const char *prefix, di_peer *ret_peer);

#endif
