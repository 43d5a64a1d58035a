/* SPDX-License-Identifier: MIT */
/* Servers: programs that answer calls on any number of addresses.
 *
 *   dari_server *server = NULL;
 *   dari_server_create(NULL, &server);
 *   calc_1_serve(server, &handlers, NULL);         written by `dari gen`
 *   dari_server_listen(server, "unix:/run/calc");
 *   dari_server_run(server);
 *
 * A server belongs to one thread, the loop's; dari_server_stop and dari_server_finish alone may be
 * called from another one or from a signal handler. Handlers run in the loop's thread or in worker
 * threads (options), and may leave the answer for later, to any thread. A process that inherits a
 * server over fork gets DARI_FORKED from it. */
#ifndef DARI_SERVER_H
#define DARI_SERVER_H

#include <dari/arena.h>
#include <dari/auth.h>
#include <dari/spin.h>
#include <dari/xdr.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dari_server dari_server;
typedef struct dari_request dari_request;

/* Where DARI_CONNECTIONS_MAX_DEFAULT connections are open, further ones wait to be accepted. */
#define DARI_CONNECTIONS_MAX_DEFAULT 4096u
/* Connections beyond this number are closed at once, of one peer: a host of tcp://, a user of
 * unix:. */
#define DARI_CONNECTIONS_PER_PEER_MAX_DEFAULT 1024u
/* Calls that may be in progress beyond their turn of the loop: with workers, or answered later. A
 * connection that has as many, or all of them where all together have, is not read from meanwhile.
 */
#define DARI_CALLS_PER_CONNECTION_MAX_DEFAULT 128u
#define DARI_CALLS_MAX_DEFAULT 4096u
/* Bytes of replies that may wait on one connection before no more of its calls are read: 1 MiB. */
#define DARI_QUEUED_MAX_DEFAULT ((size_t)1 << 20)
/* A connection on which nothing comes and nothing goes for that long is closed, unless a call is in
 * progress: an hour. It ends up to a quarter of the time later. */
#define DARI_IDLE_DEFAULT_NS (UINT64_C(3600) * 1000000000u)
/* A connection whose first call is not there whole in that time is closed, as exactly: 2 minutes.
 */
#define DARI_FIRST_CALL_DEFAULT_NS (UINT64_C(120) * 1000000000u)
/* Over udp:// a caller that hears nothing calls again with the same message. So that a call runs
 * once, replies are remembered, of each address this many calls and bytes of replies at most, and
 * for 2 minutes. Where more come, the oldest are forgotten, and would run again. */
#define DARI_REMEMBERED_MAX_DEFAULT 32768u
#define DARI_REMEMBERED_BYTES_MAX_DEFAULT ((size_t)16 << 20)
#define DARI_REMEMBERED_NS (UINT64_C(120) * 1000000000u)
/* shm: the bytes that a connection's memory holds each way: 256 KiB. Any size from a page (4 KiB)
 * to DARI_SHM_RING_SIZE_MAX is rounded up to a power of two. Larger messages go in pieces. Each
 * connection takes twice that much memory at once, whether it is used or not. It is not locked:
 * RLIMIT_MEMLOCK does not matter. */
#define DARI_SHM_RING_SIZE_DEFAULT ((size_t)256 << 10)
#define DARI_SHM_RING_SIZE_MAX ((size_t)256 << 20)
/* Lines that peers may cause in the log in one second, all of them together. Then it gets one with
 * the number of those that were left out. */
#define DARI_LOG_LINES_PER_SECOND_DEFAULT 20u
/* The most worker threads, and the most interceptors, that a server may have. */
#define DARI_WORKERS_MAX 256u
#define DARI_INTERCEPTORS_MAX 8u

/* What a handler returns that has not answered: the reply comes later, by the generated
 * `..._reply` function or by dari_request_fail, once, from any thread, perhaps before the handler
 * has returned. Arguments, and all else of the request, stay valid until then. No errno has this
 * number, so that no slip leaves a call without an answer. */
#define DARI_LATER 0x1a7e

/* Where a server finds this machine's rpcbind: at its own socket, whose owner it trusts, and only
 * where that is not there by TCP. */
#define DARI_RPCBIND_LOCAL "unix:/run/rpcbind.sock"
#define DARI_RPCBIND_LOOPBACK "tcp://127.0.0.1:111"
/* The time for registering, and again for taking back what was registered: 5 s. */
#define DARI_RPCBIND_DEADLINE_DEFAULT_NS (UINT64_C(5) * 1000000000u)

