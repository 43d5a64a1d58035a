/* SPDX-License-Identifier: MIT */
#include "loop/flight.h"

#include "base/clock.h"
#include "loop/exchange.h"
#include "loop/reverse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* The memory for a reply that an unused flight may keep. */
#define REPLY_KEEP ((size_t)64 << 10)

/* Grows the table of cancels until it has `descriptor`. Returns 0 or DARI_NO_MEMORY. */
static int make_cancel_slot(di_flights *flights, int descriptor)
{
    size_t size = (size_t)descriptor + 1;
    if (size <= flights->cancelled_size)
        return 0;
    size += size / 2;
    di_flight **grown = realloc(flights->cancelled, size * sizeof *grown);
    if (!grown)
        return DARI_NO_MEMORY;
    memset(grown + flights->cancelled_size, 0, (size - flights->cancelled_size) * sizeof *grown);
    flights->cancelled = grown;
    flights->cancelled_size = size;
    return 0;
}

/* From now on the loop's descriptor tells of the flight's cancel. Returns 0 or an error. */
static int watch_cancel(dari_client *client, di_flight *flight, int descriptor)
{
    di_flights *flights = &client->flights;
    int error = make_cancel_slot(flights, descriptor);
    if (error < 0)
        return error;
    di_flight **first = &flights->cancelled[descriptor];
    if (!*first) {
        struct epoll_event event = {.events = EPOLLIN, .data = {.fd = descriptor}};
        if (epoll_ctl(client->loop.descriptor, EPOLL_CTL_ADD, descriptor, &event) < 0)
            return DARI_ERRNO;
        flights->cancellable++;
    }
    flight->previous_cancelled = NULL;
    flight->next_cancelled = *first;
    if (*first)
        (*first)->previous_cancelled = flight;
    *first = flight;
    return 0;
}

static void forget_cancel(dari_client *client, di_flight *flight, int descriptor)
{
    di_flights *flights = &client->flights;
    if (flight->next_cancelled)
        flight->next_cancelled->previous_cancelled = flight->previous_cancelled;
    if (flight->previous_cancelled) {
        flight->previous_cancelled->next_cancelled = flight->next_cancelled;
        return;
    }
    flights->cancelled[descriptor] = flight->next_cancelled;
    if (flight->next_cancelled)
        return;
    epoll_ctl(client->loop.descriptor, EPOLL_CTL_DEL, descriptor, NULL);
    flights->cancellable--;
}

/* The flight flies no more, and waits for its caller's function. */
static void leave(dari_client *client, di_flight *flight)
{
    const dari_cancel *cancel = di_exchange_cancel(&flight->exchange);
    di_timers_remove(&client->flights.timers, &flight->timer);
    if (flight->resend.message)
        di_resend_end(client, &flight->resend);
    if (cancel)
        forget_cancel(client, flight, cancel->descriptor);
    client->flights.flying--;
}

static void line_up(dari_client *client, di_flight *flight)
{
    di_flights *flights = &client->flights;
    flight->next = NULL;
    if (flights->landed)
        *flights->landed_end = flight;
    else
        flights->landed = flight;
    flights->landed_end = &flight->next;
    di_loop_wake(client);
}

/* Puts the reply into memory of the flight's own. */
static void keep_reply(di_flight *flight, const di_message *message)
{
    if (flight->memory_size < message->size) {
        uint8_t *memory = malloc(message->size);
        if (!memory) {
            flight->error = DARI_NO_MEMORY;
            return;
        }
        free(flight->memory);
        flight->memory = memory;
        flight->memory_size = message->size;
    }
    memcpy(flight->memory, message->bytes, message->size);
    flight->reply = flight->memory;
}

void di_flight_land(dari_client *client, di_flight *flight, const di_message *message,
                    bool in_place)
{
    leave(client, flight);
    flight->exchange.may_have_run = true;
    flight->exchange.ended = in_place ? client->received_at : di_now();
    flight->reply_size = message->size;
    if (message->oversized) {
        flight->error = DARI_LIMIT;
        di_exchange_oversized(&flight->exchange, message->whole, client->channel.reader.limit);
    } else if (in_place) {
        flight->reply = message->bytes;
        flight->exchange.holds = client->held = true;
        client->flights.in_place = flight;
        return;
    } else {
        keep_reply(flight, message);
    }
    line_up(client, flight);
}

