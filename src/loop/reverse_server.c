/* SPDX-License-Identifier: MIT */
/* A server that answers the calls which come by a client's connection.
 *
 * Whichever thread receives for the client puts a call into the inlet of its connection, which a
 * session of the server has as a connection of its own. What comes while the inlet is full is
 * refused: a client never ceases to receive, since its server may not read on until somebody takes
 * what that sends. The server's loop dispatches the client, so that somebody receives while no call
 * waits.
 *
 * The client's lock guards everything here, but what says otherwise. */
#include "loop/inlet.h"
#include "loop/reverse.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

typedef struct di_reverse_service {
    di_watched watched;
    dari_server *server;
    dari_client *client;             /* NULL: it has ended; the loop's thread */
    struct di_reverse_service *next; /* of the server's; the loop's thread */
    di_inlet *waiting, **end;        /* inlets without a session */
} di_reverse_service;

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

/* The inlet of the present connection, or NULL where memory is out. */
static di_inlet *open_inlet(dari_client *client)
{
    di_reverse_service *service = client->service;
    /* What came by connections that are lost, and was not taken up in time, would add up. */
    for (di_inlet *at = service->waiting; at; at = at->next)
        client->pending.dropped += di_inlet_empty(at);
    di_inlet *inlet = di_inlet_create(client);
    if (!inlet)
        return NULL;
    *service->end = inlet;
    service->end = &inlet->next;
    return inlet;
}

void di_reverse_service_take(dari_client *client, const di_message *message)
{
    di_inlet *inlet = client->inlet;
    if (!inlet && !client->broken)
        inlet = open_inlet(client);
    if (!inlet) {
        client->pending.dropped++;
        di_client_break(client, DARI_NO_MEMORY, 0);
        return;
    }
    bool full = inlet->size >= client->service->server->queued_max;
    if (full || di_inlet_add(inlet, message) < 0) {
        client->pending.dropped++;
        di_inlet_refuse(inlet, message);
    }
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
    di_inlet_part(inlet);
    call_loop(inlet);
}

void di_reverse_service_room(dari_client *client)
{
    di_inlet *inlet = client->inlet;
    if (client->broken || client->writing)
        return;
    if (di_buffer_size(&inlet->kept)) {
        di_inlet_send_kept(inlet);
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
        di_inlet_part(client->inlet);
    client->service = NULL;
    if (!forked)
        pthread_mutex_unlock(&client->lock);
    for (di_inlet *next; waiting; waiting = next) {
        next = waiting->next;
        di_inlet_drop(waiting);
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

/* Calls that have come by the connection will not be answered: who made them is told so. */
static void break_client(dari_client *client, int error)
{
    pthread_mutex_lock(&client->lock);
    di_client_break(client, error, 0);
    pthread_mutex_unlock(&client->lock);
}

/* Makes a session of the inlet, and serves it. */
static void open_session(dari_server *server, di_inlet *inlet)
{
    dari_client *client = inlet->client;
    if (server->finishing) {
        di_inlet_close(inlet);
        return;
    }
    pthread_mutex_lock(&client->lock);
    bool lost = inlet->lost;
    pthread_mutex_unlock(&client->lock);
    int error = di_session_create(server, &inlet->head, client->address, false);
    if (error < 0) {
        if (!lost)
            break_client(client, error);
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
