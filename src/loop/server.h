/* SPDX-License-Identifier: MIT */
/* The server behind dari_server, shared by server.c (its life and loop), listening.c and inherit.c
 * (its addresses), access.c (who may connect), registration.c (what rpcbind knows of them), log.c
 * (its log), session.c (one connection), request.c (one call), answer.c (its reply), workers.c
 * (threads that run handlers), sweep.c (what time ends) and about.c (what a handler may ask).
 *
 * Threads. The loop's thread does all input and owns whatever is not named here. Any thread may
 * answer a call: it takes turns with others on the output of the connection under session->lock
 * (which the loop leaves alone while there are no others: di_session_take_output), and sends by
 * itself; it wakes the loop only where the loop has to do something then (di_session_call_loop).
 *
 * Owners. A call that is in progress beyond its turn of the loop is counted in its session
 * (`in_flight`) and holds a reference on it, a session holds one on the server: so both are there
 * until the last call is answered, though the connection is long closed. */
#ifndef DI_LOOP_SERVER_H
#define DI_LOOP_SERVER_H

#include "base/fork_guard.h"
#include "base/timers.h"
#include "loop/channel.h"
#include "loop/counters.h"
#include "loop/registration.h"
#include "loop/spin.h"
#include "loop/watch.h"
#include "rpc/dispatch.h"
#include "rpc/message.h"
#include "rpc/reply_cache.h"

#include <dari/server.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Calls of one connection that are served before others get their turn. */
#define DI_CALLS_PER_TURN 64
/* Events that are taken from the kernel at once. */
#define DI_EVENTS_PER_TURN 64
/* Connections that are accepted at an address before others get their turn. */
#define DI_ACCEPTS_PER_TURN 16
/* Turns in a row that serve memory alone before the kernel is asked for events again. */
#define DI_HOT_TURNS_MAX 64u
#define DI_HOT_TURN_NS UINT64_C(500000)
/* How long no connection is accepted once descriptors or memory have run out, unless one of our own
 * closes before. */
#define DI_ACCEPT_PAUSE_NS UINT64_C(100000000)
/* How long memory is kept for further large messages when none comes. */
#define DI_TRIM_NS UINT64_C(250000000)
/* Messages from this size on are large. */
#define DI_LARGE_MESSAGE ((size_t)64 << 10)
/* A message for a worker is copied up to this size, and held where it lies above. */
#define DI_COPIED_MESSAGE ((size_t)8 << 10)
/* A connection over which the server calls is not held back by limits on calls in progress: up to
 * this many times the limit they begin, further ones are refused. */
#define DI_CALLS_BEYOND 8u
/* Requests that are kept for further calls. */
#define DI_REQUESTS_KEPT 256u
/* Connections are looked at for time limits this often within the shortest limit. */
#define DI_SWEEPS_PER_LIMIT 4u
#define DI_SERVER_TEXT_SIZE 512

/* What an event belongs to. Begins every structure that is watched. */
enum di_watched_kind {
    DI_WATCHED_WAKE,
    DI_WATCHED_ALARM,
    DI_WATCHED_LISTENER,
    DI_WATCHED_SESSION,
    DI_WATCHED_SERVICE
};
typedef struct di_watched {
    enum di_watched_kind kind;
} di_watched;

typedef struct di_address {
    di_watched watched;
    di_listener *listener; /* NULL: no longer listened at */
    struct di_address *next;
    bool rests;  /* it is shared and not watched, until a pause in accepting ends */
    bool spent;  /* it had one connection, which it has handed out */
    char text[]; /* as a client writes it */
} di_address;

/* Where a call came from that came without a connection. */
typedef struct di_origin {
    di_route route;
    di_cached_call *cached; /* NULL: its reply is not to be kept, or is already */
} di_origin;