/* Told what the server cannot tell anybody else: a handler that failed, a peer that broke the
 * protocol (so often at most: DARI_LOG_LINES_PER_SECOND_DEFAULT), descriptors that ran out. `text`
 * is one line, valid during the call. From the loop's thread and any that answers, one at a time;
 * it must not call the server. */
typedef void dari_log(void *user, int error, const char *text);

/* The most users that dari_access may name. */
#define DARI_ACCESS_USERS_MAX 1024u

/* Who of this machine may connect, beside the server's own user and root. Zeroed: nobody else.
 *
 * A name lets them in by its mode, and is never open to more than that: of unix:/path and shm:
 * 0600, for a group 0660, for users and all 0666; of fifo: and mq: 0600, 0620 and 0622. Where users
 * are named, and of unix:@name, which has no mode, each peer is looked at: by what the kernel says
 * of its process, or, of fifo: and mq:, by the owner of what it has made. Who may not connect is
 * closed at once, counted as refused, and told to the log.
 *
 * Users and a group together let in both; fifo: and mq: cannot have both. A server that is not root
 * can answer over fifo: only root, its own user and members of the group, and over mq: only the
 * first two. Other schemes ask nobody, and a socket that is handed in is as its maker has set it
 * up.
 *
 * In a user namespace that does not map every user, the kernel shows those it does not map as one
 * number, 65534 by default. There, and where no /proc tells, that number is taken for nobody: not
 * for the server's own user, and not for one that is named; and the group of that number has no
 * members. Clients take the users of servers in the same way.
 */
typedef struct dari_access {
    const char *group;     /* the members of a group: its name or its number; NULL: none */
    const uint32_t *users; /* these users */
    uint32_t user_count;   /* up to DARI_ACCESS_USERS_MAX */
    bool all;              /* everybody, whatever else is here */
} dari_access;

/* A zeroed structure means the defaults. A limit that is to be none is the largest number. */
typedef struct dari_server_options {
    size_t message_max;       /* bytes of a call or reply; 0: DARI_MESSAGE_MAX_DEFAULT (client.h) */
    uint32_t fragments_max;   /* of a record; 0: DARI_FRAGMENTS_MAX_DEFAULT (client.h). A connection
                                 on which one has more is closed */
    size_t decode_budget;     /* bytes of memory for one call's arguments and results; 0:
                                 DARI_DECODE_BUDGET_DEFAULT */
    uint32_t connections_max; /* 0: DARI_CONNECTIONS_MAX_DEFAULT */
    size_t queued_max;        /* 0: DARI_QUEUED_MAX_DEFAULT */
    uint32_t accept;          /* enum dari_accept: what is tolerated in arguments */
    dari_log *log;            /* NULL: nobody is told */
    void *log_user;           /* the first argument of log */
    uint32_t workers;         /* threads that run handlers, up to DARI_WORKERS_MAX, several calls of
                                 a connection at once; 0: the loop's thread runs them */
    uint32_t connections_per_peer_max; /* 0: DARI_CONNECTIONS_PER_PEER_MAX_DEFAULT */
    uint32_t calls_per_connection_max; /* 0: DARI_CALLS_PER_CONNECTION_MAX_DEFAULT */
    uint32_t calls_max;                /* 0: DARI_CALLS_MAX_DEFAULT */
    uint64_t idle_ns;                  /* 0: DARI_IDLE_DEFAULT_NS */
    uint64_t first_call_ns;            /* 0: DARI_FIRST_CALL_DEFAULT_NS */
    uint32_t remembered_max;           /* 0: DARI_REMEMBERED_MAX_DEFAULT */
    size_t remembered_bytes_max;       /* 0: DARI_REMEMBERED_BYTES_MAX_DEFAULT */
    bool register_all;    /* registers every address of a network with rpcbind, not only those
                             without a port */
    const char *rpcbind;  /* the address of the rpcbind to register with; NULL: DARI_RPCBIND_LOCAL,
                             then DARI_RPCBIND_LOOPBACK */
    uint64_t rpcbind_ns;  /* 0: DARI_RPCBIND_DEADLINE_DEFAULT_NS */
    size_t shm_ring_size; /* 0: DARI_SHM_RING_SIZE_DEFAULT */
    size_t shm_loan_max;  /* shm: bytes of memory for loans (loan.h) that each client may have, up
                             to 256 MiB: allocated at once for a client that asks for it; 0: none */
    bool shm_read_loans;  /* shm: loans are not copied: opaque data of a handler's arguments points
                             to where the client has them. Strings are copied all the same. For
                             servers whose clients are trusted to leave what they have lent as it
                             is until they are answered: it may change while it is read, and after
                             it was checked. Only the contents of that data may: lengths, and all
                             other arguments, are copied before they are looked at. Without it a
                             client can change nothing that has been received */
    enum dari_spin spin;  /* shm: how the loop waits */
    uint32_t log_lines_per_second; /* 0: DARI_LOG_LINES_PER_SECOND_DEFAULT */
    uint64_t tcp_keepalive_ns;     /* tcp://: a connection on which nothing has come for that long
                                      is probed, and ended where the peer does not answer for that
                                      long again, a call in progress or not; 0:
                                      DARI_TCP_KEEPALIVE_DEFAULT_NS (client.h); UINT64_MAX: no
                                      probes. Counted as there. A socket that is handed in is as
                                      its maker has set it up */
    dari_access access;            /* copied; a group is looked up by dari_server_listen */
} dari_server_options;

