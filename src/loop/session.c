/* SPDX-License-Identifier: MIT */
/* One connection of a server.
 *
 * Calls are begun in the order in which they come; the replies of those that are answered at once
 * are collected and sent together. A peer that does not take its replies, or has as many calls in
 * progress as it may, is not read from: nothing grows without end. A peer that sends no more still
 * gets its replies. */
#include "base/clock.h"
#include "loop/reverse.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>

static void remember_replies(const dari_server *server, di_session *session)
{
    const di_reply_cache_limits limits = {.count = server->remembered_max,
                                          .bytes = server->remembered_bytes_max,
                                          .age_ns = DARI_REMEMBERED_NS};
    uint64_t key[2];
    if (getrandom(key, sizeof key, GRND_NONBLOCK) != sizeof key)
        key[0] = key[1] = di_now();
    di_reply_cache_init(&session->replies, &limits, key);
}

int di_session_create(dari_server *server, di_connection *connection, const char *address,
                      bool connectionless)
{
    di_session *session = calloc(1, sizeof *session);
    if (!session) {
        connection->ops->close(connection);
        return DARI_NO_MEMORY;
    }
    session->watched.kind = DI_WATCHED_SESSION;
    session->server = server;
    session->address = address;
    session->connectionless = connectionless;
    session->reverse = connection->watch_count == 0;
    session->route_peer = connection->ops->route_peer;
    session->wants = DI_WANTS_RECEIVE;
    session->active_at = server->now;
    if (connection->ops->peer)
        connection->ops->peer(connection, &session->peer);
    connection->ops->use_pool(connection, &server->pool, false);
    di_channel_init(&session->channel, connection,
                    &(di_channel_limits){server->message_max, server->fragments_max});
    if (di_watches_add(server->epoll, connection, session->wants, (epoll_data_t){.ptr = session}) <
        0) {
        int cause = errno;
        di_channel_close(&session->channel);
        free(session);
        errno = cause;
        return DARI_ERRNO;
    }
    connection->owner = session;
    if (connection->ops->arm)
        di_hot_add(server, session);
    if (connectionless)
        remember_replies(server, session);
    pthread_mutex_init(&session->lock, NULL);
    atomic_init(&session->references, 1);
    atomic_fetch_add(&server->references, 1);
    session->next = server->sessions;
    if (session->next)
        session->next->previous = session;
    server->sessions = session;
    if (connectionless || session->reverse)
        return 0;
    server->connections++;
    di_server_sweep_later(server);
    return 0;
}

void di_session_reference_drop(di_session *session)
{
    if (atomic_fetch_sub(&session->references, 1) != 1)
        return;
    dari_server *server = session->server;
    if (session->connectionless)
        di_reply_cache_free(&session->replies);
    pthread_mutex_destroy(&session->lock);
    free(session);
    di_server_reference_drop(server);
}

static void make_ready(dari_server *server, di_session *session)
{
    if (session->ready)
        return;
    session->ready = true;
    session->next_ready = NULL;
    *server->ready_end = session;
    server->ready_end = &session->next_ready;
}

static void make_unready(dari_server *server, di_session *session)
{
    if (!session->ready)
        return;
    di_session **link = &server->ready;
    while (*link != session)
        link = &(*link)->next_ready;
    *link = session->next_ready;
    if (!*link)
        server->ready_end = link;
    session->ready = false;
}

void di_session_close(dari_server *server, di_session *session)
{
    bool forked = di_forked(&server->guard);
    make_unready(server, session);
    if (server->warm == session)
        server->warm = NULL;
    di_hot_remove(session);
    di_server_forget_events(server, session);
    if (session->previous)
        session->previous->next = session->next;
    else
        server->sessions = session->next;
    if (session->next)
        session->next->previous = session->previous;
    /* Closing is not enough where a child of this process holds the descriptor too. In that child
     * the events are still the parent's, and none of its business; and so is the lock. */
    if (!forked) {
        if (!session->unwatched)
            di_watches_remove(server->epoll, session->channel.connection);
        pthread_mutex_lock(&session->lock);
    }
    di_channel_close(&session->channel);
    if (!forked)
        pthread_mutex_unlock(&session->lock);
    if (!session->connectionless && !session->reverse)
        server->connections--;
    if (session->accepted)
        di_count(&server->traffic.closed, 1);
    server->accept_again = 0;
    di_caller_lost(session);
    di_session_reference_drop(session);
}

void di_session_call_loop(di_session *session)
{
    dari_server *server = session->server;
    pthread_mutex_lock(&server->lock);
    if (!server->gone && !session->calling) {
        session->calling = true;
        atomic_fetch_add(&session->references, 1);
        session->next_calling = server->calling;
        server->calling = session;
        di_server_wake(server);
    }
    pthread_mutex_unlock(&server->lock);
}