/* No reply is waited for any more. The message is taken back where that can be done. */
static void fail(dari_client *client, di_flight *flight, int error)
{
    di_channel *channel = &client->channel;
    di_pending_remove(&client->pending, &flight->pending);
    leave(client, flight);
    flight->error = error;
    if (flight->grounded) {
        di_flight_unground(client, flight);
        if (error == DARI_DEADLINE)
            di_reconnect_explain(client, &flight->exchange);
        return;
    }
    bool sent = di_channel_sent(channel) >= flight->after;
    if (client->broken) {
        flight->exchange.system_error = error == client->broken ? client->broken_cause : 0;
    } else if (!sent) {
        bool last = channel->committed == flight->after && !client->writing;
        sent = !last || !di_channel_withdraw(channel, flight->before);
    }
    flight->exchange.may_have_run |= sent;
}

static void line_up_all(dari_client *client, di_flight *first)
{
    for (di_flight *next; first; first = next) {
        next = first->next;
        line_up(client, first);
    }
}

static di_flight *flight_of(di_timer *timer)
{
    return (di_flight *)((char *)timer - offsetof(di_flight, timer));
}

void di_flight_fail(dari_client *client, di_flight *flight, int error)
{
    fail(client, flight, error);
    line_up(client, flight);
}

/* Grounds those, in the order of their messages, that have nothing to do with the lost connection
 * any more, before what was started later; they are among the timers again. */
static void ground_all(dari_client *client, di_timers staying)
{
    di_flight *later = client->flights.grounded;
    while (staying.first) {
        di_flight *flight = flight_of(staying.first);
        di_timers_remove(&staying, staying.first);
        di_resend_end(client, &flight->resend);
        flight->timer.deadline = flight->exchange.deadline;
        di_timers_add(&client->flights.timers, &flight->timer);
        if (flight->grounded)
            continue;
        if (di_channel_sent(&client->channel) >= flight->after) {
            flight->exchange.may_have_run = true;
            flight->exchange.repeats++;
        }
        di_flight_ground(client, flight, later);
    }
}

/* Those due at `now` fail with `error`: from the newest on, so that messages of which nothing is
 * sent can be taken back. */
static void fail_due(dari_client *client, uint64_t now, int error)
{
    di_timers *timers = &client->flights.timers;
    di_timers due = {0}, staying = {0};
    while (timers->first && timers->first->deadline <= now) {
        di_timer *timer = timers->first;
        const di_flight *flight = flight_of(timer);
        bool stays = error == client->broken && di_flight_can_stay(client, flight);
        di_timers_remove(timers, timer);
        timer->deadline = stays ? flight->after : UINT64_MAX - flight->after;
        di_timers_add(stays ? &staying : &due, timer);
    }
    di_flight *failed = NULL;
    while (due.first) {
        di_flight *flight = flight_of(due.first);
        di_timers_remove(&due, due.first);
        di_timers_add(timers, &flight->timer);
        fail(client, flight, error);
        flight->next = failed;
        failed = flight;
    }
    ground_all(client, staying);
    line_up_all(client, failed);
}

/* When the flight has something to do. */
static uint64_t due_time(const di_flight *flight)
{
    uint64_t deadline = flight->exchange.deadline;
    return flight->resend.at < deadline ? flight->resend.at : deadline;
}

/* Sends those again for which it is time. Those whose deadline has passed stay due. */
static void resend_due(dari_client *client, uint64_t now)
{
    di_timers *timers = &client->flights.timers;
    di_timers expired = {0};
    while (timers->first && timers->first->deadline <= now) {
        di_flight *flight = flight_of(timers->first);
        bool again = di_resend_is_due(client, &flight->resend, now);
        di_timers_remove(timers, &flight->timer);
        if (flight->exchange.deadline <= now) {
            di_timers_add(&expired, &flight->timer);
            continue;
        }
        flight->timer.deadline = due_time(flight);
        di_timers_add(timers, &flight->timer);
        if (again)
            di_resend_send(client, &flight->resend);
    }
    while (expired.first) {
        di_timer *timer = expired.first;
        di_timers_remove(&expired, timer);
        di_timers_add(timers, timer);
    }
}

