/* SPDX-License-Identifier: MIT */
/* The addresses of a server: listening, and accepting.
 *
 * Where descriptors or memory have run out, connections wait in the kernel's queue until one of our
 * own closes or a pause is over: a listener that is readable and can't be accepted from would keep
 * the loop spinning. */
#include "loop/server.h"

#include "base/clock.h"
#include "transport/place.h"
#include "transport/shm.h"

#include <dari/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

_Static_assert(DARI_SHM_RING_SIZE_DEFAULT == DI_SHM_RING_SIZE &&
                   DARI_SHM_RING_SIZE_MAX == DI_SHM_RING_SIZE_MAX,
               "the header says what the scheme does");

void di_server_describe(dari_server *server, const char *what, const char *action, int error,
                        const di_failure *failure)
{
    char numbers[64] = "", cause[96] = "", buffer[64];
    if (failure->allowed)
        snprintf(numbers, sizeof numbers, " (%lld, at most %lld)", (long long)failure->found,
                 (long long)failure->allowed);
    if (failure->program)
        snprintf(numbers, sizeof numbers, ": program %u, version %u", failure->program,
                 failure->version);
    if (failure->system_error)
        snprintf(cause, sizeof cause, " (%s)",
                 strerror_r(failure->system_error, buffer, sizeof buffer));
    snprintf(server->text, sizeof server->text, "%s: %s: %s%s%s", what, action,
             failure->words ? failure->words : dari_error_text(error), numbers, cause);
}

static int watch_listener(dari_server *server, di_address *address, int operation)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = address};
    if (address->listener->ops->connectionless)
        return 0;
    return epoll_ctl(server->epoll, operation, address->listener->descriptor, &event) < 0
               ? DARI_ERRNO
               : 0;
}

/* Takes the one connection of an address that keeps none. */
static int take_connection(dari_server *server, di_address *address)
{
    di_connection *connection;
    address->listener->ops->accept(address->listener, &connection);
    return di_session_create(server, connection, address->text, true);
}

static int add_listener(dari_server *server, di_listener *listener, di_failure *failure)
{
    const char *text = listener->ops->address(listener);
    size_t size = strlen(text) + 1;
    di_address *address = calloc(1, sizeof *address + size);
    if (!address)
        return DARI_NO_MEMORY;
    address->watched.kind = DI_WATCHED_LISTENER;
    address->listener = listener;
    memcpy(address->text, text, size);
    int error = 0;
    if (listener->ops->connectionless)
        error = take_connection(server, address);
    else if (server->accepting || listener->ops->shared)
        error = watch_listener(server, address, EPOLL_CTL_ADD);
    if (error < 0) {
        failure->system_error = error == DARI_ERRNO ? errno : 0;
        free(address);
        return error;
    }
    di_address **end = &server->addresses;
    while (*end)
        end = &(*end)->next;
    *end = address;
    return 0;
}

int di_server_take_listener(dari_server *server, di_listener *listener, bool asked,
                            di_failure *failure)
{
    int error = di_register_listener(server, listener, asked, failure);
    if (error < 0)
        return error;
    error = add_listener(server, listener, failure);
    if (error < 0)
        di_unregister(server, listener);
    return error;
}

static int listen_at(dari_server *server, const char *text, const di_access *access,
                     di_failure *failure)
{
    const di_transport *transport;
    const char *rest;
    di_listener *listener;
    di_place place;
    int error = di_transport_find(text, &transport, &rest);
    bool asked = error == 0 && transport->port_type && di_place_parse(rest, &place, failure) == 0 &&
                 !*place.port;
    if (error == 0)
        error = transport->listen(rest, &listener, failure);
    if (error < 0)
        return error;
    if (listener->ops->keep_alive && server->tcp_keepalive_ns != DI_NEVER)
        error = listener->ops->keep_alive(listener, server->tcp_keepalive_ns, failure);
    if (error == 0 && listener->ops->set_rings)
        error = listener->ops->set_rings(listener, server->shm_ring_size, failure);
    if (error == 0 && listener->ops->set_loans)
        error = listener->ops->set_loans(listener, server->shm_loan_max, server->shm_read_loans,
                                         failure);
    if (error == 0 && listener->ops->admit)
        error = listener->ops->admit(listener, access, failure);
    if (error == 0)
        error = di_server_take_listener(server, listener, asked, failure);
    if (error < 0)
        listener->ops->close(listener);
    return error;
}