/* Makes a server without addresses or programs. `options` may be NULL and is not kept. The caller
 * destroys the server. Errors: DARI_INVALID, DARI_ERRNO, DARI_NO_MEMORY. */
int dari_server_create(const dari_server_options *options, dari_server **ret_server);

/* Closes all connections and addresses, takes back what is registered with rpcbind, which may take
 * options->rpcbind_ns, and frees the server. Takes NULL. Waits for handlers that worker threads are
 * in; calls that are to be answered later stay valid, and their answers go nowhere. */
void dari_server_destroy(dari_server *server);

/* Listens at an address: "unix:/path", "unix:@name", "shm:name", "shm:/path", "fifo:/path",
 * "pipe:IN,OUT" (pipe.h), "mq:name", "tcp://host[:port]", "udp://host[:port]": of a host with
 * several addresses the first that can be had. Port 0 lets the system choose. A path gets the mode
 * that options->access says, 0600 from the beginning, and is taken over only where its lock (the
 * path with ".lock") is free: its owner is dead, and so are the children that inherited the lock
 * from it.
 *
 * "shm:name" is a path in $XDG_RUNTIME_DIR/dari, for root in /run/dari: directories that nobody but
 * the user can write to, the last of which is made. DARI_LIMIT: options->shm_ring_size or
 * shm_loan_max is too large.
 *
 * All clients of a fifo: write into one FIFO, which only asks for a connection: a client that
 * writes garbage there keeps the server busy, and others who connect waiting, for as long as it
 * writes.
 *
 * "mq:name?messages=10&bytes=8192" is a queue of messages of the kernel, "/dari.name"; these are
 * the defaults, and takes 80 KiB of the 800 that a user may have in queues. Its name is taken over
 * where its owner is dead, as a path is. All clients write into the one queue. What one sends is
 * known by a number that nobody else sees, and ends its own connection where it breaks the rules;
 * but whoever may write can fill the queue, with messages of the highest priority too, and so delay
 * the others. And whoever may make queues can have all 64 names that clients of this one give
 * theirs: connecting is then refused with DARI_IN_USE. DARI_LIMIT: a limit of the system, which
 * dari_server_message names.
 *
 * Without a port the system chooses it too, and all programs of the server, those that are added
 * later as well, are registered with this machine's rpcbind (RFC 1833, version 4, 3 or 2), so that
 * clients need no port either. Both functions wait for rpcbind, at most options->rpcbind_ns, and
 * as long again to take back what was registered before an error. Rpcbind knows one address for a
 * program and a kind of network (tcp, tcp6, udp, udp6): of several the first. A registration that a
 * dead server has left is replaced where it is this user's; another one is DARI_IN_USE.
 * dari_server_destroy takes the registrations back; what fails then goes to the log.
 *
 * Errors: DARI_ADDRESS, DARI_SCHEME, DARI_IN_USE, DARI_PERMISSION (of a group that this user cannot
 * give the name to, too), DARI_INVALID (there is no such group; or a scheme cannot have a group and
 * users), DARI_ERRNO, DARI_NO_MEMORY; of
 * registering, DARI_REFUSED (there is no rpcbind), DARI_RPCBIND and DARI_DEADLINE too, and then the
 * address is not listened at. dari_server_message says more. */
