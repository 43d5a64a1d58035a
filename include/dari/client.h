/* SPDX-License-Identifier: MIT */
/* Clients: the calling side of one connection.
 *
 * A client may be shared by threads. It needs no loop and no thread of its own: whoever calls,
 * waits. A process that inherits a client over fork gets DARI_FORKED from it. */
#ifndef DARI_CLIENT_H
#define DARI_CLIENT_H

#include <dari/call.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest message that is sent or received where nothing else is said: 16 MiB. */
#define DARI_MESSAGE_MAX_DEFAULT ((size_t)16 << 20)

typedef struct dari_client dari_client;

/* A zeroed structure means the defaults. */
typedef struct dari_client_options {
    uint64_t deadline_ns;  /* of a call that sets none; 0: DARI_DEADLINE_DEFAULT_NS */
    size_t message_max;    /* bytes of a call or reply; 0: DARI_MESSAGE_MAX_DEFAULT */
    size_t decode_budget;  /* bytes of memory for one result; 0: DARI_DECODE_BUDGET_DEFAULT */
    uint32_t accept;       /* enum dari_accept: what is tolerated in results */
    dari_call *call;       /* NULL, or the context whose deadline limits connecting (name look-up
                              included) and which receives the details of a failure */
} dari_client_options;

/* Connects to `address` ("unix:/path", "unix:@name", "tcp://host:port"). `options` may be NULL and
 * is not kept. The caller closes the client. A look-up of a name that outlives its deadline ends in
 * the background, in a thread that nobody waits for.
 * Errors: DARI_ADDRESS, DARI_SCHEME, DARI_REFUSED, DARI_PERMISSION, DARI_DEADLINE, DARI_ERRNO,
 * DARI_NO_MEMORY. */
int dari_connect(const char *address, const dari_client_options *options, dari_client **ret_client);

/* Calls procedure 0 of a program, which every server answers (RFC 5531, section 12.1). */
int dari_client_ping(dari_client *client, uint32_t program, uint32_t version, dari_call *call);

/* Closes the connection and frees the client. No call may be in progress. Results stay valid until
 * their call context ends. Takes NULL. */
void dari_client_close(dari_client *client);

#ifdef __cplusplus
}
#endif

#endif