int dari_server_listen(dari_server *server, const char *address)
{
    di_failure failure = {0};
    di_access access;
    int error = address ? 0 : DARI_INVALID;
    if (error == 0 && di_forked(&server->guard))
        error = DARI_FORKED;
    if (error == 0) {
        error = di_server_find_access(server, address, &access);
        if (error < 0)
            return error;
        error = listen_at(server, address, &access, &failure);
    }
    if (error < 0)
        di_server_describe(server, address ? address : "NULL", "listen", error, &failure);
    return error;
}

const char *dari_server_address(const dari_server *server, size_t index)
{
    const di_address *address = server->addresses;
    while (address && index--)
        address = address->next;
    return address ? address->text : NULL;
}

void di_server_retire_listeners(dari_server *server)
{
    di_unregister(server, NULL);
    for (di_address *address = server->addresses; address; address = address->next) {
        di_listener *listener = address->listener;
        if (listener && listener->ops->shared) {
            listener->ops->retire(listener);
        } else if (listener) {
            listener->ops->close(listener);
            address->listener = NULL;
        }
    }
}

void di_server_close_listeners(dari_server *server)
{
    di_unregister(server, NULL);
    for (di_address *address = server->addresses; address; address = address->next)
        if (address->listener) {
            address->listener->ops->close(address->listener);
            address->listener = NULL;
        }
}

bool di_server_is_exhausted(const dari_server *server)
{
    bool spent = false;
    for (const di_address *address = server->addresses; address; address = address->next) {
        if (address->listener)
            return false;
        spent |= address->spent;
    }
    return spent;
}

/* Whether a listener is watched only while there may be more connections. */
static bool may_rest(const di_address *address)
{
    return address->listener && !address->listener->ops->shared;
}

/* Watches no listener before `end` any more that may rest. */
static void unwatch_listeners(dari_server *server, const di_address *end)
{
    for (di_address *address = server->addresses; address != end; address = address->next)
        if (may_rest(address))
            watch_listener(server, address, EPOLL_CTL_DEL);
}

/* As soon as a connection may have to wait: where there may be more by the end of this turn, those
 * that shared listeners keep are taken only if accepting has stopped meanwhile. */
static void stop_accepting(dari_server *server)
{
    if (server->accepting)
        unwatch_listeners(server, NULL);
    server->accepting = false;
}

/* Accepting has failed: not again for a while. */
static void pause_accepting(dari_server *server, const di_address *address, int error, int cause)
{
    char buffer[96];
    stop_accepting(server);
    server->accept_again = di_deadline_in(DI_ACCEPT_PAUSE_NS);
    if (server->told_no_accept)
        return;
    server->told_no_accept = true;
    di_server_log(server, error, "%s: connections wait: %s", address->text,
                  error == DARI_ERRNO ? strerror_r(cause, buffer, sizeof buffer)
                                      : dari_error_text(error));
}

/* Watches all listeners, or none where one can't be watched now. */
static bool watch_listeners(dari_server *server)
{
    for (di_address *address = server->addresses; address; address = address->next) {
        int error = may_rest(address) ? watch_listener(server, address, EPOLL_CTL_ADD) : 0;
        if (error < 0) {
            int cause = errno;
            unwatch_listeners(server, address);
            pause_accepting(server, address, error, cause);
            return false;
        }
    }
    return true;
}

/* Shared listeners keep connections that come while there may be no more: takes them. */
static void accept_kept(dari_server *server)
{
    for (di_address *address = server->addresses; address; address = address->next)
        if (address->listener && address->listener->ops->shared)
            di_server_accept(server, address);
}

/* A shared listener from which nothing can be received is not watched while accepting pauses. */
static void rest_listener(dari_server *server, di_address *address)
{
    if (!address->listener->stuck || address->rests)
        return;
    watch_listener(server, address, EPOLL_CTL_DEL);
    address->rests = server->listeners_rest = true;
}

