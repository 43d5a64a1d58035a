/* SPDX-License-Identifier: MIT */
/* A server that answers the calls which come by a client's connection.
 *
 * Whichever thread receives for the client puts a call into the inlet of its connection, which a
 * session of the server has as a connection of its own: calls come out of it, and replies go into
 * the output of the client. What comes while the inlet is full is refused: a client never ceases to
 * receive, since its server may not read on until somebody takes what that sends. The server's loop
 * dispatches the client, so that somebody receives while no call waits.
 *
 * The client's lock guards everything here, but what says otherwise. An inlet belongs to its client
 * until the connection is lost, and to its session, or to the service as long as there is none. */
#include "loop/reverse.h"

#include "loop/client.h"
#include "rpc/message.h"

#include <dari/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Answers to calls for which there was no room that may wait. */
#define REFUSALS_MAX 1024u

/* A call that has come, at the beginning of its hold's memory. */
typedef struct parcel {
    size_t size; /* of the message, which may be above what a message may have: then */
    _Alignas(16) uint8_t bytes[]; /* only its beginning is here */
} parcel;

typedef struct di_inlet {
    di_connection head;
    dari_client *client; /* held */
    atomic_uint holders;
    struct di_inlet *next; /* among those without a session */
    di_session *session;   /* or NULL */
    bool lost;             /* the client's connection is */
    bool blocked;          /* the session waits for room in the output */
    unsigned refusals;     /* answers of refuse() that may not be sent yet */
    di_hold *first, **end; /* the calls */
    size_t size;           /* bytes of them */
    di_buffer draft;       /* memory for the reply being written: under the session's lock */
    di_buffer kept;        /* replies that came while a thread wrote its call: size, bytes */
} di_inlet;

typedef struct di_reverse_service {
    di_watched watched;
    dari_server *server;
    dari_client *client;             /* NULL: it has ended; the loop's thread */
    struct di_reverse_service *next; /* of the server's; the loop's thread */
    di_inlet *waiting, **end;        /* inlets without a session */
} di_reverse_service;

static di_inlet *own(const di_connection *connection)
{
    return (di_inlet *)(uintptr_t)connection;
}

static const parcel *parcel_of(const di_hold *hold)
{
    return (const parcel *)(const void *)hold->memory;
}

/* Drops the calls. Returns how many there were. */
static unsigned empty(di_inlet *inlet)
{
    unsigned count = 0;
    for (di_hold *next; inlet->first; inlet->first = next, count++) {
        next = inlet->first->next;
        di_hold_release(inlet->first);
    }
    inlet->end = &inlet->first;
    inlet->size = 0;
    return count;
}

/* Without the lock: the client may go with it. */
static void drop_inlet(di_inlet *inlet)
{
    if (atomic_fetch_sub(&inlet->holders, 1) != 1)
        return;
    empty(inlet);
    di_buffer_free(&inlet->kept);
    di_buffer_free(&inlet->draft);
    di_client_reference_drop(inlet->client);
    free(inlet);
}

/* Has the loop look at the inlet. */
static void call_loop(di_inlet *inlet)
{
    di_reverse_service *service = inlet->client->service;
    if (inlet->session) {
        di_session_call_loop(inlet->session);
        return;
    }
    if (!service)
        return;
    dari_server *server = service->server;
    atomic_store(&server->services_called, true);
    pthread_mutex_lock(&server->lock);
    if (!server->gone)
        di_server_wake(server);
    pthread_mutex_unlock(&server->lock);
}

/* The inlet is its client's no more. Its other holder is there yet. */
static void part(di_inlet *inlet)
{
    inlet->lost = true;
    inlet->client->inlet = NULL;
    atomic_fetch_sub(&inlet->holders, 1);
}

/* Puts a message into the client's output. */
static void put(dari_client *client, const uint8_t *message, size_t size)
{
    uint8_t *room;
    int error = di_channel_reserve(&client->channel, size, &room);
    if (error < 0) {
        di_client_break(client, error, 0);
        return;
    }
    memcpy(room, message, size);
    di_channel_commit(&client->channel, room, size);
}

static int reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    return di_buffer_reserve(&own(connection)->draft, size, ret_room);
}

