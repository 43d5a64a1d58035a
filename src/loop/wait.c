/* SPDX-License-Identifier: MIT */
/* Who receives, where threads share a client.
 *
 * One of the threads that wait watches the descriptor, and hands the others their replies. The
 * others sleep until they are handed one, or until the watching thread leaves and wakes one of them
 * to watch in its place. A thread that needs room to send while the watching one does not watch for
 * that watches for room alone. So somebody receives as long as anybody waits: two full sides never
 * lock each other. And nobody receives what another thread watches for, without waking it.
 * Receiving, sending and handing out are done under the lock, and none of them waits.
 *
 * A thread sleeps on its condition, or, where it can be cancelled or watches beside another one, by
 * polling descriptors, one of which is its bell. */
#include "loop/reverse.h"

#include "loop/client.h"
#include "rpc/message.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void wake(di_waiter *waiter)
{
    if (waiter->bell < 0) {
        pthread_cond_signal(&waiter->wake);
    } else if (!waiter->rung) {
        waiter->rung = true;
        eventfd_write(waiter->bell, 1);
    }
}

/* Returns 0, or DARI_ERRNO. */
static int take_bell(dari_client *client, di_waiter *waiter)
{
    if (waiter->bell >= 0)
        return 0;
    int bell = client->bell_count ? client->bells[--client->bell_count]
                                  : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0)
        return DARI_ERRNO;
    waiter->bell = bell;
    return 0;
}

static void silence(di_waiter *waiter)
{
    eventfd_t count;
    if (waiter->rung)
        eventfd_read(waiter->bell, &count);
    waiter->rung = false;
}

void di_client_wake_all(const dari_client *client)
{
    for (di_waiter *waiter = client->asleep; waiter; waiter = waiter->next_asleep)
        wake(waiter);
    if (client->sender)
        wake(client->sender);
}

void di_client_break(dari_client *client, int error, int cause)
{
    if (client->broken)
        return;
    client->broken = error;
    client->broken_cause = error == DARI_ERRNO ? cause : 0;
    client->resend_wanted = false;
    /* Shutting may put other descriptors in the place of those that are watched. */
    di_loop_detach(client);
    client->channel.connection->ops->shut(client->channel.connection);
    di_reconnect_lost(client, error, client->broken_cause);
    if (client->inlet)
        di_reverse_service_lost(client);
    di_loans_return_all(&client->loans);
    di_client_wake_all(client);
    if (!client->held)
        di_flights_fail(client, error);
}

static bool turn_is_free(const dari_client *client, const di_waiter *waiter)
{
    if (client->broken)
        return waiter->offline && !client->writing;
    if (client->over && waiter->room != SIZE_MAX && di_caller_is_full(client))
        return false;
    return !client->writing && di_channel_unsent(&client->channel) < waiter->room;
}

/* Whether somebody watches for all that can come, or is about to. */
static bool watched(const dari_client *client)
{
    if (client->over || client->held)
        return true;
    return client->receiver && (client->receiver_sends || client->sender || client->send_error ||
                                di_channel_unsent(&client->channel) == 0);
}

void di_client_wake_next(dari_client *client)
{
    di_waiter *chosen = client->broken || watched(client) ? NULL : client->asleep;
    for (di_waiter *waiter = client->asleep; waiter; waiter = waiter->next_asleep) {
        if (waiter->wants_turn && turn_is_free(client, waiter)) {
            chosen = waiter;
            break;
        }
    }
    if (chosen)
        wake(chosen);
    if (client->inlet)
        di_reverse_service_room(client);
    if (client->sender && !client->receiver && !client->held)
        wake(client->sender);
    if (client->broken)
        di_reconnect_step(client);
}

/* Puts a reply into memory of its own, for a thread that does not read it where it lies. */
static void copy_reply(di_waiter *waiter, const di_message *message)
{
    waiter->reply = malloc(message->size);
    if (!waiter->reply) {
        waiter->error = DARI_NO_MEMORY;
        return;
    }
    memcpy(waiter->reply, message->bytes, message->size);
    waiter->reply_size = message->size;
}

/* What came is no RPC message: nothing can be told on that stream any more; but a datagram is only
 * one of many. */
