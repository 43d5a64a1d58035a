/* SPDX-License-Identifier: MIT */
/* The life of a server and its loop. */
#include "loop/reverse.h"

#include "base/clock.h"

#include <dari/client.h>
#include <dari/interface.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Opens what the loop waits with. */
static int open_loop(dari_server *server)
{
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->alarm_descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    server->wake.kind = DI_WATCHED_WAKE;
    server->alarm.kind = DI_WATCHED_ALARM;
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = &server->wake};
    struct epoll_event alarm = {.events = EPOLLIN, .data.ptr = &server->alarm};
    if (server->epoll < 0 || server->wake_descriptor < 0 || server->alarm_descriptor < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->wake_descriptor, &wake) < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->alarm_descriptor, &alarm) < 0)
        return DARI_ERRNO;
    return di_fork_guard_init(&server->guard);
}

static void take_limits(dari_server *server, const dari_server_options *options)
{
#define LIMIT(name, otherwise) server->name = options->name ? options->name : (otherwise)
    LIMIT(message_max, DARI_MESSAGE_MAX_DEFAULT);
    LIMIT(fragments_max, DARI_FRAGMENTS_MAX_DEFAULT);
    LIMIT(decode_budget, DARI_DECODE_BUDGET_DEFAULT);
    LIMIT(connections_max, DARI_CONNECTIONS_MAX_DEFAULT);
    LIMIT(connections_per_peer_max, DARI_CONNECTIONS_PER_PEER_MAX_DEFAULT);
    LIMIT(calls_per_connection_max, DARI_CALLS_PER_CONNECTION_MAX_DEFAULT);
    LIMIT(calls_max, DARI_CALLS_MAX_DEFAULT);
    LIMIT(queued_max, DARI_QUEUED_MAX_DEFAULT);
    LIMIT(remembered_max, DARI_REMEMBERED_MAX_DEFAULT);
    LIMIT(remembered_bytes_max, DARI_REMEMBERED_BYTES_MAX_DEFAULT);
    LIMIT(idle_ns, DARI_IDLE_DEFAULT_NS);
    LIMIT(first_call_ns, DARI_FIRST_CALL_DEFAULT_NS);
    LIMIT(tcp_keepalive_ns, DARI_TCP_KEEPALIVE_DEFAULT_NS);
    LIMIT(shm_ring_size, DARI_SHM_RING_SIZE_DEFAULT);
    LIMIT(log_lines_per_second, DARI_LOG_LINES_PER_SECOND_DEFAULT);
#undef LIMIT
    server->shm_loan_max = options->shm_loan_max;
    server->shm_read_loans = options->shm_read_loans;
}

int dari_server_create(const dari_server_options *options, dari_server **ret_server)
{
    static const dari_server_options defaults;
    if (!ret_server ||
        (options && (options->workers > DARI_WORKERS_MAX || options->spin > DARI_SPIN_NEVER)))
        return DARI_INVALID;
    if (!options)
        options = &defaults;
    dari_server *server = calloc(1, sizeof *server);
    if (!server)
        return DARI_NO_MEMORY;
    take_limits(server, options);
    server->accept = options->accept;
    server->log = options->log;
    server->log_user = options->log_user;
    server->worker_count = options->workers;
    server->spin.policy = options->spin;
    server->spin.work = di_hot_work;
    server->epoll = server->wake_descriptor = server->alarm_descriptor = -1;
    server->alarm_at = DI_NEVER;
    server->ready_end = &server->ready;
    server->accepting = true;
    server->sweep_at = DI_NEVER;
    atomic_init(&server->caller_due, DI_NEVER);
    server->now = di_now();
    atomic_init(&server->references, 1);
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->log_lock, NULL);
    int error = di_registrar_begin(&server->registrar, options);
    if (error == 0)
        error = di_server_keep_access(server, &options->access);
    if (error == 0)
        error = open_loop(server);
    if (error < 0) {
        int cause = errno;
        dari_server_destroy(server);
        errno = cause;
        return error;
    }
    *ret_server = server;
    return 0;
}

