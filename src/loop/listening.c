/* SPDX-License-Identifier: MIT */
/* The addresses of a server: listening, and accepting.
 *
 * Where descriptors or memory have run out, connections wait in the kernel's queue until one of our
 * own closes or a pause is over: a listener that is readable and can't be accepted from would keep
 * the loop spinning. */
#include "loop/server.h"

#include "base/clock.h"

#include <dari/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* Puts into words why an address cannot be listened at. */
static void describe(dari_server *server, const char *address, int error, const di_failure *failure)
{
    char numbers[64] = "", cause[96] = "", buffer[64];
    if (failure->allowed)
        snprintf(numbers, sizeof numbers, " (%lld, at most %lld)", (long long)failure->found,
                 (long long)failure->allowed);
    if (failure->system_error)
        snprintf(cause, sizeof cause, " (%s)",
                 strerror_r(failure->system_error, buffer, sizeof buffer));
    snprintf(server->text, sizeof server->text, "%s: listen: %s%s%s", address,
             failure->words ? failure->words : dari_error_text(error), numbers, cause);
}

static int watch_listener(dari_server *server, di_address *address, int operation)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = address};
    return epoll_ctl(server->epoll, operation, address->listener->descriptor, &event) < 0
               ? DARI_ERRNO
               : 0;
}

static int listen_at(dari_server *server, const char *text, di_failure *failure)
{
    const di_transport *transport;
    const char *rest;
    int error = di_transport_find(text, &transport, &rest);
    if (error < 0)
        return error;
    di_address *address = calloc(1, sizeof *address);
    if (!address)
        return DARI_NO_MEMORY;
    address->watched.kind = DI_WATCHED_LISTENER;
    error = transport->listen(rest, &address->listener, failure);
    if (error == 0 && server->accepting) {
        error = watch_listener(server, address, EPOLL_CTL_ADD);
        if (error < 0) {
            failure->system_error = errno;
            address->listener->ops->close(address->listener);
        }
    }
    if (error < 0) {
        free(address);
        return error;
    }
    di_address **end = &server->addresses;
    while (*end)
        end = &(*end)->next;
    *end = address;
    return 0;
}

int dari_server_listen(dari_server *server, const char *address)
{
    di_failure failure = {0};
    int error = DARI_INVALID;
    if (address)
        error = di_forked(&server->guard) ? DARI_FORKED : listen_at(server, address, &failure);
    if (error < 0)
        describe(server, address ? address : "NULL", error, &failure);
    return error;
}

const char *dari_server_address(const dari_server *server, size_t index)
{
    const di_address *address = server->addresses;
    while (address && index--)
        address = address->next;
    return address ? address->listener->ops->address(address->listener) : NULL;
}

/* Accepting has failed: not again for a while. */
static void pause_accepting(dari_server *server, const di_address *address, int error, int cause)
{
    char buffer[96];
    server->accept_again = di_deadline_in(DI_ACCEPT_PAUSE_NS);
    if (server->told_no_accept)
        return;
    server->told_no_accept = true;
    di_server_log(server, error, "%s: connections wait: %s",
                  address->listener->ops->address(address->listener),
                  error == DARI_ERRNO ? strerror_r(cause, buffer, sizeof buffer)
                                      : dari_error_text(error));
}

/* Watches no listener before `end` any more. */
static void unwatch_listeners(dari_server *server, const di_address *end)
{
    for (di_address *address = server->addresses; address != end; address = address->next)
        watch_listener(server, address, EPOLL_CTL_DEL);
}

/* Watches all listeners, or none where one can't be watched now. */
static bool watch_listeners(dari_server *server)
{
    for (di_address *address = server->addresses; address; address = address->next) {
        int error = watch_listener(server, address, EPOLL_CTL_ADD);
        if (error < 0) {
            int cause = errno;
            unwatch_listeners(server, address);
            pause_accepting(server, address, error, cause);
            return false;
        }
    }
    return true;
}

void di_server_update_accepting(dari_server *server)
{
    if (server->accept_again && di_now() >= server->accept_again)
        server->accept_again = 0;
    bool accepting = server->accept_again == 0 && server->connections < server->connections_max;
    if (accepting == server->accepting)
        return;
    if (accepting) {
        server->accepting = watch_listeners(server);
    } else {
        unwatch_listeners(server, NULL);
        server->accepting = false;
    }
}

void di_server_accept(dari_server *server, di_address *address)
{
    di_listener *listener = address->listener;
    for (int i = 0; i < DI_ACCEPTS_PER_TURN && server->connections < server->connections_max; i++) {
        di_connection *connection;
        int result = listener->ops->accept(listener, &connection);
        if (result == DI_MOVED)
            result = di_session_create(server, connection, listener->ops->address(listener));
        else if (result == DI_BLOCKED)
            return;
        if (result < 0) {
            pause_accepting(server, address, result, errno);
            return;
        }
        server->told_no_accept = false;
    }
}