static int garbage(dari_client *client)
{
    if (!client->channel.connection->ops->loses_messages)
        return DARI_BAD_REPLY;
    client->pending.dropped++;
    return 0;
}

/* Gives a message to the call that it answers. `self` is the thread that received it. Returns 0 or
 * DARI_BAD_REPLY for what is no RPC message. */
static int hand_out(dari_client *client, di_waiter *self, const di_message *message)
{
    uint32_t xid, type;
    if (di_message_peek(message->bytes, message->size, &xid, &type) < 0 || type > DI_REPLY)
        return garbage(client);
    di_pending_call *pending = NULL;
    if (client->loans.lent && type == DI_REPLY)
        di_loans_return(&client->loans, xid);
    if (type == DI_REPLY)
        pending = di_pending_match(&client->pending, xid);
    else if (client->service)
        di_reverse_service_take(client, message);
    else
        client->pending.dropped++;
    if (!pending)
        return 0;
    di_pending_remove(&client->pending, pending);
    client->reconnect.fruitless = 0;
    if (pending->asynchronous) {
        di_flight_land(client, (di_flight *)pending, message, client->landing);
        return 0;
    }
    di_waiter *waiter = (di_waiter *)pending;
    waiter->done = true;
    if (message->oversized) {
        waiter->error = DARI_LIMIT;
        waiter->oversized = message->whole;
        waiter->reply_max = client->channel.reader.limit;
    } else if (waiter == self) {
        waiter->in_place = client->held = true;
        waiter->reply = message->bytes;
        waiter->reply_size = message->size;
    } else {
        copy_reply(waiter, message);
    }
    bool polls = waiter == client->sender || (waiter == client->receiver && waiter->bell >= 0);
    if (waiter->asleep || polls)
        wake(waiter);
    return 0;
}

/* Hands out what has arrived, up to this thread's own reply, which is kept where it lies. */
static int hand_out_all(dari_client *client, di_waiter *self)
{
    di_message message;
    int error = 0;
    while (error == 0 && !client->held) {
        int came = di_channel_next(&client->channel, &message);
        if (came <= 0)
            return came;
        error = hand_out(client, self, &message);
    }
    return error;
}

void di_client_take(dari_client *client, const di_message *message)
{
    hand_out(client, NULL, message);
}

/* Nobody listens at the other side at present: the calls that were sent go to the next address of
 * its name, or fail. Returns 0 or an error, which ends the connection. */
static int refuse(dari_client *client)
{
    di_connection *connection = client->channel.connection;
    int next = connection->ops->next_address ? connection->ops->next_address(connection) : 0;
    if (next < 0)
        return next;
    if (next) {
        di_resend_all(client);
        return 0;
    }
    client->refusals++;
    di_client_wake_all(client);
    di_flights_fail(client, DARI_REFUSED);
    return 0;
}

/* Those who have seen to it that the peer wakes them see to it again: receiving takes it back. */
static void rouse(dari_client *client, const di_waiter *self)
{
    if (!di_watches_tell_both(client->channel.connection))
        return;
    if (client->receiver && client->receiver != self)
        wake(client->receiver);
    di_loop_wake(client);
}

/* Hands out what receiving has brought, of which `moved` came. Where nothing more can come,
 * something may have been left by a dispatch that ended early. */
static void take_in(dari_client *client, di_waiter *self, int moved)
{
    int cause = moved < 0 ? errno : 0;
    int error = hand_out_all(client, self);
    rouse(client, self);
    if (moved == DARI_REFUSED && client->channel.connection->ops->loses_messages) {
        moved = refuse(client);
        cause = errno;
    }
    if (moved < 0)
        error = moved;
    if (error < 0)
        di_client_break(client, error, cause);
}

/* Receives what there is without waiting, and hands it out. */
static void receive(dari_client *client, di_waiter *self)
{
    take_in(client, self, di_channel_receive(&client->channel));
}

void di_client_hand_out(dari_client *client)
{
    int error = hand_out_all(client, NULL);
    if (error < 0)
        di_client_break(client, error, 0);
}

void di_client_receive(dari_client *client)
{
    receive(client, NULL);
}

/* Hands out what came before the connection broke: message_max bytes at most, since a peer may go
 * on sending. */