void di_server_reference_drop(dari_server *server)
{
    if (atomic_fetch_sub(&server->references, 1) != 1)
        return;
    di_requests_free(server);
    di_counters_end(&server->counters);
    di_pool_end(&server->pool);
    di_server_forget_access(server);
    for (di_address *address = server->addresses, *next; address; address = next) {
        next = address->next;
        free(address);
    }
    pthread_mutex_destroy(&server->log_lock);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

/* Nobody is woken or told any more, by calls that are answered later than this; they find no
 * programs. */
static void fall_silent(dari_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->gone = true;
    di_dispatch_free(&server->dispatch);
    di_session *calling = server->calling;
    server->calling = NULL;
    pthread_mutex_unlock(&server->lock);
    for (di_session *next; calling; calling = next) {
        next = calling->next_calling;
        di_session_reference_drop(calling);
    }
    pthread_mutex_lock(&server->log_lock);
    server->log = NULL;
    pthread_mutex_unlock(&server->log_lock);
}

void dari_server_destroy(dari_server *server)
{
    if (!server)
        return;
    /* A child has none of the threads, and locks as they were. */
    if (!di_forked(&server->guard)) {
        di_callers_stop(server);
        di_workers_end(server);
        di_unregister(server, NULL);
        di_server_log_rest(server, DI_NEVER);
        fall_silent(server);
    } else {
        di_dispatch_free(&server->dispatch);
    }
    di_reverse_services_end(server);
    while (server->sessions)
        di_session_close(server, server->sessions);
    di_server_close_listeners(server);
    di_registrar_end(&server->registrar);
    if (server->epoll >= 0)
        close(server->epoll);
    if (server->wake_descriptor >= 0)
        close(server->wake_descriptor);
    if (server->alarm_descriptor >= 0)
        close(server->alarm_descriptor);
    di_fork_guard_end(&server->guard);
    di_server_reference_drop(server);
}

/* All procedures of an interface are counted in memory that is taken now. */
static int add_counters(dari_server *server, const dari_interface *interface)
{
    di_counters *counters = &server->counters;
    for (uint32_t i = 0; i < interface->procedure_count; i++) {
        const dari_procedure *procedure = &interface->procedures[i];
        if (!di_counters_find(counters, interface, procedure->number, procedure->name))
            return DARI_NO_MEMORY;
    }
    return di_counters_find(counters, interface, 0, "NULL") ? 0 : DARI_NO_MEMORY;
}

int dari_server_add(dari_server *server, const dari_interface *interface, const void *handlers,
                    void *user)
{
    int error;
    di_failure failure = {0};
    if (di_forked(&server->guard))
        error = DARI_FORKED;
    else if (interface->generator < DARI_GENERATOR_OLDEST ||
             interface->generator > DARI_GENERATOR_NEWEST)
        error = DARI_GENERATOR;
    else
        error = add_counters(server, interface);
    if (error == 0) {
        pthread_mutex_lock(&server->lock);
        error = di_dispatch_add(&server->dispatch, &(di_service){interface, handlers, user});
        pthread_mutex_unlock(&server->lock);
    }
    if (error < 0) {
        snprintf(server->text, sizeof server->text, "%s: %s", interface->name,
                 error == DARI_IN_USE ? "this version of the program is served already"
                                      : dari_error_text(error));
        return error;
    }
    error = di_register_program(server, interface, &failure);
    if (error < 0) {
        pthread_mutex_lock(&server->lock);
        di_dispatch_remove(&server->dispatch, interface->program, interface->version);
        pthread_mutex_unlock(&server->lock);
        di_server_describe(server, interface->name, "register", error, &failure);
    }
    return error;
}

const char *dari_server_message(const dari_server *server)
{
    return server->text;
}

int dari_server_intercept(dari_server *server, const dari_interceptor *interceptor)
{
    if (di_forked(&server->guard))
        return DARI_FORKED;
    if (server->workers || server->interceptor_count == DARI_INTERCEPTORS_MAX)
        return server->workers ? DARI_INVALID : DARI_LIMIT;
    server->interceptors[server->interceptor_count++] = *interceptor;
    return 0;
}

void di_server_forget_events(dari_server *server, const void *watched)
{
    for (int i = 0; i < server->event_count; i++)
        if (server->events[i].data.ptr == watched)
            server->events[i].data.ptr = NULL;
}

void di_server_wake(dari_server *server)
{
    int cause = errno;
    uint64_t one = 1;
    /* A write that fails finds the descriptor readable already. */
    if (write(server->wake_descriptor, &one, sizeof one) < (ssize_t)sizeof one)
        errno = cause;
    errno = cause;
}

_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "what is asked can be set in a signal handler");