int dari_server_listen(dari_server *server, const char *address);

/* Listens at a socket that somebody else has made: a listening stream socket of unix:, or of IPv4
 * or IPv6, or one of datagrams of those two, which has an address. From then on it is the server's,
 * which closes it; its path is not removed. It becomes non-blocking, for all who share it, and
 * close-on-exec. After an error it is the caller's still. Errors: DARI_INVALID (it is no such
 * socket), DARI_SCHEME (of another family), DARI_IN_USE (the server has it already), DARI_ADDRESS,
 * DARI_ERRNO, DARI_NO_MEMORY; with options->register_all those of registering. */
int dari_server_listen_descriptor(dari_server *server, int descriptor);

/* Listens at the sockets that the process was started with, by systemd's protocol: LISTEN_PID is
 * this process, LISTEN_FDS the number of descriptors from 3 on. `unset` takes these variables, and
 * LISTEN_FDNAMES, out of the environment, whatever comes of it: for children, and while no other
 * thread looks there. Returns the number of sockets, 0 where there are none for this process, or an
 * error as above; those before the one that failed are listened at then. */
int dari_server_listen_inherited(dari_server *server, bool unset);

/* The `index`-th address listened at, as a client writes it, with the port that was chosen; NULL
 * past the last one. Lives as long as the server. */
const char *dari_server_address(const dari_server *server, size_t index);

/* What the last failed dari_server_ function found, in one line. Lives until the next one. */
const char *dari_server_message(const dari_server *server);

/* Serves until dari_server_stop or dari_server_finish, or until no call can come any more, where it
 * listens at nothing but pipes. Returns 0, DARI_DEADLINE where the time to
 * finish was too short, or the error that makes serving impossible. */
int dari_server_run(dari_server *server);

/* Makes dari_server_run return once no handler runs any more. From any thread, and from a signal
 * handler. A stop that comes before run makes the next run return at once. */
void dari_server_stop(dari_server *server);

/* Makes dari_server_run return once all calls in progress are answered, those that are answered
 * later too, and the replies sent; at the latest `deadline_ns` from now (UINT64_MAX: no limit),
 * when it closes what is left: handlers that worker threads are in go on, calls that wait for such
 * a thread are dropped. Meanwhile the addresses are given up, and no connection is made and no call
 * read any more. From any thread, and from a signal handler. What is registered with
 * rpcbind is taken back first, by run or dispatch, which may take options->rpcbind_ns. */
void dari_server_finish(dari_server *server, uint64_t deadline_ns);

/* For a loop of one's own: wait until the descriptor is readable, for at most
 * dari_server_timeout_ns, then call dispatch. Dispatch never waits; it returns 1 where more is
 * ready and it wants to be called again at once, 0 where the descriptor will tell, or an error. */
int dari_server_descriptor(const dari_server *server);
uint64_t dari_server_timeout_ns(const dari_server *server); /* UINT64_MAX: no limit */
int dari_server_dispatch(dari_server *server);

/* In a loop of one's own: 1 once dispatch has found that dari_server_finish has come to its end, by
 * itself or by its deadline, or that no call can come any more; 0 before. From then on no handler
 * begins: calls that wait for a worker thread are dropped. */
int dari_server_finished(const dari_server *server);

/* Asked and told around every call of a procedure that the server has, in the thread that runs the
 * handler or answers. */
typedef struct dari_interceptor {
    /* Before arguments are decoded: 0 lets the call pass, an error is what is answered (DARI_AUTH:
     * the credential is too weak). May be NULL. */
    int (*before)(dari_request *request, void *user);
    /* After the answer, if `before` let the call pass: 0, or the error that was answered, or
     * DARI_CLOSED where nobody was there any more. May be NULL. */
    void (*after)(dari_request *request, int error, void *user);
    void *user;
} dari_interceptor;

/* Adds an interceptor, before the server serves. The first one added is asked first and told last.
 * Errors: DARI_LIMIT (DARI_INTERCEPTORS_MAX), DARI_INVALID (it serves with workers already). */
int dari_server_intercept(dari_server *server, const dari_interceptor *interceptor);

/* Answers a call for which its handler returned DARI_LATER with an error, as if the handler had
 * returned it (0: SYSTEM_ERR). The request is gone afterwards. Returns 0, or the error because of
 * which nobody hears of it. */
int dari_request_fail(dari_request *request, int error);