static void receive_rest(dari_client *client)
{
    di_channel *channel = &client->channel;
    size_t received = 0;
    while (hand_out_all(client, NULL) == 0 && received < channel->message_max) {
        size_t before = di_channel_arrived(channel);
        if (di_channel_receive(channel) != DI_MOVED)
            return;
        received += di_channel_arrived(channel) - before;
    }
}

/* Where sending has failed, replies that came before may still be there; where a thread still reads
 * one, they are handed out once it lets go; where one waits by receiving, once that is over. */
static void end_sending(dari_client *client, int error, int cause)
{
    if (client->receiving) {
        client->send_error = error;
        client->send_cause = cause;
        client->channel.connection->ops->shut(client->channel.connection);
        return;
    }
    if (!client->held)
        receive_rest(client);
    di_client_break(client, error, cause);
}

void di_client_flush(dari_client *client)
{
    if (client->broken || client->send_error)
        return;
    /* What is sent makes the output move, and with it the room that was lent. */
    client->flush_wanted = client->writing;
    if (client->writing)
        return;
    if (client->resend_wanted)
        di_resend_commit_all(client);
    int result = di_channel_flush(&client->channel);
    int cause = result < 0 ? errno : 0;
    bool wants = result == DI_BLOCKED;
    if (wants != client->loop.wants_room && di_loop_want_room(client, wants) < 0 && result >= 0) {
        result = DARI_ERRNO;
        cause = errno;
    }
    if (result < 0)
        end_sending(client, result, cause);
}

void di_client_let_go(dari_client *client)
{
    client->held = false;
    di_channel_done(&client->channel);
    if (client->broken) {
        receive_rest(client);
        di_flights_fail(client, client->broken);
        di_client_wake_all(client);
        di_reconnect_step(client);
        return;
    }
    /* The thread that dispatches will take what is there by itself, but others must not wait for
     * it, nor must it copy anything for nothing. */
    bool others = client->pending.count > client->flights.flying;
    if (di_channel_has_more(&client->channel) && (others || !client->loop.dispatching))
        di_client_hand_out(client);
    di_loop_resume(client);
    di_client_pass_on(client);
}

/* When the waiter has something to do by itself. */
static uint64_t wake_time(const di_waiter *waiter)
{
    return waiter->resend.at < waiter->deadline ? waiter->resend.at : waiter->deadline;
}

static bool is_ready(void *connection)
{
    return ((const di_connection *)connection)->ops->ready(connection, true);
}

uint32_t di_client_peer_work(void *connection)
{
    return ((const di_connection *)connection)->ops->taken(connection);
}

bool di_client_spin(dari_client *client, di_spin *spin, uint64_t until)
{
    di_connection *connection = client->channel.connection;
    if (!connection->ops->arm)
        return false;
    uint64_t now = until == DI_NEVER ? 0 : di_now();
    pthread_mutex_unlock(&client->lock);
    bool ready = di_spin_until(spin, is_ready, connection, until > now ? until - now : 0);
    pthread_mutex_lock(&client->lock);
    return ready;
}

/* The time-out of a poll. */
static int timeout_of(di_waiter *self)
{
    uint64_t now = self->now ? self->now : di_now();
    self->now = 0;
    return di_poll_timeout_at(now, wake_time(self));
}

/* Polls for `wants` of the connection, 0: for none, and for what else may end the wait. Returns
 * what of them can go on. */
static unsigned poll_for(dari_client *client, di_waiter *self, unsigned wants)
{
    di_connection *connection = client->channel.connection;
    struct pollfd descriptors[DI_WATCHES_MAX + 2];
    bool sleeps = true;
    if (wants && connection->ops->arm) {
        if (di_client_spin(client, &client->spin, wake_time(self)) || client->broken)
            return wants;
        self->now = 0;
        sleeps = di_spin_is_over(&client->spin);
        if (sleeps && !connection->ops->arm(connection))
            return wants;
    }
    nfds_t count = wants ? di_watches_list(connection, wants, descriptors) : 0;
    if (self->bell >= 0)
        descriptors[count++] = (struct pollfd){.fd = self->bell, .events = POLLIN};
    if (self->cancel)
        descriptors[count++] = (struct pollfd){.fd = self->cancel->descriptor, .events = POLLIN};
    pthread_mutex_unlock(&client->lock);
    int ready = poll(descriptors, count, sleeps ? timeout_of(self) : 0);
    int cause = ready < 0 ? errno : 0;
    pthread_mutex_lock(&client->lock);
    silence(self);
    if (ready < 0 && cause != EINTR)
        di_client_break(client, DARI_ERRNO, cause);
    return ready > 0 && wants ? di_watches_told(connection, wants, descriptors) : 0;
}

