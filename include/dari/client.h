/* SPDX-License-Identifier: MIT */
/* Clients: the calling side of one connection at a time.
 *
 * A client may be shared by threads. It needs no loop and no thread of its own: whoever calls,
 * waits. A process that inherits a client over fork gets DARI_FORKED from it.
 *
 * Where the connection is lost, calls that were sent fail with DARI_CLOSED, and their contexts say
 * whether they may have run: nothing is sent twice, except as dari_client_idempotent says. The next
 * call connects again, to the same address; rpcbind is asked again where that has no port. The call
 * waits for that within its deadline, one in flight without blocking anybody; where the deadline
 * passes first, it fails with DARI_DEADLINE, has not run, and fault.error and system_error say why
 * there was no connection. The first attempt is made at once, the next ones after times that
 * double, each shorter by up to a half by chance, until a call has been answered: see
 * dari_client_options. A thread connects, which lasts only as long as that takes. That a connection
 * which lay idle is lost, the next call finds out before it is sent.
 *
 * For a procedure ADD there are three functions:
 *
 *   add_1(client, &arg, &ret, &call)                 calls, and waits for the result
 *   add_1_start(client, &arg, &call, done, user)     calls, and returns at once; `done` gets the
 *                                                    result later
 *   nothing_1_oneway(client, &call)                  where the result is void: sends the call, and
 *                                                    waits for no reply
 *
 * Where too much waits to be sent, add_1_start fails with DARI_FULL; the other two wait for room
 * until their deadline.
 *
 * Calls in flight. Where add_1_start returns 0, `done` is called exactly once: with the result, or
 * with NULL (nothing, where the result is void) and the error in the call context. Otherwise it is
 * not called. The context must live until then, and is not looked at after. The argument may go
 * once add_1_start has returned. The result and what it holds lie in the context: they last until
 * that is started again, reset or ended, so that whoever wants to keep a result keeps the context.
 *
 * `done` runs within dari_client_dispatch, dari_client_wait or dari_client_close, one at a time,
 * and nowhere else: a synchronous call never runs it. It may start calls, make synchronous ones,
 * and end or start again its own context; it may not dispatch, wait for or close the client.
 *
 * Any thread may start calls at any time, while another one dispatches too. What was started is
 * sent together, by the next dispatch or wait, at once where another thread sleeps in the client's
 * loop, and where much has gathered. */
#ifndef DARI_CLIENT_H
#define DARI_CLIENT_H

#include <dari/auth.h>
#include <dari/call.h>
#include <dari/spin.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest message that is sent or received where nothing else is said: 16 MiB. */
#define DARI_MESSAGE_MAX_DEFAULT ((size_t)16 << 20)
/* Fragments of a record that is received (RFC 5531, section 11). Many peers cut large messages into
 * pieces of some KiB, none sends empty ones without end. */
#define DARI_FRAGMENTS_MAX_DEFAULT 65536u

/* Where this much waits to be sent, starting a call fails with DARI_FULL: 1 MiB. One message may go
 * beyond it. */
#define DARI_CLIENT_QUEUED_MAX_DEFAULT ((size_t)1 << 20)
/* How often a call of an idempotent procedure is sent again. */
#define DARI_REPEATS_MAX 4u
/* The most interceptors that a client may have. */
#define DARI_CLIENT_INTERCEPTORS_MAX 8u
/* The most calls that one dispatch ends before it returns 1. */
#define DARI_CLIENT_DISPATCH_MAX 256u

/* Over udp:// a call that has no answer is sent again after this time, half a second, by chance a
 * quarter less or more; then after twice as long each time, up to 8 seconds. */
#define DARI_RETRY_DEFAULT_NS UINT64_C(500000000)

/* Connecting again: the time between the first two attempts, 20 ms; the longest time between two,
 * 5 s; and the time that one may take, all addresses of a name together, 10 s. */
#define DARI_BACKOFF_FIRST_DEFAULT_NS (20 * DARI_MS)
#define DARI_BACKOFF_MAX_DEFAULT_NS (5 * DARI_S)
#define DARI_CONNECT_DEFAULT_NS (10 * DARI_S)

typedef struct dari_client dari_client;

/* A connection on which nothing has come for that long is probed, and ended where the peer does not
 * answer for that long again: a minute. */
#define DARI_TCP_KEEPALIVE_DEFAULT_NS (60 * DARI_S)

/* Of a tcp:// connection; ignored by the other schemes, but udp:// has reserved ports too. Zeroed
 * means the defaults. The system counts in whole seconds (keepalive, up to 32767) and milliseconds
 * (user_timeout), and it is rounded up. */
