/* SPDX-License-Identifier: MIT */
/* The server behind dari_server, shared by server.c (its life and loop), listening.c (its
 * addresses), session.c (one connection) and request.c (one call). All of it belongs to the
 * server's thread, except stop_descriptor and stop_asked. */
#ifndef DI_LOOP_SERVER_H
#define DI_LOOP_SERVER_H

#include "base/fork_guard.h"
#include "loop/channel.h"
#include "rpc/dispatch.h"
#include "rpc/message.h"

#include <dari/server.h>

#include <stdatomic.h>
#include <stdbool.h>

/* Calls of one connection that are served before others get their turn. */
#define DI_CALLS_PER_TURN 64
/* Events that are taken from the kernel at once. */
#define DI_EVENTS_PER_TURN 64
/* Connections that are accepted at an address before others get their turn. */
#define DI_ACCEPTS_PER_TURN 16
/* How long no connection is accepted once descriptors or memory have run out, unless one of our own
 * closes before. */
#define DI_ACCEPT_PAUSE_NS UINT64_C(100000000)
/* How long memory is kept for further large messages when none comes. */
#define DI_TRIM_NS UINT64_C(250000000)
/* Messages from this size on are large. */
#define DI_LARGE_MESSAGE ((size_t)64 << 10)
#define DI_SERVER_TEXT_SIZE 512

/* What an event belongs to. Begins every structure that is watched. */
enum di_watched_kind { DI_WATCHED_STOP, DI_WATCHED_LISTENER, DI_WATCHED_SESSION };
typedef struct di_watched {
    enum di_watched_kind kind;
} di_watched;

typedef struct di_address {
    di_watched watched;
    di_listener *listener;
    struct di_address *next;
} di_address;

/* One connection. */
typedef struct di_session {
    di_watched watched;
    di_channel channel;
    struct di_session *next, *previous;
    struct di_session *next_ready;
    const char *address; /* that it came in by */
    uint32_t interest;   /* epoll events that are watched for */
    bool ready;          /* in the list of those that can go on without an event */
    bool ended;          /* the peer sends no more */
    bool used;           /* since memory was last trimmed */
} di_session;

struct dari_request {
    dari_server *server;
    di_session *session;
    dari_decoder decoder;
    dari_encoder encoder;
    di_target target;
    uint32_t xid;
    const uint8_t *arguments;
    uint8_t *message; /* the reply being written, or NULL */
    size_t message_size;
    int error; /* of dari_request_reserve */
    bool replied;
};

struct dari_server {
    di_fork_guard guard;
    size_t message_max;
    size_t decode_budget;
    uint32_t connections_max;
    size_t queued_max;
    uint32_t accept;
    dari_log *log;
    void *log_user;

    int epoll;
    di_watched stop; /* marks the events of stop_descriptor */
    int stop_descriptor;
    atomic_int stop_asked; /* tells; the descriptor only wakes */
    bool running;          /* in dari_server_run, which takes the stop */
    bool dispatching;

    di_dispatch dispatch;
    di_address *addresses; /* in the order of listening */
    di_session *sessions;
    di_session *ready; /* first in, first out */
    di_session **ready_end;
    uint32_t connections;
    bool accepting;        /* the listeners are watched */
    uint64_t accept_again; /* when a pause in accepting ends; 0: there is none */
    bool told_no_accept;   /* the log knows; nothing was accepted since */

    dari_arena arena;
    bool arena_used;  /* for a large message, since memory was last trimmed */
    uint64_t trim_at; /* when memory will be trimmed; 0: there is nothing to trim */
    char text[DI_SERVER_TEXT_SIZE];
};

/* Tells the log, if there is one. */
void di_server_log(dari_server *server, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether dari_server_run is to return: no further call is served. */
static inline bool di_server_stops(const dari_server *server)
{
    return server->running && atomic_load(&server->stop_asked);
}

/* Accepts what waits at an address. */
void di_server_accept(dari_server *server, di_address *address);
/* Watches the listeners, or stops watching, as the number of connections and the time say. */
void di_server_update_accepting(dari_server *server);

/* Takes a connection over. Returns 0 or the error; then the connection is closed. */
int di_session_create(dari_server *server, di_connection *connection, const char *address);
/* Does what the events of its descriptor allow. The session may be gone afterwards. */
void di_session_event(dari_server *server, di_session *session, uint32_t events);
/* Serves calls that have arrived already. The session may be gone afterwards. */
void di_session_serve(dari_server *server, di_session *session);
void di_session_close(dari_server *server, di_session *session);

/* Sees to it that memory kept for large messages is given back if they don't go on. */
void di_server_trim_later(dari_server *server);

/* Answers one message. Returns 0 or an error that ends the connection. */
int di_request_serve(dari_server *server, di_session *session, const di_message *message);

#endif