/* The pause is over for those. */
static void resume_listeners(dari_server *server)
{
    server->listeners_rest = false;
    for (di_address *address = server->addresses; address; address = address->next) {
        if (!address->listener || !address->rests)
            continue;
        int error = watch_listener(server, address, EPOLL_CTL_ADD);
        address->rests = error < 0;
        server->listeners_rest |= address->rests;
        if (error < 0)
            pause_accepting(server, address, error, errno);
        else
            di_server_accept(server, address);
    }
}

void di_server_update_accepting(dari_server *server)
{
    if (server->accept_again && di_now() >= server->accept_again)
        server->accept_again = 0;
    if (server->listeners_rest && server->accept_again == 0)
        resume_listeners(server);
    if (!di_server_accepting_is_due(server))
        return;
    if (server->accepting)
        stop_accepting(server);
    else if ((server->accepting = watch_listeners(server)))
        accept_kept(server);
}

/* Whether the newest connection is one too many of its peer. Peers that cannot be told apart, for
 * whom the key is empty, have no limit of their own. */
static bool is_one_too_many(const dari_server *server)
{
    static const uint8_t unknown[sizeof server->sessions->peer.key];
    const di_session *newest = server->sessions;
    uint32_t count = 0;
    if (server->connections <= server->connections_per_peer_max ||
        memcmp(newest->peer.key, unknown, sizeof unknown) == 0)
        return false;
    for (const di_session *at = newest; at; at = at->next)
        count += memcmp(at->peer.key, newest->peer.key, sizeof unknown) == 0;
    return count > server->connections_per_peer_max;
}

static void refuse_newest(dari_server *server)
{
    di_session *session = server->sessions;
    di_count(&server->traffic.refused, 1);
    if (!server->told_peer_limit)
        di_server_log_peer(server, DARI_LIMIT, "%s: connection of %s closed: it has %u of them",
                           session->address, session->peer.address,
                           server->connections_per_peer_max);
    server->told_peer_limit = true;
    di_session_close(server, session);
}

/* A listener has turned away who may not connect. */
static void tell_of_stranger(dari_server *server, const di_address *address)
{
    di_count(&server->traffic.refused, 1);
    di_server_log_peer(server, DARI_PERMISSION, "%s: connection closed: user %u may not connect",
                       address->text, address->listener->stranger);
}

/* Makes a session of a new connection, unless its peer has too many. Returns 0 or an error. */
static int take_new(dari_server *server, di_address *address, di_connection *connection)
{
    int error = di_session_create(server, connection, address->text, false);
    if (error < 0)
        return error;
    server->told_no_accept = false;
    if (is_one_too_many(server)) {
        refuse_newest(server);
        return 0;
    }
    server->told_peer_limit = false;
    di_session *session = server->sessions;
    session->accepted = true;
    di_count(&server->traffic.accepted, 1);
    if (address->listener->ops->shared)
        di_session_event(server, session, EPOLLIN);
    return 0;
}

/* Whether the listener may hand out something: connections that there are already, too. */
static bool may_accept(const dari_server *server, const di_address *address)
{
    return address->listener &&
           (address->listener->ops->shared || server->connections < server->connections_max);
}

/* A listener that has no more to hand out costs nothing from then on. */
static void end_spent(dari_server *server, di_address *address)
{
    di_listener *listener = address->listener;
    if (!listener->ops->is_over || !listener->ops->is_over(listener))
        return;
    watch_listener(server, address, EPOLL_CTL_DEL);
    listener->ops->close(listener);
    address->listener = NULL;
    address->spent = true;
}

void di_server_accept(dari_server *server, di_address *address)
{
    for (int i = 0; i < DI_ACCEPTS_PER_TURN && may_accept(server, address); i++) {
        di_connection *connection;
        address->listener->full = !server->finishing && !di_server_may_accept(server);
        if (address->listener->full)
            stop_accepting(server);
        int result = address->listener->ops->accept(address->listener, &connection);
        if (result == DI_BLOCKED)
            return;
        if (result == DI_MOVED && connection->owner)
            di_session_event(server, connection->owner, EPOLLIN);
        else if (result == DI_MOVED)
            result = take_new(server, address, connection);
        if (result == DARI_PERMISSION) {
            tell_of_stranger(server, address);
            continue;
        }
        if (result < 0) {
            pause_accepting(server, address, result, errno);
            rest_listener(server, address);
        }
        end_spent(server, address);
        if (result < 0)
            return;
    }
}