typedef struct dari_tcp_options {
    bool reserved_port;       /* come from a free port of 512 to 1023, which proves to old servers
                                 that the caller is privileged. Without the privilege connecting
                                 fails with DARI_PERMISSION, without a free port with DARI_IN_USE */
    bool delay;               /* let the system gather small messages (Nagle's algorithm); default:
                                 each goes out at once (TCP_NODELAY) */
    uint64_t keepalive_ns;    /* 0: DARI_TCP_KEEPALIVE_DEFAULT_NS; UINT64_MAX: no probes */
    uint64_t user_timeout_ns; /* how long the peer may take to acknowledge what was sent, or take
                                 nothing, before the connection ends (TCP_USER_TIMEOUT); 0: as the
                                 system does it, some 15 minutes */
} dari_tcp_options;

/* A program whose connection is closed has that long to end by itself: 5 s. */
#define DARI_EXEC_GRACE_DEFAULT_NS (5 * DARI_S)

/* Of a program that an "exec:" address starts; ignored by the other schemes. */
typedef struct dari_exec_options {
    bool allowed;        /* without it connecting to such an address fails with DARI_PERMISSION */
    bool keeps_standard; /* the program's standard input and output stay what they are here: it
                            talks over descriptors 3 and 4, and serves the address that DARI_PIPE in
                            its environment has */
    uint64_t grace_ns;   /* 0: DARI_EXEC_GRACE_DEFAULT_NS; UINT64_MAX: it is never killed */
} dari_exec_options;

/* A zeroed structure means the defaults. */
typedef struct dari_client_options {
    uint64_t deadline_ns;   /* of a call that sets none; 0: DARI_DEADLINE_DEFAULT_NS */
    uint64_t retry_ns;      /* udp://: before a call is sent again; 0: DARI_RETRY_DEFAULT_NS */
    size_t message_max;     /* bytes of a call or reply; 0: DARI_MESSAGE_MAX_DEFAULT */
    uint32_t fragments_max; /* of a record; 0: DARI_FRAGMENTS_MAX_DEFAULT. Where one has more, the
                             connection is lost with DARI_LIMIT */
    size_t queued_max;      /* bytes that may wait to be sent before a call is no longer added to
                               them; 0: DARI_CLIENT_QUEUED_MAX_DEFAULT */
    size_t decode_budget;   /* bytes of memory for one result, beside its message; 0:
                               DARI_DECODE_BUDGET_DEFAULT */
    uint32_t accept;        /* enum dari_accept: what is tolerated in results */
    dari_tcp_options tcp;
    dari_exec_options exec;
    const char *rpcbind; /* the address of the rpcbind that is asked where the client's address
                            has no port; NULL: port 111 of the host */
    const struct dari_interface *interface; /* what will be called, "&calc_1_interface"; NULL: the
                              first call tells */
    dari_call *call; /* NULL, or the context whose deadline limits connecting (name look-up
                        included) and which receives the details of a failure */
    const dari_auth_sys *auth_sys; /* sent with every call; copied. NULL: AUTH_NONE. Over a limit of
                                      auth.h: DARI_INVALID */

    uint32_t server_user; /* shm:, fifo:, mq:, unix:@name: the id of the user of whom the server may
                             be, beside this process's own and root; 0: nobody else. unix:/path: the
                             same, but 0: anybody, since who may put a file there is up to the
                             directory. Else connecting fails with DARI_PERMISSION. Over fifo: such
                             a server shares a group with this user, whose members can then open
                             what the client makes; over mq: only root's client can have one */
    enum dari_spin spin;  /* shm: how calls wait */
    size_t shm_loan_size; /* shm: bytes of memory for loans (loan.h), up to DARI_SHM_LOAN_SIZE_MAX,
                             or DARI_LIMIT; 0: none. The client gets what the server grants of it.
                             Connecting waits for the server then */

    /* Connecting again; connect_ns also where the first call connects. */
    bool no_reconnect;         /* a lost connection stays lost: calls fail with DARI_CLOSED then */
    uint64_t backoff_first_ns; /* 0: DARI_BACKOFF_FIRST_DEFAULT_NS */
    uint64_t backoff_max_ns;   /* 0: DARI_BACKOFF_MAX_DEFAULT_NS */
    uint64_t connect_ns;       /* of one attempt; 0: DARI_CONNECT_DEFAULT_NS */
} dari_client_options;

