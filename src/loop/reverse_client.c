/* SPDX-License-Identifier: MIT */
/* A client over the session of a server.
 *
 * Its connection writes into the output of the session, so all that is committed counts as sent.
 * The loop receives for it: no thread of the client's watches anything. Calls in flight end in the
 * loop's thread. A session has one such client at most; it is shared by all who ask for one, and
 * its users are counted under session->lock. The client holds the session, the session does not
 * hold the client: it is there until its last user has closed it. */
#include "loop/reverse.h"

#include "base/clock.h"
#include "loop/client.h"

#include <dari/error.h>

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

typedef struct caller_connection {
    di_connection head;
    di_session *session; /* held */
    di_buffer draft;     /* memory for the message that is being written */
    int error;           /* of passing a message on, or 0 */
} caller_connection;

static caller_connection *own(const di_connection *connection)
{
    return (caller_connection *)(uintptr_t)connection;
}

static int reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    return di_buffer_reserve(&own(connection)->draft, size, ret_room);
}

/* Puts the message into the output of the session. Under its lock. */
static int pass_on(di_session *session, const uint8_t *message, size_t size)
{
    di_traffic *traffic = &session->server->traffic;
    uint8_t *room;
    if (!session->channel.connection || session->broken)
        return DARI_CLOSED;
    int error = di_channel_reserve(&session->channel, size, &room);
    if (error < 0)
        return error;
    memcpy(room, message, size);
    uint64_t before = session->channel.committed;
    di_channel_commit(&session->channel, room, size);
    atomic_fetch_add_explicit(&traffic->sent_by_others, session->channel.committed - before,
                              memory_order_relaxed);
    return 0;
}

static void commit(di_connection *connection, size_t size)
{
    caller_connection *caller = own(connection);
    if (size == 0)
        return;
    pthread_mutex_lock(&caller->session->lock);
    int error = pass_on(caller->session, caller->draft.data, size);
    /* This client is lost; who asks for one gets another. */
    if (error < 0)
        caller->session->caller = NULL;
    pthread_mutex_unlock(&caller->session->lock);
    if (error < 0)
        caller->error = error;
    if (caller->draft.room > DI_BUFFER_KEEP)
        di_buffer_free(&caller->draft);
}

/* What is added while the session is served is sent at the end of that. */
static int flush(di_connection *connection)
{
    caller_connection *caller = own(connection);
    di_session *session = caller->session;
    if (caller->error)
        return caller->error;
    if (di_server_is_here(session->server) && session->serving)
        return DI_MOVED;
    pthread_mutex_lock(&session->lock);
    int flushed = DARI_CLOSED;
    bool there = session->channel.connection && !session->broken;
    if (there)
        flushed = di_channel_flush(&session->channel);
    if (there && flushed < 0)
        session->broken = flushed;
    bool call_loop =
        there && (session->broken || (flushed == DI_BLOCKED && !(session->wants & DI_WANTS_SEND)));
    pthread_mutex_unlock(&session->lock);
    if (call_loop)
        di_session_call_loop(session);
    return flushed < 0 ? DARI_CLOSED : DI_MOVED;
}

static size_t unsent(const di_connection *connection)
{
    (void)connection;
    return 0;
}

static void withdraw(di_connection *connection, size_t size)
{
    (void)connection;
    (void)size;
}

static int receive(di_connection *connection, size_t want)
{
    (void)connection;
    (void)want;
    return DI_BLOCKED;
}

static uint8_t *peek(const di_connection *connection, size_t *ret_size)
{
    (void)connection;
    *ret_size = 0;
    return NULL;
}

static void consume(di_connection *connection, size_t size)
{
    (void)connection;
    (void)size;
}

static void shut(di_connection *connection)
{
    (void)connection;
}

static void close_connection(di_connection *connection)
{
    caller_connection *caller = own(connection);
    di_session_reference_drop(caller->session);
    di_buffer_free(&caller->draft);
    free(caller);
}

static const di_connection_ops operations = {
    .keeps_boundaries = true,
    .reserve = reserve,
    .commit = commit,
    .flush = flush,
    .unsent = unsent,
    .withdraw = withdraw,
    .receive = receive,
    .peek = peek,
    .consume = consume,
    .shut = shut,
    .close = close_connection,
};

