/* SPDX-License-Identifier: MIT */
/* Sessions over memory that a peer writes to without the kernel's knowing. See server.h. */
#include "loop/server.h"

void di_hot_add(dari_server *server, di_session *session)
{
    if (session->hot_link)
        return;
    session->next_hot = server->hot;
    if (session->next_hot)
        session->next_hot->hot_link = &session->next_hot;
    session->hot_link = &server->hot;
    server->hot = session;
}

void di_hot_remove(di_session *session)
{
    dari_server *server = session->server;
    if (!session->hot_link)
        return;
    if (server->hot_next == session)
        server->hot_next = session->next_hot;
    *session->hot_link = session->next_hot;
    if (session->next_hot)
        session->next_hot->hot_link = session->hot_link;
    session->next_hot = NULL;
    session->hot_link = NULL;
}

static bool is_ready(const di_session *session)
{
    const di_connection *connection = session->channel.connection;
    return session->wants && !session->ready &&
           connection->ops->ready(connection, session->wants & DI_WANTS_RECEIVE);
}

static bool any_is_ready(void *argument)
{
    const dari_server *server = argument;
    for (const di_session *session = server->hot; session; session = session->next_hot)
        if (is_ready(session))
            return true;
    return false;
}

uint32_t di_hot_work(void *argument)
{
    const dari_server *server = argument;
    uint32_t sum = 0;
    for (const di_session *session = server->hot; session; session = session->next_hot)
        sum += session->channel.connection->ops->taken(session->channel.connection);
    return sum;
}

/* Serving may close sessions, this one or others. */
bool di_hot_serve(dari_server *server)
{
    bool served = false;
    server->hot_next = server->hot;
    for (di_session *session; (session = server->hot_next);) {
        server->hot_next = session->next_hot;
        if (is_ready(session)) {
            di_session_event(server, session, EPOLLIN);
            served = true;
        }
    }
    return served;
}

bool di_hot_arm(dari_server *server)
{
    bool may_sleep = true;
    for (di_session *session = server->hot, *next; session; session = next) {
        di_connection *connection = session->channel.connection;
        next = session->next_hot;
        bool asleep = !(session->wants & DI_WANTS_RECEIVE) || connection->ops->arm(connection);
        if (asleep)
            di_hot_remove(session);
        may_sleep &= asleep;
    }
    return may_sleep;
}

bool di_hot_spin(dari_server *server, uint64_t most_ns)
{
    return di_spin_until(&server->spin, any_is_ready, server, most_ns);
}

bool di_hot_goes_on(dari_server *server)
{
    bool lone = !server->hot->next_hot;
    bool ready = di_spin_briefly(&server->spin, any_is_ready, server, &server->clock);
    /* Looking at many takes long. */
    if (!lone)
        server->clock = 0;
    return ready;
}