void di_flights_expire(dari_client *client, uint64_t now)
{
    if (atomic_load(&client->reach.done) && client->channel.connection->ops->loses_messages)
        resend_due(client, now);
    const di_timer *first = client->flights.timers.first;
    if (first && first->deadline <= now)
        fail_due(client, now, DARI_DEADLINE);
}

void di_flights_fail(dari_client *client, int error)
{
    fail_due(client, UINT64_MAX, error);
}

void di_flights_cancel(dari_client *client, int descriptor)
{
    di_flights *flights = &client->flights;
    di_flight *failed = NULL;
    if ((size_t)descriptor >= flights->cancelled_size)
        return;
    while (flights->cancelled[descriptor]) {
        di_flight *flight = flights->cancelled[descriptor];
        fail(client, flight, DARI_CANCELLED);
        flight->next = failed;
        failed = flight;
    }
    line_up_all(client, failed);
}

di_flight *di_flights_next(dari_client *client)
{
    di_flight *flight = client->flights.landed;
    if (flight)
        client->flights.landed = flight->next;
    return flight;
}

di_flight *di_flights_take(dari_client *client)
{
    di_flight *flight = client->flights.unused;
    if (!flight)
        return calloc(1, sizeof *flight);
    client->flights.unused = flight->next;
    return flight;
}

void di_flights_give(dari_client *client, di_flight *flight)
{
    if (flight->memory_size > REPLY_KEEP) {
        free(flight->memory);
        flight->memory = NULL;
        flight->memory_size = 0;
    }
    flight->next = client->flights.unused;
    client->flights.unused = flight;
}

void di_flights_recycle(dari_client *client, di_flight *flight)
{
    di_flights_give(client, flight);
    client->flights.open--;
    if (client->flights.open == 0)
        di_loop_idle(client);
}

void di_flights_end(dari_client *client)
{
    di_flights *flights = &client->flights;
    for (di_flight *next; flights->unused; flights->unused = next) {
        next = flights->unused->next;
        free(flights->unused->memory);
        free(flights->unused);
    }
    free(flights->cancelled);
}

void *dari_exchange_take(dari_exchange *exchange, size_t size)
{
    dari_arena *arena = &exchange->call->arena;
    size_t allowed = arena->room + (size_t)(arena->end - arena->at);
    bool refused = arena->limited && size > allowed;
    void *taken = dari_arena_take(arena, size);
    if (taken)
        memset(taken, 0, size);
    else
        exchange->error = refused ? DARI_BUDGET : DARI_NO_MEMORY;
    return taken;
}

/* Copies what a call that is ready to be sent has to do with. What was written in small pieces is
 * not read in larger ones, which would wait for it. */
static void copy_exchange(dari_exchange *to, const dari_exchange *from)
{
    memcpy((char *)to + DI_EXCHANGE_KEPT, (const char *)from + DI_EXCHANGE_KEPT,
           offsetof(dari_exchange, xid) - DI_EXCHANGE_KEPT);
    to->error = to->system_error = 0;
    to->entered = from->entered;
    to->delayed = from->delayed;
    to->locked = to->may_have_run = to->holds = false;
    to->repeats = 0;
    to->idempotent = from->idempotent;
    to->queued = from->queued;
    to->encoder.fault = to->decoder.fault = (dari_fault){0};
    to->references.count = from->references.count;
    for (uint32_t i = 0; i < from->references.count; i++)
        to->references.items[i] = from->references.items[i];
}