/* Connects to `address`: "unix:/path", "unix:@name", "shm:name", "shm:/path", "fifo:/path",
 * "pipe:IN,OUT" (pipe.h), "exec:PROGRAM ARGS", "mq:name", "tcp://host[:port]", "udp://host[:port]".
 * `options` may be NULL and is not kept. The caller closes the client. A look-up of a name that
 * outlives its deadline ends in the background, in a thread that nobody waits for.
 *
 * "mq:name?messages=4&bytes=2048" says what the client's queue of messages is to be like
 * (server.h); these are the defaults: it takes 8.5 KiB of the 800 that a user may have in queues
 * unless RLIMIT_MSGQUEUE is raised. How much a client may send it learns by what it receives: one
 * that never waits nor dispatches stands still after 32 KiB.
 *
 * Of a host with several addresses each is tried in turn, with its share of the time that is left,
 * until one connects. Over udp:// nobody tells whether he is there: one address alone is taken, and
 * a call gets DARI_REFUSED where it says that nobody listens; of several, procedure 0 of the
 * program that will be called is called at each in turn, and the first that answers is taken, until
 * the connection is lost. So it takes a call to connect, as without a port (below). Over udp:// a
 * message has at most 65,507 bytes, and only an error of the socket itself counts as a lost
 * connection. A call that was sent again may have run, whatever the server answers: that is about
 * one copy.
 *
 * Over fifo: the client makes two FIFOs beside the server's, mode 0600, so that the server has to
 * be of the same user, or root's, and the client to have the right to make files there: otherwise
 * it gets DARI_PERMISSION. Connecting does not wait for the server to look, which takes the names
 * away; what is sent by then is lost where the client ends before. A server that cannot open them
 * says nothing, and calls come to their deadline.
 *
 * Without a port, rpcbind at the host is asked (RFC 1833, version 4, 3 or 2) where the program is
 * that will be called. Which one that is the first call tells: it has a thread connect, again and
 * again where that takes longer than options->connect_ns, waits for it until its deadline or
 * cancel, and gets the errors below as its own. A call that is started does not wait: it is kept
 * until then, and sent, or gets the error in its `done`; the next one that is started has it tried
 * again, at once. With options->interface all is done by dari_connect. One connection is made, for
 * that program: calls of another one go there too. Of what rpcbind answers the port alone counts;
 * the host is the one that was asked.
 *
 * Errors: DARI_INVALID, DARI_ADDRESS, DARI_SCHEME, DARI_REFUSED, DARI_PERMISSION, DARI_DEADLINE,
 * DARI_ERRNO, DARI_NO_MEMORY, DARI_CLOSED (the server died meanwhile), DARI_IN_USE (reserved ports;
 * mq: as many clients as there are names for wait to be accepted), DARI_LIMIT (mq: a limit of the
 * system, which the message names; shm_loan_size), DARI_LAYOUT; with shm_loan_size DARI_PROTOCOL,
 * of a server that does not answer as it should; without a port DARI_NOT_REGISTERED (fault.found
 * and fault.allowed of the context are the program and version) and DARI_RPCBIND. */
int dari_connect(const char *address, const dari_client_options *options, dari_client **ret_client);

/* Starts a program, and connects to it: arguments[0], which is looked for in PATH where it has no
 * slash, with these arguments, ended by NULL. It serves "pipe:0,1" (pipe.h), which DARI_PIPE in its
 * environment says too. The same as dari_connect with options->exec.allowed and the address
 * "exec:PROGRAM ARGS", where no shell reads the arguments: they are what lies between spaces, and a
 * backslash in one is written \\, a space \s, an argument of no bytes \e.
 *
 * Connecting does not wait for the program to be ready: calls do. Its standard error, environment,
 * directory and rights are those of this process, with default signals, and of descriptors it has
 * the standard ones and those it talks by, no others. That it has died is known at once, however
 * many children of its own keep the pipes open; the next call starts it anew, unless
 * options->no_reconnect.
 *
 * Closing the client closes the pipes and does not wait. The program learns of it by the end of its
 * input, upon which dari_server_run returns, and is killed after options->exec.grace_ns. Its status
 * is collected by the library, in a thread that lasts as long as the program: no zombie stays, even
 * where nobody uses the client. A program that outlives this process is not killed.
 *
 * The program is a child like others: SIGCHLD comes when it ends. Where the application ignores
 * that, or waits for any child and so collects the status, nothing is lost but the status; the
 * library collects none but its own.
 *
 * Errors: those of dari_connect; DARI_ADDRESS where there is no such program, DARI_PERMISSION where
 * it may not be executed, DARI_INVALID. */