/* What a handler says and may ask of the call that it answers.
 *
 * It returns 0, DARI_LATER or an error. DARI_PROCEDURE_UNAVAILABLE, DARI_GARBAGE_ARGUMENTS,
 * DARI_PROGRAM_UNAVAILABLE, DARI_PROGRAM_MISMATCH and DARI_AUTH are answered as such, and promise
 * the caller that nothing was done: it may call again elsewhere. All other errors are answered with
 * SYSTEM_ERR, which promises nothing. */

/* Memory that lasts until the reply is sent; a handler puts there what its result points to. */
dari_arena *dari_request_arena(dari_request *request);

/* The pointer given to the generated `..._serve` function. */
void *dari_request_user(const dari_request *request);

/* What is called. The name is as the interface file has it: "READDIR". */
uint32_t dari_request_program(const dari_request *request);
uint32_t dari_request_version(const dari_request *request);
uint32_t dari_request_procedure(const dari_request *request);
const char *dari_request_procedure_name(const dari_request *request);

/* Who calls, as addresses are written: "tcp://10.0.0.1:1023"; "unix:" for one without a name.
 * Lasts as long as the request. */
const char *dari_request_peer_address(const dari_request *request);

/* The process that made the connection, by what the kernel knows. It may have passed the connection
 * on, and its number may be another process's by now. Over fifo: the user alone is known, who owns
 * what the client has made, and the number is 0. */
typedef struct dari_peer {
    int32_t pid;
    uint32_t uid, gid;
} dari_peer;

/* Returns 0, or DARI_SCHEME where the kernel does not know (tcp://, pipe:). */
int dari_request_peer(const dari_request *request, dari_peer *ret_peer);

struct dari_client;

/* Calls in the other direction (as in RFC 8167): a client by which the server calls, over the
 * connection that the call came by, the one who called. Everything that has a stub can be called,
 * by any thread, for as long as the connection is there; then calls fail with DARI_CLOSED. All who
 * ask for the client of a connection share one, and each closes it once, a function given to a
 * stub too. It may outlive the request, the connection and the server.
 *
 * The loop receives for it. So in the loop's thread, where handlers without workers run, a call
 * that waits fails with DARI_DEADLOCK; add_1_start and nothing_1_oneway do not wait, and fail with
 * DARI_FULL where the peer does not take what was sent. What add_1_start was given is called by the
 * loop: dari_client_wait only waits for that, dari_client_dispatch is DARI_INVALID. It takes no
 * cancel. While the server stops, or is destroyed, calls that threads wait for end with
 * DARI_CANCELLED. Once a call is among what the connection is to send, it may have run.
 *
 * Answers come behind calls: so a connection over which the server calls is read from however many
 * calls are in progress, up to eight times the limits; further ones get SYSTEM_ERR.
 *
 * Other limits are the server's: message_max, decode_budget, queued_max.
 * Errors: DARI_SCHEME (udp:// has no connection; or the call came to a client that
 * dari_server_serve_client was told of: that calls by itself), DARI_CLOSED, DARI_NO_MEMORY,
 * DARI_ERRNO. */
int dari_request_client(dari_request *request, struct dari_client **ret_client);

/* The other end: answers the calls that come by a client's connection, as those that come to the
 * server's addresses. The server's loop dispatches the client too, and so receives while no call
 * waits: nobody else does, and functions given to the client's stubs are called there. Handlers may
 * use the client.
 *
 * Where the connection is lost, replies that are not sent are dropped; the next call of the client
 * connects again, and calls that come by the new connection are answered. Calls that are not taken
 * up wait: queued_max bytes of them at most, further ones get SYSTEM_ERR and count as dropped by
 * the client.
 *
 * Called by the thread of the server's loop, or before it runs; so is dari_client_close for that
 * client from then on, unless the server is destroyed first.
 * Errors: DARI_SCHEME (udp://), DARI_IN_USE (the client has a server), DARI_INVALID (it is one of
 * dari_request_client), DARI_FORKED, DARI_ERRNO, DARI_NO_MEMORY. */
int dari_server_serve_client(dari_server *server, struct dari_client *client);

/* What the caller says of itself by AUTH_SYS (auth.h). Returns 0, or DARI_AUTH where the call has
 * another credential. */
int dari_request_auth_sys(const dari_request *request, dari_auth_sys *ret_auth);

#ifdef __cplusplus
}
#endif

#endif