/* Keeps the message until the thread that writes is done. */
static void keep(di_inlet *inlet, const uint8_t *message, size_t size)
{
    uint8_t *room;
    int error = di_buffer_reserve(&inlet->kept, sizeof size + size, &room);
    if (error < 0) {
        di_client_break(inlet->client, error, 0);
        return;
    }
    memcpy(room, &size, sizeof size);
    memcpy(room + sizeof size, message, size);
    di_buffer_commit(&inlet->kept, sizeof size + size);
}

static void send_kept(di_inlet *inlet)
{
    size_t all, size;
    for (const uint8_t *at; !inlet->lost && (at = di_buffer_peek(&inlet->kept, &all)) && all;
         di_buffer_consume(&inlet->kept, sizeof size + size)) {
        memcpy(&size, at, sizeof size);
        put(inlet->client, at + sizeof size, size);
    }
}

static void pass(di_inlet *inlet, const uint8_t *message, size_t size)
{
    if (inlet->client->writing)
        keep(inlet, message, size);
    else
        put(inlet->client, message, size);
}

static void commit(di_connection *connection, size_t size)
{
    di_inlet *inlet = own(connection);
    dari_client *client = inlet->client;
    if (size == 0)
        return;
    pthread_mutex_lock(&client->lock);
    if (!inlet->lost)
        pass(inlet, inlet->draft.data, size);
    pthread_mutex_unlock(&client->lock);
    if (inlet->draft.room > DI_BUFFER_KEEP)
        di_buffer_free(&inlet->draft);
}

static size_t unsent_now(const di_inlet *inlet)
{
    if (inlet->lost)
        return 0;
    return di_buffer_size(&inlet->kept) + di_channel_unsent(&inlet->client->channel);
}

static int flush(di_connection *connection)
{
    di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    if (!inlet->lost)
        di_client_flush(inlet->client);
    int result = inlet->lost ? DARI_CLOSED : unsent_now(inlet) ? DI_BLOCKED : DI_MOVED;
    pthread_mutex_unlock(&inlet->client->lock);
    return result;
}

static size_t unsent(const di_connection *connection)
{
    di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    size_t size = unsent_now(inlet);
    inlet->blocked = size > 0;
    pthread_mutex_unlock(&inlet->client->lock);
    return size;
}

static int receive(di_connection *connection, size_t want)
{
    const di_inlet *inlet = own(connection);
    (void)want;
    pthread_mutex_lock(&inlet->client->lock);
    int result = inlet->first ? DI_MOVED : inlet->lost ? DARI_CLOSED : DI_BLOCKED;
    pthread_mutex_unlock(&inlet->client->lock);
    return result;
}

static uint8_t *peek(const di_connection *connection, size_t *ret_size)
{
    const di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    const parcel *first = inlet->first ? parcel_of(inlet->first) : NULL;
    pthread_mutex_unlock(&inlet->client->lock);
    *ret_size = first ? first->size : 0;
    return first ? (uint8_t *)(uintptr_t)first->bytes : NULL;
}

/* Takes the call out that peek has shown. */
static void consume(di_connection *connection, size_t size)
{
    di_inlet *inlet = own(connection);
    (void)size;
    dari_client *client = inlet->client;
    pthread_mutex_lock(&client->lock);
    di_hold *first = inlet->first;
    inlet->first = first->next;
    if (!inlet->first)
        inlet->end = &inlet->first;
    inlet->size -= first->room;
    pthread_mutex_unlock(&client->lock);
    di_hold_release(first);
}

static di_hold *hold(di_connection *connection)
{
    const di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    di_hold *first = di_hold_add(inlet->first);
    pthread_mutex_unlock(&inlet->client->lock);
    return first;
}

static void lend(di_connection *connection, di_hold *memory)
{
    (void)connection;
    di_hold_release(memory);
}

static void use_pool(di_connection *connection, di_pool *pool)
{
    (void)connection;
    (void)pool;
}

static void peer(const di_connection *connection, di_peer *ret_peer)
{
    snprintf(ret_peer->address, sizeof ret_peer->address, "%s", own(connection)->client->address);
}

static void shut(di_connection *connection)
{
    di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    if (!inlet->lost)
        di_client_break(inlet->client, DARI_BAD_REPLY, 0);
    pthread_mutex_unlock(&inlet->client->lock);
}

