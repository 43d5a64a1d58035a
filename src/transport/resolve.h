/* SPDX-License-Identifier: MIT */
/* Host names to socket addresses, within a deadline. From any thread. */
#ifndef DI_TRANSPORT_RESOLVE_H
#define DI_TRANSPORT_RESOLVE_H

#include "transport/transport.h"

struct addrinfo;

/* The addresses of `host` with `port`, for TCP, in the order in which they are to be tried; the
 * caller frees them with freeaddrinfo. A number is read at once; a name is looked up by a thread of
 * its own, which nobody waits for once the deadline has passed.
 * Errors: DARI_ADDRESS (no such name), DARI_DEADLINE, DARI_NO_MEMORY, DARI_ERRNO. */
int di_resolve_address(const char *host, const char *port, uint64_t deadline,
                       struct addrinfo **ret_addresses, di_failure *ret_failure);

/* The same for HOST:PORT. DARI_ADDRESS where there is no port, too. */
int di_resolve_place(const char *rest, uint64_t deadline, struct addrinfo **ret_addresses,
                     di_failure *ret_failure);

#endif
