/* SPDX-License-Identifier: MIT */
/* Servers: programs that answer calls on any number of addresses.
 *
 *   dari_server *server = NULL;
 *   dari_server_create(NULL, &server);
 *   calc_1_serve(server, &handlers, NULL);         written by `dari gen`
 *   dari_server_listen(server, "unix:/run/calc");
 *   dari_server_run(server);
 *
 * A server belongs to one thread; dari_server_stop alone may be called from another one or from a
 * signal handler. A process that inherits a server over fork gets DARI_FORKED from it. */
#ifndef DARI_SERVER_H
#define DARI_SERVER_H

#include <dari/arena.h>
#include <dari/xdr.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dari_server dari_server;
typedef struct dari_request dari_request;

/* Where DARI_CONNECTIONS_MAX_DEFAULT connections are open, further ones wait to be accepted. */
#define DARI_CONNECTIONS_MAX_DEFAULT 4096u
/* Bytes of replies that may wait on one connection before no more of its calls are read: 1 MiB. */
#define DARI_QUEUED_MAX_DEFAULT ((size_t)1 << 20)

/* Told what the server cannot tell anybody else: a handler that failed, a peer that broke the
 * protocol, descriptors that ran out. `text` is one line, valid during the call. */
typedef void dari_log(void *user, int error, const char *text);

/* A zeroed structure means the defaults. */
typedef struct dari_server_options {
    size_t message_max;       /* bytes of a call or reply; 0: DARI_MESSAGE_MAX_DEFAULT (client.h) */
    size_t decode_budget;     /* bytes of memory for one call's arguments and results; 0:
                                 DARI_DECODE_BUDGET_DEFAULT */
    uint32_t connections_max; /* 0: DARI_CONNECTIONS_MAX_DEFAULT */
    size_t queued_max;        /* 0: DARI_QUEUED_MAX_DEFAULT */
    uint32_t accept;          /* enum dari_accept: what is tolerated in arguments */
    dari_log *log;            /* NULL: nobody is told */
    void *log_user;           /* the first argument of log */
} dari_server_options;

/* Makes a server without addresses or programs. `options` may be NULL and is not kept. The caller
 * destroys the server. Errors: DARI_ERRNO, DARI_NO_MEMORY. */
int dari_server_create(const dari_server_options *options, dari_server **ret_server);

/* Closes all connections and addresses and frees the server. Takes NULL. */
void dari_server_destroy(dari_server *server);

/* Listens at an address: "unix:/path", "unix:@name", "tcp://host:port"; port 0 lets the system
 * choose. A path gets mode 0600, and is taken over only where its lock (the path
 * with ".lock") is free: its owner is dead, and so are the children that inherited the lock from it.
 * Errors: DARI_ADDRESS, DARI_SCHEME, DARI_IN_USE, DARI_PERMISSION, DARI_ERRNO, DARI_NO_MEMORY;
 * dari_server_message says more. */
int dari_server_listen(dari_server *server, const char *address);

/* The `index`-th address listened at, as a client writes it, with the port that was chosen; NULL
 * past the last one. Lives as long as the server. */
const char *dari_server_address(const dari_server *server, size_t index);

/* What the last failed dari_server_ function found, in one line. Lives until the next one. */
const char *dari_server_message(const dari_server *server);

/* Serves until dari_server_stop. Returns 0, or the error that makes serving impossible. */
int dari_server_run(dari_server *server);

/* Makes dari_server_run return once the call in progress is answered. From any thread, and from a
 * signal handler. A stop that comes before run makes the next run return at once. */
void dari_server_stop(dari_server *server);

/* For a loop of one's own: wait until the descriptor is readable, for at most
 * dari_server_timeout_ns, then call dispatch. Dispatch never waits; it returns 1 where more is ready
 * and it wants to be called again at once, 0 where the descriptor will tell, or an error. */
int dari_server_descriptor(const dari_server *server);
uint64_t dari_server_timeout_ns(const dari_server *server); /* UINT64_MAX: no limit */
int dari_server_dispatch(dari_server *server);

/* What a handler says and may ask of the call that it answers.
 *
 * It returns 0 or an error. DARI_PROCEDURE_UNAVAILABLE, DARI_GARBAGE_ARGUMENTS,
 * DARI_PROGRAM_UNAVAILABLE, DARI_PROGRAM_MISMATCH and DARI_AUTH are answered as such, and promise the
 * caller that nothing was done: it may call again elsewhere. All other errors are answered with
 * SYSTEM_ERR, which promises nothing. */

/* Memory that lasts until the reply is sent; a handler puts there what its result points to. */
dari_arena *dari_request_arena(dari_request *request);

/* The pointer given to the generated `..._serve` function. */
void *dari_request_user(const dari_request *request);

#ifdef __cplusplus
}
#endif

#endif