/* Makes the client, which nobody knows yet. */
static int create(di_session *session, dari_client **ret_client)
{
    const dari_server *server = session->server;
    const dari_client_options options = {.message_max = server->message_max,
                                         .queued_max = server->queued_max,
                                         .decode_budget = server->decode_budget,
                                         .accept = server->accept,
                                         .no_reconnect = true};
    dari_client *client;
    caller_connection *caller = calloc(1, sizeof *caller);
    int error = caller ? di_client_make(session->peer.address, &options, &client) : DARI_NO_MEMORY;
    if (error < 0) {
        free(caller);
        return error;
    }
    caller->head = (di_connection){.ops = &operations};
    caller->session = session;
    di_buffer_init(&caller->draft, SIZE_MAX / 4);
    atomic_fetch_add(&session->references, 1);
    client->over = session;
    client->users = 1;
    di_client_use(client, &caller->head, &options);
    *ret_client = client;
    return 0;
}

/* The session's client, with one more user; or NULL. */
static dari_client *join(di_session *session)
{
    pthread_mutex_lock(&session->lock);
    dari_client *client = session->caller;
    if (client)
        client->users++;
    pthread_mutex_unlock(&session->lock);
    return client;
}

int dari_request_client(dari_request *request, dari_client **ret_client)
{
    di_session *session = request->session;
    if (session->connectionless || session->reverse)
        return DARI_SCHEME;
    dari_client *client = join(session);
    if (client) {
        *ret_client = client;
        return 0;
    }
    int error = create(session, &client);
    if (error < 0)
        return error;
    pthread_mutex_lock(&session->lock);
    bool there = session->channel.connection && !session->deaf;
    bool late = session->caller != NULL;
    if (there && !late)
        session->caller = client;
    pthread_mutex_unlock(&session->lock);
    atomic_store(&session->called_over, true);
    /* Now it is read from, however many calls are in progress. */
    if (atomic_load(&session->wants_word) || atomic_load(&session->server->starved))
        di_session_call_loop(session);
    if (there && !late) {
        *ret_client = client;
        return 0;
    }
    di_client_reference_drop(client);
    return there ? dari_request_client(request, ret_client) : DARI_CLOSED;
}

bool di_caller_leave(dari_client *client)
{
    di_session *session = client->over;
    bool forked = di_forked(&client->guard);
    if (!forked)
        pthread_mutex_lock(&session->lock);
    bool last = --client->users == 0;
    if (last && session->caller == client)
        session->caller = NULL;
    if (!forked)
        pthread_mutex_unlock(&session->lock);
    return last;
}

/* The session's client, with one more reference, or NULL. */
static dari_client *hold_caller(di_session *session)
{
    pthread_mutex_lock(&session->lock);
    dari_client *client = session->caller;
    if (client)
        atomic_fetch_add(&client->references, 1);
    pthread_mutex_unlock(&session->lock);
    return client;
}

bool di_caller_is_here(const dari_client *client)
{
    return di_server_is_here(client->over->server);
}

bool di_caller_stops(const dari_client *client)
{
    return atomic_load(&client->over->server->callers_stop);
}

int di_caller_refuses(const dari_client *client)
{
    if (di_caller_is_here(client))
        return DARI_DEADLOCK;
    return di_caller_stops(client) ? DARI_CANCELLED : 0;
}

/* Asked for first, looked at then: room that is made in between is seen, or is told of. */
bool di_caller_is_full(const dari_client *client)
{
    di_session *session = client->over;
    atomic_store(&session->caller_waits, true);
    pthread_mutex_lock(&session->lock);
    bool full = session->channel.connection &&
                di_channel_unsent(&session->channel) >= session->server->queued_max;
    pthread_mutex_unlock(&session->lock);
    if (!full)
        atomic_store(&session->caller_waits, false);
    return full;
}

void di_caller_room(di_session *session)
{
    dari_client *client = hold_caller(session);
    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    if (!di_caller_is_full(client))
        di_client_wake_all(client);
    pthread_mutex_unlock(&client->lock);
    di_client_reference_drop(client);
}