/* Watches for what the session can use. Under its lock. */
static int update_wants(dari_server *server, di_session *session)
{
    const di_connection *connection = session->channel.connection;
    unsigned wants = di_channel_unsent(&session->channel) > 0 ? DI_WANTS_SEND : 0;
    if (!session->ended && !session->held)
        wants |= DI_WANTS_RECEIVE;
    if (connection->ops->arm && wants)
        di_hot_add(server, session);
    bool again = session->unwatched && wants;
    if (wants == session->wants && !again)
        return 0;
    if (connection->ops->disarm && !(wants & DI_WANTS_RECEIVE))
        connection->ops->disarm(session->channel.connection);
    epoll_data_t data = {.ptr = session};
    int error = again ? di_watches_add(server->epoll, connection, wants, data)
                      : di_watches_change(server->epoll, connection, session->wants, wants, data);
    if (error < 0)
        return error;
    session->unwatched = false;
    session->wants = wants;
    return 0;
}

/* Whether more replies wait than may. Under the lock. */
static bool is_full(const dari_server *server, const di_session *session)
{
    return di_channel_unsent(&session->channel) > server->queued_max;
}

/* A connection over which the server calls is read from all the same: answers come behind calls. */
static bool has_many_calls(const dari_server *server, di_session *session)
{
    return !session->connectionless && !atomic_load(&session->called_over) &&
           atomic_load(&session->in_flight) >= server->calls_per_connection_max;
}

static bool all_have_many_calls(dari_server *server, const di_session *session)
{
    return !atomic_load(&session->called_over) &&
           atomic_load(&server->in_flight) >= server->calls_max;
}

/* Shows the next message, after receiving what a shared listener has brought meanwhile: of that no
 * watch tells. Returns 1, 0 where there is none, or an error. */
static int next_message(di_session *session, di_message *ret_message)
{
    di_connection *connection = session->channel.connection;
    for (;;) {
        int came = di_channel_next(&session->channel, ret_message);
        if (came || !connection->ops->ready || connection->ops->arm || session->ended ||
            !connection->ops->ready(connection, true))
            return came;
        int moved = di_channel_receive(&session->channel);
        if (moved == DARI_CLOSED)
            session->ended = true;
        else if (moved < 0)
            return moved;
    }
}

/* What came of serving what has arrived. */
enum served {
    SERVED_ALL = 0,
    SERVED_SOME = 1,   /* there may be more, for the next turn */
    SERVED_HELD = 2,   /* there may be more, but this one may have no more calls or replies now */
    SERVED_STARVED = 3 /* there may be more, but all together may have no more calls */
};

/* Whether only receive brings something to the connection, and all of that was shown. */
static bool is_emptied(const di_session *session)
{
    const di_connection_ops *ops = session->channel.connection->ops;
    return !di_channel_has_more(&session->channel) && (!ops->ready || ops->arm);
}

/* Serves what has arrived, some of it at most, none once the server stops. Returns what came of it,
 * or an error. */
static int serve_some(dari_server *server, di_session *session)
{
    di_message message;
    for (int i = 0; i < DI_CALLS_PER_TURN && !di_server_stops(server); i++) {
        bool locked = di_session_take_output(session, true);
        bool full = is_full(server, session);
        di_session_give_output(session, locked);
        bool finished = server->finishing && !atomic_load(&session->called_over);
        if (full || finished || has_many_calls(server, session))
            return SERVED_HELD;
        if (all_have_many_calls(server, session))
            return SERVED_STARVED;
        uint64_t shown = session->channel.shown;
        int came = next_message(session, &message);
        di_count(&server->traffic.received, session->channel.shown - shown);
        if (came <= 0)
            return came < 0 ? came : SERVED_ALL;
        if (!session->called)
            session->active_at = server->now;
        session->called = true;
        int error = di_request_serve(server, session, &message);
        if (error < 0 && !session->connectionless)
            return error;
        if (is_emptied(session)) {
            di_channel_done(&session->channel);
            return SERVED_ALL;
        }
    }
    return SERVED_SOME;
}

static void fail(dari_server *server, di_session *session, int error)
{
    /* The client goes on using the connection, unless it is told. */
    if (session->reverse)
        session->channel.connection->ops->shut(session->channel.connection);
    if (error == DARI_BAD_REPLY)
        di_server_log_peer(server, error, "%s: connection closed: what came is no RPC message",
                           session->address);
    else if (error == DARI_LIMIT)
        di_server_log_peer(server, error,
                           "%s: connection closed: a record has more than %u fragments",
                           session->address, (unsigned)server->fragments_max);
    else if (error != DARI_CLOSED)
        di_server_log_peer(server, error, "%s: connection closed: %s", session->address,
                           dari_error_text(error));
    di_session_close(server, session);
}