/* One connection; or all callers of an address that keeps none. */
typedef struct di_session {
    di_watched watched;
    dari_server *server;
    di_channel channel; /* its output, and its end: under lock */
    struct di_session *next, *previous;
    struct di_session *next_ready;
    struct di_session *next_hot, **hot_link; /* NULL where it is not among them */
    const char *address;                     /* that it came in by */
    bool connectionless;
    void (*route_peer)(const di_route *route, di_peer *ret_peer); /* then: whose route it is */
    di_peer peer;                                                 /* constant */
    unsigned wants;     /* enum di_wants: what is watched for; written under lock */
    uint64_t active_at; /* when something last came or went */
    bool ready;         /* in the list of those that can go on without an event */
    bool ended;         /* the peer sends no more */
    bool held;          /* not read from: it has as many calls or replies as it may */
    bool unwatched;     /* not in epoll */
    bool calm;          /* nothing has to change while all is served and sent */
    bool called;        /* a whole call came */
    bool accepted;      /* it is counted as such */

    pthread_mutex_t lock;
    di_reply_cache replies;          /* connectionless: under lock */
    int broken;                      /* under lock: the error of sending by another thread */
    atomic_uint in_flight;           /* calls that go on beyond a turn of the loop */
    atomic_uint references;          /* the loop, calls in flight, and being in `calling` */
    atomic_bool wants_word;          /* the loop waits for a call to end */
    struct di_session *next_calling; /* under server->lock */
    bool calling;

    bool reverse; /* calls come to a client of this process: its connection is the client's */
    bool serving; /* the loop serves it just now, and will send */
    dari_client *caller;      /* that calls over this session, or NULL: under lock */
    bool deaf;                /* under lock: no answers come to it any more */
    atomic_bool called_over;  /* there is one, or was */
    atomic_bool caller_waits; /* for room in the output */
    di_timer caller_timer;    /* when its calls are looked at, if `caller_timed`: under */
    bool caller_timed;        /* server->lock; then it holds a reference */
} di_session;

/* A call. Those that are not in use lie in the server's pool. */
struct dari_request {
    dari_server *server;
    di_session *session;
    dari_request *next; /* in the pool, or in the queue of the workers */
    dari_decoder decoder;
    dari_encoder encoder;
    dari_references references; /* of the reply: sent before dari_request_reply returns */
    di_target target;
    uint32_t xid;
    di_origin origin; /* connectionless; its `cached` under session->lock */
    char *peer_text;  /* of the origin, in the arena; or NULL */
    uint64_t began;   /* when the loop took it up */
    di_procedure_counters *counters;
    di_auth credential;
    const uint8_t *arguments;
    const uint8_t *bytes; /* the message of the call */
    size_t size;
    dari_arena arena;
    uint8_t *copy; /* memory for a copy of the message, kept */
    size_t copy_room;
    di_hold *hold;     /* of the message where it came in, or NULL */
    di_region *region; /* that `elsewhere` is in, held where the call goes on by itself; or NULL */
    uint8_t *message;  /* the reply being written, and the output is the thread's; or NULL */
    size_t message_size;
    bool locked; /* then: by session->lock */
    int error;   /* of dari_request_reserve */
    bool replied;
    bool in_loop;     /* served by the loop, which sends */
    unsigned entered; /* interceptors whose `before` let it pass */
    /* 2 while a handler that may answer later runs: itself, and whoever answers. The last one of
     * them ends the request. */
    atomic_int parties;
    dari_references elsewhere; /* opaque data of the arguments that lies in `region` */
};

struct dari_server {
    di_fork_guard guard;
    size_t message_max;
    uint32_t fragments_max;
    size_t decode_budget;
    uint32_t connections_max;
    uint32_t connections_per_peer_max;
    uint32_t calls_per_connection_max;
    uint32_t calls_max;
    uint64_t idle_ns; /* DI_NEVER: no limit */
    uint64_t first_call_ns;
    uint64_t tcp_keepalive_ns; /* DI_NEVER: none */
    size_t shm_ring_size;
    size_t shm_loan_max;
    bool shm_read_loans;
    size_t queued_max;
    uint32_t remembered_max;
    size_t remembered_bytes_max;
    uint32_t accept;
    uint32_t log_lines_per_second;