void dari_server_stop(dari_server *server)
{
    if (di_forked(&server->guard))
        return;
    atomic_store(&server->stop_asked, true);
    di_server_wake(server);
}

void dari_server_finish(dari_server *server, uint64_t deadline_ns)
{
    if (di_forked(&server->guard))
        return;
    atomic_store(&server->finish_at, di_deadline_in(deadline_ns));
    atomic_store(&server->finish_asked, true);
    di_server_wake(server);
}

int dari_server_descriptor(const dari_server *server)
{
    return server->epoll;
}

/* Whether sessions can go on without an event. */
static bool has_ready(const dari_server *server)
{
    const di_session *session = server->ready;
    if (atomic_load(&server->starved))
        while (session && !atomic_load(&session->called_over))
            session = session->next_ready;
    return session != NULL;
}

static bool has_finished(const dari_server *server)
{
    return server->finishing && (!server->sessions || di_now() >= atomic_load(&server->finish_at));
}

/* When the loop has something to do without an event: 0: at once. */
static uint64_t due_time(const dari_server *server)
{
    if (has_ready(server) || has_finished(server) || di_server_accepting_is_due(server))
        return 0;
    uint64_t next = server->accept_again ? server->accept_again : DI_NEVER;
    if (server->trim_at && server->trim_at < next)
        next = server->trim_at;
    if (server->sweep_at < next)
        next = server->sweep_at;
    if (server->finishing && atomic_load(&server->finish_at) < next)
        next = atomic_load(&server->finish_at);
    uint64_t log_due = atomic_load(&server->log_due);
    if (log_due && log_due < next)
        next = log_due;
    uint64_t caller_due = atomic_load(&server->caller_due);
    return caller_due < next ? caller_due : next;
}

uint64_t dari_server_timeout_ns(const dari_server *server)
{
    uint64_t due = due_time(server);
    if (due == 0)
        return 0;
    uint64_t services = di_reverse_services_timeout_ns(server);
    if (due == DI_NEVER)
        return services;
    uint64_t now = di_now();
    uint64_t left = due > now ? due - now : 0;
    return left < services ? left : services;
}

void di_server_trim_later(dari_server *server)
{
    if (server->trim_at == 0)
        server->trim_at = di_deadline_in(DI_TRIM_NS);
}

/* Gives memory back where no large message came since the last time. What a call still holds comes
 * to the pool later. */
static void trim(dari_server *server)
{
    if (di_pool_used_large(&server->pool))
        di_server_trim_later(server);
    if (server->trim_at == 0 || server->now < server->trim_at)
        return;
    bool again = server->requests_used;
    if (!again)
        di_requests_trim(server);
    server->requests_used = false;
    again |= di_pool_trim(&server->pool) || atomic_load(&server->in_flight) > 0;
    server->trim_at = 0;
    if (again)
        di_server_trim_later(server);
}

/* No more connections and calls; those that are there end with the last reply that they are owed.
 */