int dari_connect_program(char *const arguments[], const dari_client_options *options,
                         dari_client **ret_client);

/* Calls procedure 0 of a program, which every server answers (RFC 5531, section 12.1). */
int dari_client_ping(dari_client *client, uint32_t program, uint32_t version, dari_call *call);

/* Finds the highest version of a program, from `lowest` to `highest`, that the server has, by calls
 * of procedure 0: one, unless the server has versions on both sides of `highest` and not that one.
 * The deadline of `call`, which may be NULL, is that of all together. Errors: those of a call,
 * DARI_PROGRAM_MISMATCH where there is none (the details hold the server's range), DARI_INVALID. */
int dari_client_find_version(dari_client *client, uint32_t program, uint32_t lowest,
                             uint32_t highest, uint32_t *ret_version, dari_call *call);

struct dari_interface;

/* Says that a procedure of an interface (&calc_1_interface, ADD) may run more than once: that does
 * no harm, and the last result is as good as the first. A call of it that was sent when the
 * connection was lost is sent again by the next one, within its deadline and up to DARI_REPEATS_MAX
 * times, unless it is one-way. Its message is copied for that. Holds for calls that begin later.
 * Errors: DARI_INVALID (the interface has no such procedure), DARI_NO_MEMORY. */
int dari_client_idempotent(dari_client *client, const struct dari_interface *interface,
                           uint32_t procedure);

/* A call, as interceptors are shown it. */
typedef struct dari_client_call {
    dari_client *client;
    const char *address; /* the client's */
    uint32_t program, version, procedure;
    const char *procedure_name; /* as the interface file has it: "READDIR" */
    uint64_t allowed_ns;        /* the deadline that applies */
    dari_call *call;            /* the caller's context, or NULL */

    /* For `after`. */
    int system_error; /* as in dari_call */
    bool may_have_run;
    uint64_t elapsed_ns; /* since the call began */
} dari_client_call;

/* Asked and told around every call: synchronous, in flight or one-way. What they are shown lasts as
 * long as they run. They must not use the client. */
typedef struct dari_client_interceptor {
    /* Before anything is sent, in the thread that makes the call: 0 lets it pass, an error is what
     * the call returns, which has not run then. May be NULL. */
    int (*before)(const dari_client_call *call, void *user);
    /* Once the call is over, if `before` let it pass: what it returns, and what became of it. A
     * call in flight is over in the thread that runs its `done`, just before that. May be NULL. */
    void (*after)(const dari_client_call *call, int error, void *user);
    void *user;
} dari_client_interceptor;

/* Adds an interceptor, before the client is used. The first one added is asked first and told last.
 * Errors: DARI_LIMIT (DARI_CLIENT_INTERCEPTORS_MAX). */
int dari_client_intercept(dari_client *client, const dari_client_interceptor *interceptor);

/* For a loop of one's own: wait until the descriptor is readable, for at most
 * dari_client_timeout_ns, then call dispatch. The thread that waits asks for the time-out, right
 * before it does; one loop at a time, beside which others may use dispatch and dari_client_wait:
 * they wake it. Dispatch never waits; it returns 1 where more is ready and it wants to be called
 * again at once, 0 where the descriptor or the time-out will tell, or an error: DARI_FORKED,
 * DARI_INVALID within `done`, DARI_ERRNO or DARI_NO_MEMORY where the descriptor cannot be made. A
 * connection that is lost is an error of the calls, not of dispatch. What is started after that is
 * kept, up to queued_max, and sent once there is a connection. */
int dari_client_descriptor(dari_client *client);      /* the same for as long as the client lives */
uint64_t dari_client_timeout_ns(dari_client *client); /* UINT64_MAX: no limit */
int dari_client_dispatch(dari_client *client);

/* Makes progress until no call is in flight, at most for `allowed_ns` (UINT64_MAX: as long as the
 * deadlines of the calls take). Returns 0, DARI_DEADLINE, or an error as dispatch does. */
int dari_client_wait(dari_client *client, uint64_t allowed_ns);

/* Closes the connection and frees the client. Calls in flight end with DARI_CLOSED; no function of
 * the client may be in progress. One of dari_request_client is closed once by each who has got it;
 * where its loop calls a function given to a stub just then, that loop ends the others in flight.
 * Results stay valid until their call context ends. An attempt to connect that is under way ends in
 * the background. Takes NULL. */
void dari_client_close(dari_client *client);

#ifdef __cplusplus
}
#endif

#endif