/* Sleeps on the waiter's condition. */
static void sleep_on_condition(dari_client *client, di_waiter *self)
{
    if (!self->wake_made) {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&self->wake, &attributes);
        pthread_condattr_destroy(&attributes);
        self->wake_made = true;
    }
    self->now = 0;
    if (wake_time(self) == DI_NEVER) {
        pthread_cond_wait(&self->wake, &client->lock);
    } else {
        struct timespec until = di_timespec(wake_time(self));
        pthread_cond_timedwait(&self->wake, &client->lock, &until);
    }
}

/* Sleeps until woken or the deadline has passed. Returns 0 or DARI_ERRNO. */
static int sleep_until(dari_client *client, di_waiter *self)
{
    if (self->cancel) {
        int error = take_bell(client, self);
        if (error < 0)
            return error;
    }
    di_waiter **link = &client->asleep;
    while (*link)
        link = &(*link)->next_asleep;
    *link = self;
    self->next_asleep = NULL;
    self->asleep = true;
    if (self->bell >= 0)
        poll_for(client, self, 0);
    else
        sleep_on_condition(client, self);
    link = &client->asleep;
    while (*link != self)
        link = &(*link)->next_asleep;
    *link = self->next_asleep;
    self->asleep = false;
    return 0;
}

static void send_rest(dari_client *client)
{
    di_client_flush(client);
    if (di_channel_unsent(&client->channel) < client->queued_max)
        di_client_pass_on(client);
}

/* Whether the waiter may wait by receiving, which nothing but the connection ends: it begins to
 * wait, and has time enough. */
static bool may_be_patient(const dari_client *client, const di_waiter *self)
{
    uint64_t until = wake_time(self);
    return client->channel.connection->patient && !self->cancel && self->bell < 0 && self->now &&
           until > self->now && until - self->now > 2 * DI_PATIENCE_NS;
}

/* Waits by receiving, and hands out what came. */
static void receive_patiently(dari_client *client, di_waiter *self)
{
    self->now = 0;
    client->receiving = true;
    pthread_mutex_unlock(&client->lock);
    int moved = di_channel_receive_patiently(&client->channel);
    int cause = errno;
    pthread_mutex_lock(&client->lock);
    client->receiving = false;
    client->receiver = NULL;
    int error = client->send_error;
    client->send_error = 0;
    if (client->broken)
        return;
    errno = cause;
    /* Where sending has failed, the end of what is received comes from that. */
    if (moved != DI_BLOCKED && !(error && moved < 0))
        take_in(client, self, moved);
    if (error)
        end_sending(client, error, client->send_cause);
    if (!client->held)
        di_loop_resume(client);
}

/* Watches the descriptor, then moves what can be moved. */
static void watch(dari_client *client, di_waiter *self)
{
    bool room =
        di_watches_tell_both(client->channel.connection) || di_channel_unsent(&client->channel) > 0;
    if (client->loop.made)
        take_bell(client, self);
    client->receiver = self;
    client->receiver_sends = room;
    if (!room && may_be_patient(client, self)) {
        receive_patiently(client, self);
        return;
    }
    unsigned told =
        poll_for(client, self, room ? DI_WANTS_RECEIVE | DI_WANTS_SEND : DI_WANTS_RECEIVE);
    client->receiver = NULL;
    if (!told || client->broken)
        return;
    /* A thread that dispatches may have taken what came. */
    if (!client->held && !self->done && told & DI_WANTS_RECEIVE)
        receive(client, self);
    if (room && !client->broken && di_channel_unsent(&client->channel) > 0)
        send_rest(client);
}