    di_access access;   /* whom it lets in, but for */
    char *access_group; /* the group, which is looked up each time that it listens, or NULL */

    int epoll;
    di_watched wake; /* marks the events of wake_descriptor */
    int wake_descriptor;
    di_watched alarm; /* marks the events of alarm_descriptor, */
    int alarm_descriptor;
    uint64_t alarm_at;      /* which come then; DI_NEVER: it is not set */
    atomic_bool stop_asked; /* these tell; the descriptor only wakes */
    atomic_bool finish_asked;
    _Atomic uint64_t finish_at; /* the deadline of finishing */
    atomic_bool running;        /* in dari_server_run, which takes the stop */
    bool finishing;
    bool finished; /* in a loop of one's own: that is over, and no call begins any more */
    struct epoll_event *events; /* of this turn */
    int event_count;
    di_session *heeding; /* sessions that called the loop in this turn */
    bool dispatching;

    di_counters counters;
    di_traffic traffic;
    di_dispatch dispatch; /* written under lock; others than the loop's thread read it under lock */
    dari_interceptor interceptors[DARI_INTERCEPTORS_MAX];
    unsigned interceptor_count;
    di_registrar registrar;
    di_address *addresses; /* in the order of listening */
    di_session *sessions;
    di_session *warm;     /* the one that was served last, which keeps its memory; or NULL */
    di_session *hot;      /* that are looked at by the loop itself: hot.c */
    di_session *hot_next; /* the one that di_hot_serve looks at next */
    unsigned hot_turns;   /* that went by without asking the kernel */
    di_spin spin;         /* how long the loop looks at them before it sleeps */
    di_session *ready;    /* first in, first out */
    di_session **ready_end;
    uint32_t connections;
    bool accepting;        /* the listeners are watched */
    uint64_t accept_again; /* when a pause in accepting ends; 0: there is none */
    bool listeners_rest;   /* some of them, until then */
    bool told_no_accept;   /* the log knows; nothing was accepted since */
    bool told_peer_limit;
    uint64_t now;      /* when this turn began, or the last call that the loop has answered ended */
    uint64_t clock;    /* when the loop last looked, or 0: too long ago to time a call by it */
    uint64_t sweep_at; /* when connections are next looked at; DI_NEVER: there are none */

    di_pool pool; /* the memory of messages: any thread */
    dari_request *free_requests;
    unsigned free_count;
    _Atomic(dari_request *) returned; /* by other threads */
    atomic_uint returned_count;
    bool requests_used; /* for a large message, since memory was last trimmed */
    uint64_t trim_at;   /* when memory will be trimmed; 0: there is nothing to trim */
    char text[DI_SERVER_TEXT_SIZE];

    atomic_uint in_flight;  /* of all sessions */
    atomic_bool starved;    /* the loop waits for one of them to end */
    atomic_uint references; /* the owner, and every session */
    _Atomic pthread_t here; /* the thread of the last turn */
    struct di_reverse_service
        *services;               /* clients whose calls are answered here: the loop's thread */
    atomic_bool services_called; /* one of them has something new */
    atomic_bool callers_stop;    /* nobody may wait for an answer of a peer */
    _Atomic uint64_t caller_due; /* the first of caller_timers; DI_NEVER: there is none */
    pthread_mutex_t lock;        /* guards what follows */
    di_timers caller_timers;
    di_session *calling; /* sessions that the loop has to look at */
    bool gone;           /* the server was destroyed; nobody is to be woken or told */

