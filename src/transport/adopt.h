/* SPDX-License-Identifier: MIT */
/* Listening sockets that somebody else has made. From any thread. */
#ifndef DI_TRANSPORT_ADOPT_H
#define DI_TRANSPORT_ADOPT_H

#include "transport/transport.h"

/* Makes a listener of a listening stream socket, which it owns from then on, and makes the socket
 * non-blocking and close-on-exec. After an error the socket is as before.
 * Errors: DARI_INVALID (it is no such socket), DARI_SCHEME (no scheme has it), DARI_ADDRESS,
 * DARI_NO_MEMORY, DARI_ERRNO. */
int di_adopt(int descriptor, di_listener **ret_listener, di_failure *ret_failure);

/* Closes a listener, and leaves its socket to whoever had it before. */
void di_unadopt(di_listener *listener);

#endif
