/* SPDX-License-Identifier: MIT */
/* The life of a server and its loop. */
#include "loop/server.h"

#include "base/clock.h"

#include <dari/client.h>
#include <dari/interface.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

void di_server_log(dari_server *server, int error, const char *format, ...)
{
    char text[DI_SERVER_TEXT_SIZE];
    va_list arguments;
    if (!server->log)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    server->log(server->log_user, error, text);
}

/* Opens what the loop waits with. */
static int open_loop(dari_server *server)
{
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->stop_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->stop.kind = DI_WATCHED_STOP;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server->stop};
    if (server->epoll < 0 || server->stop_descriptor < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->stop_descriptor, &event) < 0)
        return DARI_ERRNO;
    return di_fork_guard_init(&server->guard);
}

int dari_server_create(const dari_server_options *options, dari_server **ret_server)
{
    static const dari_server_options defaults;
    if (!ret_server)
        return DARI_INVALID;
    if (!options)
        options = &defaults;
    dari_server *server = calloc(1, sizeof *server);
    if (!server)
        return DARI_NO_MEMORY;
    server->message_max = options->message_max ? options->message_max : DARI_MESSAGE_MAX_DEFAULT;
    server->decode_budget =
        options->decode_budget ? options->decode_budget : DARI_DECODE_BUDGET_DEFAULT;
    server->connections_max =
        options->connections_max ? options->connections_max : DARI_CONNECTIONS_MAX_DEFAULT;
    server->queued_max = options->queued_max ? options->queued_max : DARI_QUEUED_MAX_DEFAULT;
    server->accept = options->accept;
    server->log = options->log;
    server->log_user = options->log_user;
    server->epoll = server->stop_descriptor = -1;
    server->ready_end = &server->ready;
    server->accepting = true;
    int error = open_loop(server);
    if (error < 0) {
        int cause = errno;
        dari_server_destroy(server);
        errno = cause;
        return error;
    }
    *ret_server = server;
    return 0;
}

void dari_server_destroy(dari_server *server)
{
    if (!server)
        return;
    while (server->sessions)
        di_session_close(server, server->sessions);
    for (di_address *address = server->addresses, *next; address; address = next) {
        next = address->next;
        address->listener->ops->close(address->listener);
        free(address);
    }
    if (server->epoll >= 0)
        close(server->epoll);
    if (server->stop_descriptor >= 0)
        close(server->stop_descriptor);
    di_dispatch_free(&server->dispatch);
    dari_arena_end(&server->arena);
    di_fork_guard_end(&server->guard);
    free(server);
}

int dari_server_add(dari_server *server, const dari_interface *interface, const void *handlers,
                    void *user)
{
    int error;
    if (di_forked(&server->guard))
        error = DARI_FORKED;
    else if (interface->generator < DARI_GENERATOR_OLDEST ||
             interface->generator > DARI_GENERATOR_NEWEST)
        error = DARI_GENERATOR;
    else
        error = di_dispatch_add(&server->dispatch, &(di_service){interface, handlers, user});
    if (error < 0)
        snprintf(server->text, sizeof server->text, "%s: %s", interface->name,
                 error == DARI_IN_USE ? "this version of the program is served already"
                                      : dari_error_text(error));
    return error;
}

const char *dari_server_message(const dari_server *server)
{
    return server->text;
}

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "stop_asked can be set in a signal handler");

void dari_server_stop(dari_server *server)
{
    int cause = errno;
    uint64_t one = 1;
    if (di_forked(&server->guard))
        return;
    atomic_store(&server->stop_asked, 1);
    /* A write that fails finds the descriptor readable already. */
    if (write(server->stop_descriptor, &one, sizeof one) < (ssize_t)sizeof one)
        errno = cause;
    errno = cause;
}

int dari_server_descriptor(const dari_server *server)
{
    return server->epoll;
}

uint64_t dari_server_timeout_ns(const dari_server *server)
{
    if (server->ready)
        return 0;
    uint64_t next = server->accept_again ? server->accept_again : DI_NEVER;
    if (server->trim_at && server->trim_at < next)
        next = server->trim_at;
    if (next == DI_NEVER)
        return UINT64_MAX;
    uint64_t now = di_now();
    return next > now ? next - now : 0;
}

void di_server_trim_later(dari_server *server)
{
    if (server->trim_at == 0)
        server->trim_at = di_deadline_in(DI_TRIM_NS);
}

/* Gives memory back where no large message came since the last time. */
static void trim(dari_server *server)
{
    if (server->trim_at == 0 || di_now() < server->trim_at)
        return;
    bool again = server->arena_used;
    if (!server->arena_used)
        dari_arena_end(&server->arena);
    server->arena_used = false;
    for (di_session *session = server->sessions; session; session = session->next) {
        di_connection *connection = session->channel.connection;
        if (!session->used)
            connection->ops->trim(connection);
        session->used = false;
        again |= connection->ops->spare(connection) > 0;
    }
    server->trim_at = 0;
    if (again)
        di_server_trim_later(server);
}

/* The descriptor has done its work: it has woken the loop. */
static void quiet_stop(const dari_server *server)
{
    uint64_t count;
    while (read(server->stop_descriptor, &count, sizeof count) < 0 && errno == EINTR)
        continue;
}

static void handle_event(dari_server *server, const struct epoll_event *event)
{
    di_watched *watched = event->data.ptr;
    switch (watched->kind) {
    case DI_WATCHED_STOP:
        quiet_stop(server);
        break;
    case DI_WATCHED_LISTENER:
        di_server_accept(server, (di_address *)watched);
        break;
    case DI_WATCHED_SESSION:
        di_session_event(server, (di_session *)watched, event->events);
        break;
    }
}

/* Serves those that were ready when this began, once each. */
static void serve_ready(dari_server *server)
{
    di_session *last = NULL;
    for (di_session *session = server->ready; session; session = session->next_ready)
        last = session;
    for (bool done = !last; !done && server->ready;) {
        done = server->ready == last;
        di_session_serve(server, server->ready);
    }
}

/* One round: waits for events up to `milliseconds` (-1: without limit) and handles them. Returns 1
 * where more is ready, 0 or an error. */
static int turn(dari_server *server, int milliseconds)
{
    struct epoll_event events[DI_EVENTS_PER_TURN];
    if (server->dispatching)
        return DARI_INVALID;
    int count = epoll_wait(server->epoll, events, DI_EVENTS_PER_TURN, milliseconds);
    if (count < 0)
        return errno == EINTR ? 0 : DARI_ERRNO;
    server->dispatching = true;
    /* In this order: serving may close sessions, of which events must not speak any more. */
    for (int i = 0; i < count; i++)
        handle_event(server, &events[i]);
    serve_ready(server);
    di_server_update_accepting(server);
    trim(server);
    server->dispatching = false;
    return server->ready != NULL;
}

int dari_server_dispatch(dari_server *server)
{
    return di_forked(&server->guard) ? DARI_FORKED : turn(server, 0);
}

int dari_server_run(dari_server *server)
{
    if (di_forked(&server->guard))
        return DARI_FORKED;
    int result = 0;
    server->running = true;
    while (!di_server_stops(server) && result >= 0) {
        uint64_t timeout = dari_server_timeout_ns(server);
        result =
            turn(server, timeout == UINT64_MAX ? -1 : di_poll_timeout(di_deadline_in(timeout)));
    }
    server->running = false;
    atomic_store(&server->stop_asked, 0);
    return result < 0 ? result : 0;
}