static void begin_finishing(dari_server *server)
{
    server->finishing = true;
    di_server_update_accepting(server);
    di_server_retire_listeners(server);
    for (di_session *session = server->sessions, *next; session; session = next) {
        next = session->next;
        di_session_serve(server, session);
    }
}

/* Sees to it that the next wait ends when something is due. Returns the time-out for it: none but
 * where that is now. The alarm stays set while it is early enough: a time-out would cost each wait
 * a reading of the clock, and the kernel a timer. */
static int set_alarm(dari_server *server)
{
    uint64_t due = due_time(server);
    uint64_t services = due ? di_reverse_services_timeout_ns(server) : 0;
    if (services == 0)
        return 0;
    if (services != UINT64_MAX && di_deadline_in(services) < due)
        due = di_deadline_in(services);
    if (due >= server->alarm_at)
        return -1;
    const struct itimerspec when = {.it_value = di_timespec(due)};
    timerfd_settime(server->alarm_descriptor, TFD_TIMER_ABSTIME, &when, NULL);
    server->alarm_at = due;
    return -1;
}

static void take_alarm(dari_server *server)
{
    uint64_t count;
    while (read(server->alarm_descriptor, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    server->alarm_at = DI_NEVER;
}

/* Makes the descriptor quiet, and takes what called. */
static void take_wake(dari_server *server)
{
    uint64_t count;
    while (read(server->wake_descriptor, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    pthread_mutex_lock(&server->lock);
    server->heeding = server->calling;
    server->calling = NULL;
    pthread_mutex_unlock(&server->lock);
}

static void heed(dari_server *server)
{
    for (di_session *session; (session = server->heeding);) {
        pthread_mutex_lock(&server->lock);
        server->heeding = session->next_calling;
        session->calling = false;
        pthread_mutex_unlock(&server->lock);
        di_session_heed(server, session);
    }
    /* After the last of them: while one is on its way here, it does not call again. */
    if (atomic_load(&server->starved) && atomic_load(&server->in_flight) < server->calls_max)
        atomic_store(&server->starved, false);
    if (atomic_load(&server->finish_asked) && atomic_exchange(&server->finish_asked, false) &&
        !server->finishing)
        begin_finishing(server);
}

static void handle_event(dari_server *server, const struct epoll_event *event)
{
    di_watched *watched = event->data.ptr;
    switch (watched->kind) {
    case DI_WATCHED_WAKE:
        take_wake(server);
        break;
    case DI_WATCHED_ALARM:
        take_alarm(server);
        break;
    case DI_WATCHED_LISTENER:
        di_server_accept(server, (di_address *)watched);
        break;
    case DI_WATCHED_SERVICE:
        di_reverse_service_event((struct di_reverse_service *)watched);
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
    di_session *next = server->ready;
    for (di_session *session = NULL; session != last;) {
        session = next;
        next = session->next_ready;
        if (!atomic_load(&server->starved) || atomic_load(&session->called_over))
            di_session_serve(server, session);
    }
}

/* Waits for events of the kernel, unless something is there that it does not know of. */
static int wait_for_events(dari_server *server, struct epoll_event *events, int milliseconds)
{
    if (server->hot && milliseconds != 0) {
        uint64_t most = milliseconds < 0 ? UINT64_MAX : (uint64_t)milliseconds * DARI_MS;
        bool there = di_hot_spin(server, most);
        if (there && ++server->hot_turns < DI_HOT_TURNS_MAX)
            return 0;
        if (there || !di_spin_is_over(&server->spin) || !di_hot_arm(server))
            milliseconds = 0;
    }
    server->hot_turns = 0;
    return epoll_wait(server->epoll, events, DI_EVENTS_PER_TURN, milliseconds);
}

/* Whether nothing but connections that are busy has to be looked at before long. */
static bool may_go_on(const dari_server *server, uint64_t began)
{
    return server->hot && !server->ready && !server->finishing &&
           server->now - began < DI_HOT_TURN_NS && atomic_load(&server->running) &&
           !di_server_stops(server) && !atomic_load(&server->services_called);
}

/* Serves those as long as they go on: the rest of a turn would cost more than their calls. */
static void serve_hot(dari_server *server)
{
    uint64_t began = server->now;
    while (di_hot_serve(server) && may_go_on(server, began) &&
           ++server->hot_turns < DI_HOT_TURNS_MAX && di_hot_goes_on(server))
        continue;
}

/* What is to be done without an event. It is looked for here: mostly there is nothing. */
static void do_what_is_due(dari_server *server)
{
    if (server->services || atomic_load(&server->services_called))
        di_reverse_services_heed(server);
    if (server->ready)
        serve_ready(server);
    if (server->hot)
        serve_hot(server);
    if (atomic_load(&server->caller_due) <= server->now)
        di_callers_expire(server);
    if (server->sweep_at <= server->now)
        di_server_sweep(server);
    di_server_update_accepting(server);
    trim(server);
    if (!server->sessions && !server->finishing && di_server_is_exhausted(server)) {
        atomic_store(&server->finish_at, DI_NEVER);
        begin_finishing(server);
    }
    if (atomic_load(&server->log_due))
        di_server_log_rest(server, server->now);
}

/* One round: waits for events up to `milliseconds` (-1: without limit) and handles them. Returns 1
 * where more is ready, 0 or an error. */
static int turn(dari_server *server, int milliseconds)
{
    struct epoll_event events[DI_EVENTS_PER_TURN];
    if (server->dispatching)
        return DARI_INVALID;
    int error = server->worker_count ? di_workers_start(server) : 0;
    if (error < 0)
        return error;
    int count = wait_for_events(server, events, milliseconds);
    if (count < 0)
        return errno == EINTR ? 0 : DARI_ERRNO;
    server->dispatching = true;
    server->now = server->clock = di_now();
    atomic_store_explicit(&server->here, pthread_self(), memory_order_relaxed);
    /* In this order: serving may close sessions, of which events must not speak any more. */
    server->events = events;
    server->event_count = count;
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr)
            handle_event(server, &events[i]);
    server->event_count = 0;
    heed(server);
    do_what_is_due(server);
    if (server->finishing && !server->finished && has_finished(server)) {
        di_workers_drop(server);
        server->finished = true;
    }
    server->dispatching = false;
    return has_ready(server) || atomic_load(&server->services_called);
}

int dari_server_dispatch(dari_server *server)
{
    if (di_forked(&server->guard))
        return DARI_FORKED;
    int result = turn(server, 0);
    return result == 0 && !di_hot_arm(server) ? 1 : result;
}

int dari_server_finished(const dari_server *server)
{
    return server->finished;
}

/* Ends finishing. Returns 0, or DARI_DEADLINE where there was not the time for all calls. */
static int end_finishing(dari_server *server)
{
    int result = server->sessions ? DARI_DEADLINE : 0;
    di_workers_drop(server);
    while (server->sessions)
        di_session_close(server, server->sessions);
    di_server_close_listeners(server);
    server->finishing = server->finished = false;
    return result;
}

/* Waits until no handler runs. */
static void pause_handlers(dari_server *server)
{
    if (!server->workers)
        return;
    di_callers_stop(server);
    di_workers_pause(server);
    atomic_store(&server->callers_stop, false);
}

int dari_server_run(dari_server *server)
{
    if (di_forked(&server->guard))
        return DARI_FORKED;
    int result = 0;
    atomic_store(&server->running, true);
    while (!di_server_stops(server) && !has_finished(server) && result >= 0)
        result = turn(server, set_alarm(server));
    if (server->finishing && !di_server_stops(server) && result >= 0)
        result = end_finishing(server);
    else
        pause_handlers(server);
    atomic_store(&server->running, false);
    atomic_store(&server->stop_asked, false);
    atomic_store(&server->here, 0);
    return result < 0 ? result : 0;
}