/* Under server->lock. */
static void set_due(dari_server *server)
{
    const di_timer *first = server->caller_timers.first;
    atomic_store(&server->caller_due, first ? first->deadline : DI_NEVER);
}

/* Takes the session out of the timers. Under server->lock; the reference is the caller's to drop,
 * if it was in. */
static bool stop_timer(di_session *session)
{
    if (!session->caller_timed)
        return false;
    di_timers_remove(&session->server->caller_timers, &session->caller_timer);
    session->caller_timed = false;
    set_due(session->server);
    return true;
}

void di_caller_queued(dari_client *client, uint64_t deadline)
{
    di_session *session = client->over;
    dari_server *server = session->server;
    pthread_mutex_lock(&server->lock);
    if (!server->gone && !(session->caller_timed && session->caller_timer.deadline <= deadline)) {
        if (!stop_timer(session))
            atomic_fetch_add(&session->references, 1);
        session->caller_timed = true;
        session->caller_timer.deadline = deadline;
        di_timers_add(&server->caller_timers, &session->caller_timer);
        set_due(server);
        if (atomic_load(&server->caller_due) == deadline && !di_server_is_here(server))
            di_server_wake(server);
    }
    pthread_mutex_unlock(&server->lock);
}

/* Hands the client a reply, or NULL, and ends what is to end. */
static void feed(di_session *session, const di_message *message)
{
    dari_client *client = hold_caller(session);
    if (!client) {
        if (message)
            di_count(&session->server->traffic.dropped, 1);
        return;
    }
    uint64_t due = di_client_feed(client, message);
    if (due != DI_NEVER && !message)
        di_caller_queued(client, due);
    di_client_reference_drop(client);
}

void di_caller_take(di_session *session, const di_message *message)
{
    feed(session, message);
}

bool di_caller_waits(di_session *session)
{
    dari_client *client = atomic_load(&session->called_over) ? hold_caller(session) : NULL;
    if (!client)
        return false;
    pthread_mutex_lock(&client->lock);
    bool waits = client->pending.count > 0;
    pthread_mutex_unlock(&client->lock);
    di_client_reference_drop(client);
    return waits;
}

void di_caller_deaf(di_session *session)
{
    dari_client *client = hold_caller(session);
    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    di_client_break(client, DARI_CLOSED, 0);
    pthread_mutex_unlock(&client->lock);
    di_client_feed(client, NULL);
    di_client_reference_drop(client);
}

void di_caller_lost(di_session *session)
{
    dari_server *server = session->server;
    /* A child has locks as they were, and none of the client's threads. */
    if (di_forked(&server->guard)) {
        bool held = session->caller_timed;
        session->caller_timed = false;
        if (held)
            di_session_reference_drop(session);
        return;
    }
    di_caller_deaf(session);
    pthread_mutex_lock(&server->lock);
    bool timed = stop_timer(session);
    pthread_mutex_unlock(&server->lock);
    if (timed)
        di_session_reference_drop(session);
}

/* Who waits is woken; who is about to wait sees that it must not. */
void di_callers_stop(dari_server *server)
{
    atomic_store(&server->callers_stop, true);
    for (di_session *session = server->sessions; session; session = session->next) {
        dari_client *client = atomic_load(&session->called_over) ? hold_caller(session) : NULL;
        if (!client)
            continue;
        pthread_mutex_lock(&client->lock);
        di_client_wake_all(client);
        if (client->loop.sleepers)
            pthread_cond_broadcast(&client->loop.idle);
        pthread_mutex_unlock(&client->lock);
        di_client_reference_drop(client);
    }
}

void di_callers_expire(dari_server *server)
{
    while (atomic_load(&server->caller_due) <= server->now) {
        pthread_mutex_lock(&server->lock);
        di_timer *timer = server->caller_timers.first;
        di_session *session =
            timer ? (di_session *)((char *)timer - offsetof(di_session, caller_timer)) : NULL;
        if (session)
            stop_timer(session);
        pthread_mutex_unlock(&server->lock);
        if (!session)
            return;
        feed(session, NULL);
        di_session_reference_drop(session);
    }
}