    pthread_mutex_t log_lock;
    dari_log *log;
    void *log_user;
    uint64_t log_until; /* lines are counted together until then */
    uint32_t log_lines; /* written since they are */
    uint64_t log_left_out;
    _Atomic uint64_t log_due; /* when the loop tells how many were left out; 0: none */

    struct di_workers *workers; /* NULL: the loop runs handlers */
    uint32_t worker_count;
};

/* Tells the log, if there is one: what the server itself meets, which is told once; what peers
 * cause, which is told so often a second at most. Any thread, without server->lock. */
void di_server_log(dari_server *server, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void di_server_log_peer(dari_server *server, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Tells how many lines were left out, once their second is over. */
void di_server_log_rest(dari_server *server, uint64_t now);
/* Sees to it that memory kept for large messages is given back if they don't go on. */
void di_server_trim_later(dari_server *server);
/* Lets the loop look at what has changed. Any thread, signal handlers too; but the first with
 * server->lock, under which the descriptor is closed. */
void di_server_wake(dari_server *server);
void di_server_reference_drop(dari_server *server);
/* What is watched by several descriptors is gone: the other events of this turn are not for it. */
void di_server_forget_events(dari_server *server, const void *watched);

/* Whether this thread is the loop's: the one of the last turn. */
static inline bool di_server_is_here(const dari_server *server)
{
    return pthread_equal(atomic_load_explicit(&server->here, memory_order_relaxed), pthread_self());
}

/* Takes session->lock for the output, unless no other thread has to do with it: the loop asks
 * (`here`), no call goes on beyond its turn, and no client calls over the session. What others did
 * before is seen with `in_flight`, which they count down last. Returns whether it was taken. */
static inline bool di_session_take_output(di_session *session, bool here)
{
    if (here && atomic_load(&session->in_flight) == 0 && !atomic_load(&session->called_over))
        return false;
    pthread_mutex_lock(&session->lock);
    return true;
}

static inline void di_session_give_output(di_session *session, bool taken)
{
    if (taken)
        pthread_mutex_unlock(&session->lock);
}

/* Whether dari_server_run is to return: no further call is begun. Any thread. */
static inline bool di_server_stops(const dari_server *server)
{
    return atomic_load(&server->stop_asked) && atomic_load(&server->running);
}

/* Keeps what the options say of access. Returns 0, DARI_INVALID or DARI_NO_MEMORY; forget is due
 * all the same. */
int di_server_keep_access(dari_server *server, const dari_access *access);
void di_server_forget_access(dari_server *server);
/* Looks the group up, to listen at `address`. Errors, of which the server's message is set:
 * DARI_INVALID (there is none), DARI_NO_MEMORY, DARI_ERRNO. */
int di_server_find_access(dari_server *server, const char *address, di_access *ret_access);

/* Puts into words what has failed: "tcp://host: listen: ..." */
void di_server_describe(dari_server *server, const char *what, const char *action, int error,
                        const di_failure *failure);

/* Takes a listener over, and registers its programs where rpcbind has to know them (`asked`) or
 * may. After an error it is the caller's still. */
int di_server_take_listener(dari_server *server, di_listener *listener, bool asked,
                            di_failure *ret_failure);
/* Accepts what waits at an address. */
void di_server_accept(dari_server *server, di_address *address);
/* Watches the listeners, or stops watching, as the number of connections and the time say. */
void di_server_update_accepting(dari_server *server);
/* Whether there may be one more connection. */
static inline bool di_server_may_accept(const dari_server *server)
{
    return server->accept_again == 0 && server->connections < server->connections_max &&
           !server->finishing;
}
/* Whether updating has something to do: taking those who were kept may have closed connections. */
static inline bool di_server_accepting_is_due(const dari_server *server)
{
    return di_server_may_accept(server) != server->accepting;
}
/* Listens no more; what connections that are there have of a listener stays. */
void di_server_retire_listeners(dari_server *server);
void di_server_close_listeners(dari_server *server);
/* Whether all its addresses were of one connection, which has come. */
bool di_server_is_exhausted(const dari_server *server);

/* Sessions into whose memory peers write without the kernel's knowing: the loop looks at them while
 * it is busy, and has them wake it before it sleeps. Only those are in the list that are not armed.
 * The loop's thread. */
void di_hot_add(dari_server *server, di_session *session);
void di_hot_remove(di_session *session);
/* Serves those for which something is there. Returns whether there were any. */
bool di_hot_serve(dari_server *server);
/* Arms all of them. Returns whether the loop may sleep; otherwise something is there. */
bool di_hot_arm(dari_server *server);
/* Looks at them as long as spinning pays. Returns whether something is there. */
bool di_hot_spin(dari_server *server, uint64_t most_ns);
/* The same for those that were served a moment ago. */
bool di_hot_goes_on(dari_server *server);
/* di_spin.work of a server, for those that it looks at. */
uint32_t di_hot_work(void *server);

/* Takes a connection over. Returns 0 or the error; then the connection is closed. */
int di_session_create(dari_server *server, di_connection *connection, const char *address,
                      bool connectionless);
/* Does what the events of its descriptor allow. The session may be gone afterwards. */
void di_session_event(dari_server *server, di_session *session, uint32_t events);
/* Serves calls that have arrived already. The session may be gone afterwards. */
void di_session_serve(dari_server *server, di_session *session);
void di_session_close(dari_server *server, di_session *session);
/* The loop's answer to di_session_call_loop. */
void di_session_heed(dari_server *server, di_session *session);
/* Has the loop look at a session that the caller holds a reference on. Any thread. */
void di_session_call_loop(di_session *session);
void di_session_reference_drop(di_session *session);

/* Answers one message, or has it answered. Returns 0 or an error that ends the connection. */
int di_request_serve(dari_server *server, di_session *session, const di_message *message);
/* Counts the end of a call, before its answer is sent: 0, or the error that is answered. Any
 * thread; `in_loop`: the loop's. */
void di_request_count(dari_server *server, di_procedure_counters *counters, uint64_t began,
                      int error, bool in_loop);
/* Runs a call to the end of its handler. Returns 0, DARI_LATER, or an error of the connection. */
int di_request_run(dari_request *request);
/* Ends a request that was counted: gives back what it holds. Any thread. */
void di_request_end(dari_request *request);
/* Frees the requests of the pool. */
void di_requests_free(dari_server *server);
void di_requests_trim(dari_server *server);

/* Sends a reply without results, to `origin` where the session is connectionless; `flush`: at once,
 * otherwise the loop will. Any thread. */
int di_answer_header(di_session *session, di_origin *origin, const di_reply_header *header,
                     bool flush);
/* Looks up whether a message that came without a connection is known already. Returns an enum
 * di_call_known, after the reply of one that is answered was sent once more; or an error. */
int di_answer_again(di_session *session, di_origin *origin, const di_message *message);
/* The call gets no reply: it may be called again. Any thread. */
void di_answer_never(di_session *session, di_origin *origin);
/* The reply for a call that has failed with `error`. Any thread. */
int di_answer_failure(dari_request *request, int error);

/* Starts the threads where the options want some and they don't run yet or pause. */
int di_workers_start(dari_server *server);
/* Hands a request, which is counted, to the threads. */
void di_workers_put(dari_server *server, dari_request *request);
/* Waits until no handler runs any more; none will until di_workers_start. */
void di_workers_pause(dari_server *server);
/* Drops the calls that no handler has begun: their connections are about to be closed. */
void di_workers_drop(dari_server *server);
/* Ends the threads; calls that no handler has begun are dropped. */
void di_workers_end(dari_server *server);

/* Closes the connections whose time is over. */
void di_server_sweep(dari_server *server);
/* A connection was made: it will be looked at. */
void di_server_sweep_later(dari_server *server);

#endif