/* Decides what the session waits for, after serving came to `served` without an error. Under its
 * lock; no other thread writes a reply meanwhile. Returns 0, or an error. */
static int settle(dari_server *server, di_session *session, int served, bool *ret_over)
{
    bool full = is_full(server, session);
    session->held = served == SERVED_HELD || served == SERVED_STARVED || full;
    /* Asked for first, looked at then: a call that ends in between is seen, or is told of. */
    bool wants_word = session->ended || session->held || server->finishing;
    if (wants_word != atomic_load_explicit(&session->wants_word, memory_order_relaxed))
        atomic_store(&session->wants_word, wants_word);
    if (served == SERVED_HELD && !full && !server->finishing && !has_many_calls(server, session))
        served = SERVED_SOME;
    if (served == SERVED_STARVED) {
        atomic_store(&server->starved, true);
        if (!all_have_many_calls(server, session))
            atomic_store(&server->starved, false);
    }
    if (served == SERVED_SOME || served == SERVED_STARVED)
        make_ready(server, session);
    bool last = server->finishing || (session->ended && served == SERVED_ALL);
    *ret_over = last && !full && atomic_load(&session->in_flight) == 0 &&
                di_channel_unsent(&session->channel) == 0;
    int error = update_wants(server, session);
    session->calm = error == 0 && served == SERVED_ALL && !wants_word && !session->reverse &&
                    session->wants == DI_WANTS_RECEIVE && !session->unwatched &&
                    !session->channel.connection->ops->arm;
    return error;
}

/* Whether the last turn of the session ended as this one, and settled all that there is to. */
static bool is_settled(const dari_server *server, const di_session *session, int served,
                       int flushed)
{
    return session->calm && served == SERVED_ALL && flushed == DI_MOVED && !session->ended &&
           !server->finishing;
}

void di_session_serve(dari_server *server, di_session *session)
{
    bool over = false;
    make_unready(server, session);
    session->serving = true;
    int served = serve_some(server, session);
    bool locked = di_session_take_output(session, true);
    /* Replies to what came before some garbage are owed. */
    int flushed = di_channel_flush(&session->channel);
    server->clock = 0;
    int error = served < 0 ? served : flushed < 0 ? flushed : session->broken;
    if (error == 0 && !is_settled(server, session, served, flushed))
        error = settle(server, session, served, &over);
    bool deafens = session->ended && served == SERVED_ALL && !session->deaf;
    session->deaf |= deafens;
    bool has_room = atomic_load(&session->caller_waits) && !is_full(server, session);
    session->serving = false;
    di_session_give_output(session, locked);
    if (has_room)
        di_caller_room(session);
    if (deafens && atomic_load(&session->called_over))
        di_caller_deaf(session);
    if (error < 0)
        fail(server, session, error);
    else if (over)
        di_session_close(server, session);
}

void di_session_heed(dari_server *server, di_session *session)
{
    if (session->channel.connection && session->reverse)
        di_session_event(server, session, EPOLLIN);
    else if (session->channel.connection)
        di_session_serve(server, session);
    di_session_reference_drop(session);
}

/* The other side is gone for good, and nothing is read at present. The kernel would go on telling.
 */
static void look_away(dari_server *server, di_session *session)
{
    if (session->ended) {
        fail(server, session, DARI_CLOSED);
        return;
    }
    di_watches_remove(server->epoll, session->channel.connection);
    session->unwatched = true;
}

static void use_pool(di_session *session, bool keeps)
{
    di_connection *connection = session->channel.connection;
    bool locked = di_session_take_output(session, true);
    connection->ops->use_pool(connection, &session->server->pool, keeps);
    di_session_give_output(session, locked);
}

/* The session keeps its memory until another one is served: mostly that is itself. */
static void warm(dari_server *server, di_session *session)
{
    if (server->warm)
        use_pool(server->warm, false);
    server->warm = session;
    use_pool(session, true);
}

void di_session_event(dari_server *server, di_session *session, uint32_t events)
{
    if (session->called)
        session->active_at = server->now;
    if (server->warm != session)
        warm(server, session);
    /* What has arrived is served before more is taken in: the events come again. */
    if (session->ready && !atomic_load(&server->starved))
        return;
    if (events & (EPOLLHUP | EPOLLERR) && session->wants == 0) {
        look_away(server, session);
        return;
    }
    if (events & ~(uint32_t)EPOLLOUT && session->wants & DI_WANTS_RECEIVE && !session->ready) {
        int moved = di_channel_receive(&session->channel);
        if (moved == DARI_CLOSED) {
            session->ended = true;
        } else if (moved < 0) {
            fail(server, session, moved);
            return;
        }
    }
    di_session_serve(server, session);
}
