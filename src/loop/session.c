/* SPDX-License-Identifier: MIT */
/* One connection of a server.
 *
 * Calls are served in the order in which they come, their replies collected and sent together. A
 * peer that does not take its replies is not read from: nothing grows without end. A peer that
 * sends no more still gets its replies. */
#include "loop/server.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

int di_session_create(dari_server *server, di_connection *connection, const char *address)
{
    di_session *session = calloc(1, sizeof *session);
    if (!session) {
        connection->ops->close(connection);
        return DARI_NO_MEMORY;
    }
    session->watched.kind = DI_WATCHED_SESSION;
    session->address = address;
    session->interest = EPOLLIN;
    di_channel_init(&session->channel, connection, server->message_max);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, connection->descriptor, &event) < 0) {
        di_channel_close(&session->channel);
        free(session);
        return DARI_ERRNO;
    }
    session->next = server->sessions;
    if (session->next)
        session->next->previous = session;
    server->sessions = session;
    server->connections++;
    return 0;
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
    make_unready(server, session);
    if (session->previous)
        session->previous->next = session->next;
    else
        server->sessions = session->next;
    if (session->next)
        session->next->previous = session->previous;
    /* Closing is not enough where a child of this process holds the descriptor too. In that child
     * the events are still the parent's, and none of its business. */
    if (!di_forked(&server->guard))
        epoll_ctl(server->epoll, EPOLL_CTL_DEL, session->channel.connection->descriptor, NULL);
    di_channel_close(&session->channel);
    free(session);
    server->connections--;
    server->accept_again = 0;
}

/* Watches for what the session can use. */
static int update_interest(dari_server *server, di_session *session, bool full)
{
    uint32_t interest = di_channel_unsent(&session->channel) > 0 ? EPOLLOUT : 0;
    if (!session->ended && !full)
        interest |= EPOLLIN;
    if (interest == session->interest)
        return 0;
    struct epoll_event event = {.events = interest, .data.ptr = session};
    int descriptor = session->channel.connection->descriptor;
    if (epoll_ctl(server->epoll, EPOLL_CTL_MOD, descriptor, &event) < 0)
        return DARI_ERRNO;
    session->interest = interest;
    return 0;
}

/* Whether more replies wait than may. */
static bool is_full(const dari_server *server, const di_session *session)
{
    return di_channel_unsent(&session->channel) > server->queued_max;
}

/* Serves what has arrived, some of it at most, none once the server stops. Returns 1 where there
 * may be more, 0 or an error. */
static int serve_some(dari_server *server, di_session *session)
{
    di_message message;
    for (int i = 0; i < DI_CALLS_PER_TURN; i++) {
        if (is_full(server, session) || di_server_stops(server))
            return 1;
        if (!di_channel_next(&session->channel, &message))
            return 0;
        int error = di_request_serve(server, session, &message);
        if (error < 0)
            return error;
    }
    return 1;
}

static void fail(dari_server *server, di_session *session, int error)
{
    if (error == DARI_BAD_REPLY)
        di_server_log(server, error, "%s: connection closed: what came is no RPC message",
                      session->address);
    else if (error != DARI_CLOSED)
        di_server_log(server, error, "%s: connection closed: %s", session->address,
                      dari_error_text(error));
    di_session_close(server, session);
}

void di_session_serve(dari_server *server, di_session *session)
{
    di_connection *connection = session->channel.connection;
    session->used = true;
    make_unready(server, session);
    int more = serve_some(server, session);
    /* Replies to what came before some garbage are owed. */
    int flushed = di_channel_flush(&session->channel);
    int error = more < 0 ? more : flushed < 0 ? flushed : 0;
    bool full = is_full(server, session);
    if (error == 0)
        error = update_interest(server, session, full);
    if (error < 0)
        fail(server, session, error);
    else if (more && !full)
        make_ready(server, session);
    else if (session->ended && !full && di_channel_unsent(&session->channel) == 0)
        di_session_close(server, session);
    else if (connection->ops->spare(connection) > 0)
        di_server_trim_later(server);
}

void di_session_event(dari_server *server, di_session *session, uint32_t events)
{
    /* What has arrived is served before more is taken in: the events come again. */
    if (session->ready)
        return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && session->interest & EPOLLIN) {
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