/* Watches for room to send, while another thread receives. Returns 0 or DARI_ERRNO. */
static int watch_for_room(dari_client *client, di_waiter *self)
{
    int error = take_bell(client, self);
    if (error < 0)
        return error;
    client->sender = self;
    unsigned told = poll_for(client, self, DI_WANTS_SEND);
    client->sender = NULL;
    if (told && !client->broken)
        send_rest(client);
    return 0;
}

/* One step of waiting: watches, or sleeps while others do. Returns 0 or DARI_ERRNO. */
static int wait_once(dari_client *client, di_waiter *self)
{
    /* Who writes will be done soon, and passes the turn on. */
    if (watched(client) || (self->wants_turn && client->writing))
        return sleep_until(client, self);
    if (client->receiver)
        return watch_for_room(client, self);
    watch(client, self);
    return 0;
}

/* Whether the waiter must give up. */
static int out_of_time(const dari_client *client, const di_waiter *waiter)
{
    if (di_cancelled(waiter->cancel) || (client->over && di_caller_stops(client)))
        return DARI_CANCELLED;
    return di_now() >= waiter->deadline ? DARI_DEADLINE : 0;
}

/* Sleeps until there is a connection, or something is to be done for one. Returns 0 or DARI_ERRNO.
 */
static int await_connection(dari_client *client, di_waiter *self)
{
    uint64_t deadline = self->deadline;
    int error = 0;
    client->reconnect.waiting++;
    di_reconnect_step(client);
    uint64_t due = di_reconnect_due(client);
    if (due < deadline)
        self->deadline = due;
    if (client->broken)
        error = sleep_until(client, self);
    self->deadline = deadline;
    client->reconnect.waiting--;
    return error;
}

int di_client_await_turn(dari_client *client, di_waiter *waiter)
{
    waiter->wants_turn = true;
    int error = 0;
    while (!turn_is_free(client, waiter) && error == 0) {
        error = client->broken && client->reconnect.never ? client->broken
                                                          : out_of_time(client, waiter);
        if (error == 0 && client->over && !client->writing && di_caller_is_here(client))
            error = DARI_FULL;
        if (error == 0 && client->broken && !waiter->offline)
            error = await_connection(client, waiter);
        else if (error == 0)
            error = wait_once(client, waiter);
    }
    waiter->wants_turn = false;
    if (error < 0)
        di_client_pass_on(client);
    return error;
}

int di_client_await_sent(dari_client *client, di_waiter *waiter, uint64_t committed)
{
    int error = 0;
    waiter->wants_turn = true;
    while (!client->broken && di_channel_sent(&client->channel) < committed && error == 0) {
        error = out_of_time(client, waiter);
        if (error == 0)
            error = wait_once(client, waiter);
    }
    waiter->wants_turn = false;
    di_client_pass_on(client);
    if (di_channel_sent(&client->channel) >= committed)
        return 0;
    return client->broken ? client->broken : error;
}

int di_client_await_word(dari_client *client, di_waiter *waiter)
{
    int error = out_of_time(client, waiter);
    return error ? error : sleep_until(client, waiter);
}

int di_client_await_reply(dari_client *client, di_waiter *waiter)
{
    int error = 0;
    /* Behind a reply that is still being read, there may be ours. */
    while (!waiter->done && error == 0 && (!client->broken || client->held)) {
        error = wait_once(client, waiter);
        if (!waiter->done && error == 0)
            error =
                client->refusals != waiter->refusals ? DARI_REFUSED : out_of_time(client, waiter);
        if (!waiter->done && error == 0 && waiter->resend.message &&
            di_resend_is_due(client, &waiter->resend, di_now()))
            di_resend_send(client, &waiter->resend);
    }
    if (!waiter->done)
        di_pending_remove(&client->pending, &waiter->pending);
    di_client_pass_on(client);
    if (waiter->done)
        return waiter->error;
    return client->broken ? client->broken : error;
}

void di_waiter_end(dari_client *client, di_waiter *waiter)
{
    if (waiter->wake_made)
        pthread_cond_destroy(&waiter->wake);
    if (waiter->bell < 0)
        return;
    silence(waiter);
    if (client->bell_count < DI_CLIENT_BELLS)
        client->bells[client->bell_count++] = waiter->bell;
    else
        close(waiter->bell);
}