static void close_inlet(di_connection *connection)
{
    di_inlet *inlet = own(connection);
    dari_client *client = inlet->client;
    bool forked = di_forked(&client->guard);
    if (!forked)
        pthread_mutex_lock(&client->lock);
    inlet->session = NULL;
    if (!inlet->lost)
        part(inlet);
    if (!forked)
        pthread_mutex_unlock(&client->lock);
    drop_inlet(inlet);
}

static const di_connection_ops operations = {
    .keeps_boundaries = true,
    .reserve = reserve,
    .commit = commit,
    .flush = flush,
    .unsent = unsent,
    .receive = receive,
    .peek = peek,
    .consume = consume,
    .hold = hold,
    .lend = lend,
    .use_pool = use_pool,
    .peer = peer,
    .shut = shut,
    .close = close_inlet,
};

/* The inlet of the present connection, or NULL where memory is out. */
static di_inlet *open_inlet(dari_client *client)
{
    di_reverse_service *service = client->service;
    /* What came by connections that are lost, and was not taken up in time, would add up. */
    for (di_inlet *at = service->waiting; at; at = at->next)
        client->pending.dropped += empty(at);
    di_inlet *inlet = calloc(1, sizeof *inlet);
    if (!inlet)
        return NULL;
    inlet->head = (di_connection){.ops = &operations};
    inlet->client = client;
    atomic_fetch_add(&client->references, 1);
    atomic_init(&inlet->holders, 2);
    inlet->end = &inlet->first;
    di_buffer_init(&inlet->kept, SIZE_MAX / 4);
    di_buffer_init(&inlet->draft, SIZE_MAX / 4);
    client->inlet = inlet;
    *service->end = inlet;
    service->end = &inlet->next;
    return inlet;
}

static di_hold *wrap(const di_message *message)
{
    di_hold *memory = di_hold_create(NULL, sizeof(parcel) + message->size);
    if (!memory)
        return NULL;
    parcel *wrapped = (parcel *)(void *)memory->memory;
    wrapped->size = message->oversized ? message->whole : message->size;
    memcpy(wrapped->bytes, message->bytes, message->size);
    memory->next = NULL;
    return memory;
}

/* Answers a call for which there is no room; many such answers may wait to be sent, but not more.
 */
static void refuse(di_inlet *inlet, const di_message *message)
{
    const di_reply_header header = {.xid = dari_get_u32(message->bytes),
                                    .error = DARI_SYSTEM_ERROR};
    uint8_t answer[DI_REPLY_SUCCESS_SIZE];
    if (di_channel_unsent(&inlet->client->channel) == 0)
        inlet->refusals = 0;
    if (inlet->refusals == REFUSALS_MAX)
        return;
    inlet->refusals++;
    di_reply_header_encode(answer, &header);
    pass(inlet, answer, di_reply_header_size(&header));
    call_loop(inlet);
}

void di_reverse_service_take(dari_client *client, const di_message *message)
{
    di_inlet *inlet = client->inlet;
    if (!inlet && !client->broken)
        inlet = open_inlet(client);
    bool full = inlet && inlet->size >= client->service->server->queued_max;
    di_hold *memory = inlet && !full ? wrap(message) : NULL;
    if (!memory) {
        client->pending.dropped++;
        if (full)
            refuse(inlet, message);
        return;
    }
    *inlet->end = memory;
    inlet->end = &memory->next;
    inlet->size += memory->room;
    call_loop(inlet);
}

bool di_reverse_service_runs(const dari_client *client)
{
    const dari_server *server = client->service->server;
    return atomic_load(&server->here) && !di_server_is_here(server);
}

void di_reverse_service_lost(dari_client *client)
{
    di_inlet *inlet = client->inlet;
    part(inlet);
    call_loop(inlet);
}

void di_reverse_service_room(dari_client *client)
{
    di_inlet *inlet = client->inlet;
    if (client->broken || client->writing)
        return;
    if (di_buffer_size(&inlet->kept)) {
        send_kept(inlet);
        di_client_flush(client);
    }
    if (inlet->lost || !inlet->blocked || di_channel_unsent(&client->channel))
        return;
    inlet->blocked = false;
    call_loop(inlet);
}

