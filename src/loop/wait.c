/* SPDX-License-Identifier: MIT */
/* Who receives, where threads share a client.
 *
 * One of the threads that wait watches the descriptor, and hands the others their replies. The
 * others sleep until they are handed one, or until the watching thread leaves and wakes one of them
 * to watch in its place. A thread that needs room to send while the watching one does not watch for
 * that watches for room alone. So somebody receives as long as anybody waits: two full sides never
 * lock each other. And nobody receives what another thread watches for, without waking it.
 *
 * A thread sleeps on its condition, or, where it can be cancelled or watches beside another one, by
 * polling descriptors, one of which is its bell. */
#include "loop/reverse.h"

#include "loop/client.h"

#include <dari/error.h>

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void di_client_wake(di_waiter *waiter)
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
        di_client_wake(waiter);
    if (client->sender)
        di_client_wake(client->sender);
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
        di_client_wake(chosen);
    if (client->inlet)
        di_reverse_service_room(client);
    if (client->sender && !client->receiver && !client->held)
        di_client_wake(client->sender);
    if (client->broken)
        di_reconnect_step(client);
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
        di_client_receive_patiently(client, self);
        return;
    }
    unsigned told =
        poll_for(client, self, room ? DI_WANTS_RECEIVE | DI_WANTS_SEND : DI_WANTS_RECEIVE);
    client->receiver = NULL;
    if (!told || client->broken)
        return;
    /* A thread that dispatches may have taken what came. */
    if (!client->held && !self->done && told & DI_WANTS_RECEIVE)
        di_client_receive(client, self);
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