/* The flight takes the exchange over. Returns 0, or an error and has changed nothing. */
static int board(di_flight *flight, const dari_exchange *exchange)
{
    dari_client *client = exchange->client;
    const dari_cancel *cancel = di_exchange_cancel(exchange);
    copy_exchange(&flight->exchange, exchange);
    flight->error = 0;
    flight->reply = NULL;
    flight->before = flight->after = flight->kept_size = 0;
    int error = cancel ? watch_cancel(client, flight, cancel->descriptor) : 0;
    if (error < 0)
        return error;
    flight->pending.asynchronous = true;
    di_pending_add(&client->pending, &flight->pending);
    flight->exchange.xid = flight->pending.xid;
    flight->resend = (di_resend){.at = DI_NEVER};
    flight->timer.deadline = exchange->deadline;
    di_timers_add(&client->flights.timers, &flight->timer);
    client->flights.flying++;
    client->flights.open++;
    return 0;
}

void di_flight_resend(dari_client *client, di_flight *flight, const uint8_t *message, size_t size)
{
    di_timers *timers = &client->flights.timers;
    if (!client->channel.connection->ops->loses_messages)
        return;
    di_resend_keep(client, &flight->resend, flight->exchange.xid, message, size,
                   di_exchange_now(&flight->exchange));
    if (flight->resend.at >= flight->timer.deadline)
        return;
    di_timers_remove(timers, &flight->timer);
    flight->timer.deadline = flight->resend.at;
    di_timers_add(timers, &flight->timer);
}

/* Copies what the message only refers to. */
static void complete(dari_exchange *exchange)
{
    for (uint32_t i = 0; i < exchange->references.count; i++) {
        const dari_reference *one = &exchange->references.items[i];
        memcpy(one->at, one->data, one->size);
    }
    exchange->references.count = 0;
}

/* The message was written while there was no connection, or has lost it since. */
static void start_grounded(dari_client *client, di_flight *flight)
{
    di_exchange_write_header(&flight->exchange);
    complete(&flight->exchange);
    di_flight_keep(flight, client->message, client->message_size);
    di_flight_ground(client, flight, NULL);
    di_exchange_release(&flight->exchange);
    if (!client->broken)
        di_flights_launch(client);
}

/* The loop of its session does for such a client what its own does for others, but watch cancels.
 */
static int check_over(const dari_exchange *exchange)
{
    return di_exchange_cancel(exchange) ? DARI_INVALID : 0;
}

/* Called with the lock held. */
static int start(dari_exchange *exchange, di_flight **ret_flight)
{
    dari_client *client = exchange->client;
    bool lost = client->broken && client->reconnect.never;
    bool offline = client->broken || client->drafting;
    bool keeps = offline || exchange->idempotent;
    int error = lost ? client->broken : client->over ? check_over(exchange) : di_loop_make(client);
    di_flight *flight = error < 0 ? NULL : di_flights_take(client);
    if (error == 0 && !flight)
        error = DARI_NO_MEMORY;
    if (error == 0 && keeps)
        error = di_flight_make_room(flight, client->message_size);
    if (error == 0)
        error = board(flight, exchange);
    if (error < 0) {
        exchange->system_error = error == client->broken ? client->broken_cause
                                 : error == DARI_ERRNO   ? errno
                                                         : 0;
        if (flight)
            di_flights_give(client, flight);
        di_exchange_release(exchange);
        return error;
    }
    *ret_flight = flight;
    if (offline) {
        start_grounded(client, flight);
        return 0;
    }
    flight->before = client->channel.committed;
    di_exchange_commit(&flight->exchange);
    flight->after = client->channel.committed;
    if (keeps)
        di_flight_keep(flight, client->message, client->message_size);
    di_flight_resend(client, flight, client->message, client->message_size);
    return 0;
}

int dari_exchange_start(dari_exchange *exchange, dari_finish *finish, dari_done *done, void *user)
{
    if (exchange->error)
        return dari_exchange_end(exchange, NULL);
    dari_client *client = exchange->client;
    di_flight *flight;
    di_exchange_lock(exchange);
    exchange->error = start(exchange, &flight);
    if (exchange->error == 0) {
        flight->finish = finish;
        flight->done = done;
        flight->user = user;
        uint64_t due = client->broken ? di_reconnect_due(client) : DI_NEVER;
        di_loop_queued(client, due < flight->timer.deadline ? due : flight->timer.deadline);
    }
    pthread_mutex_unlock(&client->lock);
    return exchange->error ? dari_exchange_end(exchange, NULL) : 0;
}