void di_reverse_service_end(di_reverse_service *service)
{
    dari_server *server = service->server;
    dari_client *client = service->client;
    if (!client)
        return;
    service->client = NULL;
    bool forked = di_forked(&server->guard);
    if (!forked) {
        epoll_ctl(server->epoll, EPOLL_CTL_DEL, client->loop.descriptor, NULL);
        pthread_mutex_lock(&client->lock);
    }
    di_inlet *waiting = service->waiting;
    if (!forked && client->inlet && !client->inlet->session)
        part(client->inlet);
    client->service = NULL;
    if (!forked)
        pthread_mutex_unlock(&client->lock);
    for (di_inlet *next; waiting; waiting = next) {
        next = waiting->next;
        drop_inlet(waiting);
    }
    atomic_store(&server->services_called, true);
}

void di_reverse_services_end(dari_server *server)
{
    for (di_reverse_service *next; server->services; server->services = next) {
        next = server->services->next;
        di_reverse_service_end(server->services);
        free(server->services);
    }
}

static int begin(dari_server *server, dari_client *client)
{
    di_reverse_service *service = calloc(1, sizeof *service);
    if (!service)
        return DARI_NO_MEMORY;
    service->watched.kind = DI_WATCHED_SERVICE;
    service->server = server;
    service->client = client;
    service->end = &service->waiting;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = service};
    pthread_mutex_lock(&client->lock);
    int error = client->service ? DARI_IN_USE : di_loop_make(client);
    if (error == 0 && epoll_ctl(server->epoll, EPOLL_CTL_ADD, client->loop.descriptor, &event) < 0)
        error = DARI_ERRNO;
    if (error == 0)
        client->service = service;
    pthread_mutex_unlock(&client->lock);
    if (error < 0) {
        int cause = errno;
        free(service);
        errno = cause;
        return error;
    }
    service->next = server->services;
    server->services = service;
    return 0;
}

int dari_server_serve_client(dari_server *server, dari_client *client)
{
    int error;
    di_failure failure = {0};
    if (di_forked(&server->guard) || di_forked(&client->guard))
        error = DARI_FORKED;
    else if (client->over)
        error = DARI_INVALID;
    else if (client->reach.destination.transport->port_type == SOCK_DGRAM)
        error = DARI_SCHEME;
    else
        error = begin(server, client);
    failure.system_error = error == DARI_ERRNO ? errno : 0;
    if (error < 0)
        di_server_describe(server, client->address, "serve", error, &failure);
    return error;
}

void di_reverse_service_event(di_reverse_service *service)
{
    if (service->client)
        dari_client_dispatch(service->client);
}

uint64_t di_reverse_services_timeout_ns(const dari_server *server)
{
    uint64_t least = atomic_load(&server->services_called) ? 0 : UINT64_MAX;
    for (const di_reverse_service *at = server->services; at && least > 0; at = at->next) {
        uint64_t left = at->client ? dari_client_timeout_ns(at->client) : 0;
        if (left < least)
            least = left;
    }
    return least;
}

/* Makes a session of the inlet, and serves it. */
static void open_session(dari_server *server, di_inlet *inlet)
{
    dari_client *client = inlet->client;
    if (server->finishing || di_session_create(server, &inlet->head, client->address, false) < 0) {
        if (server->finishing)
            close_inlet(&inlet->head);
        return;
    }
    di_session *session = server->sessions;
    pthread_mutex_lock(&client->lock);
    if (session->channel.message_max > client->channel.message_max)
        session->channel.message_max = client->channel.message_max;
    inlet->session = session;
    pthread_mutex_unlock(&client->lock);
    di_session_serve(server, session);
}

static void open_sessions(di_reverse_service *service)
{
    pthread_mutex_lock(&service->client->lock);
    di_inlet *waiting = service->waiting;
    service->waiting = NULL;
    service->end = &service->waiting;
    pthread_mutex_unlock(&service->client->lock);
    for (di_inlet *next; waiting; waiting = next) {
        next = waiting->next;
        open_session(service->server, waiting);
    }
}

void di_reverse_services_heed(dari_server *server)
{
    bool called =
        atomic_load(&server->services_called) && atomic_exchange(&server->services_called, false);
    for (di_reverse_service **link = &server->services, *at; (at = *link);) {
        if (!at->client) {
            *link = at->next;
            free(at);
            continue;
        }
        if (called)
            open_sessions(at);
        if (at->client && dari_client_timeout_ns(at->client) == 0)
            dari_client_dispatch(at->client);
        link = &at->next;
    }
}
