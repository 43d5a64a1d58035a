/* SPDX-License-Identifier: MIT */
/* Who receives, where threads share a client.
 *
 * Any thread that waits may watch the descriptor; one does, and hands the others their replies. The
 * others sleep until they are handed one, or until the watching thread leaves and wakes one of them
 * to watch in its place. A thread that waits for room to send watches too if nobody watches for
 * that: two full sides never lock each other.
 *
 * A thread inside poll can't be woken by another one, only by the descriptor. So input is left
 * where it is until no thread polls: as long as it is there it ends every poll, and the last thread
 * to come out of one receives, while those that came before sleep. So no thread polls whose reply
 * has been taken from the descriptor already. Receiving, sending and handing out are done under the
 * lock, and none of them waits. */
#include "loop/client.h"

#include "rpc/message.h"

#include <dari/error.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static void wake(di_waiter *waiter)
{
    pthread_cond_signal(&waiter->wake);
}

static void wake_all(const dari_client *client)
{
    for (di_waiter *waiter = client->asleep; waiter; waiter = waiter->next_asleep)
        wake(waiter);
}

/* Ends the connection: all who wait get the error. */
static void break_connection(dari_client *client, int error, int cause)
{
    if (client->broken)
        return;
    client->broken = error;
    client->broken_cause = error == DARI_ERRNO ? cause : 0;
    client->channel.connection->ops->shut(client->channel.connection);
    wake_all(client);
}

static bool turn_is_free(const dari_client *client)
{
    return !client->writing && di_channel_unsent(&client->channel) == 0;
}

/* Whether somebody watches for all that can come, or is about to. */
static bool watched(const dari_client *client)
{
    if (client->held)
        return true;
    return client->polling > 0 && (client->input_waits || client->polling_room > 0 ||
                                   di_channel_unsent(&client->channel) == 0);
}

void di_client_pass_on(dari_client *client)
{
    bool turn = turn_is_free(client);
    di_waiter *chosen = watched(client) ? NULL : client->asleep;
    for (di_waiter *waiter = client->asleep; turn && waiter; waiter = waiter->next_asleep) {
        if (waiter->wants_turn) {
            chosen = waiter;
            break;
        }
    }
    if (chosen)
        wake(chosen);
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

/* Gives a message to the call that it answers. `self` is the thread that received it. Returns 0 or
 * DARI_BAD_REPLY for what is no RPC message. */
static int hand_out(dari_client *client, di_waiter *self, const di_message *message)
{
    uint32_t xid, type;
    if (di_message_peek(message->bytes, message->size, &xid, &type) < 0 || type > DI_REPLY)
        return DARI_BAD_REPLY;
    di_pending_call *pending = NULL;
    if (type == DI_REPLY)
        pending = di_pending_match(&client->pending, xid);
    else
        client->pending.dropped++;
    if (!pending)
        return 0;
    di_waiter *waiter = (di_waiter *)pending;
    di_pending_remove(&client->pending, pending);
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
    if (waiter->asleep)
        wake(waiter);
    return 0;
}

/* Hands out what has arrived, up to this thread's own reply, which is kept where it lies. */
static int hand_out_all(dari_client *client, di_waiter *self)
{
    di_message message;
    int error = 0;
    while (error == 0 && !client->held && di_channel_next(&client->channel, &message))
        error = hand_out(client, self, &message);
    return error;
}

/* Receives what there is without waiting, and hands it out. */
static void receive(dari_client *client, di_waiter *self)
{
    int moved = di_channel_receive(&client->channel);
    int cause = errno;
    int error = moved < 0 ? moved : hand_out_all(client, self);
    if (error < 0)
        break_connection(client, error, cause);
}

/* Hands out what came before the connection broke: message_max bytes at most, since a peer may go
 * on sending. */
static void receive_rest(dari_client *client)
{
    di_channel *channel = &client->channel;
    size_t received = 0;
    while (received < channel->message_max) {
        size_t before = di_channel_arrived(channel);
        if (di_channel_receive(channel) != DI_MOVED)
            return;
        received += di_channel_arrived(channel) - before;
        if (hand_out_all(client, NULL) < 0)
            return;
    }
}

/* Where sending has failed, replies that came before may still be there; where a thread still reads
 * one, they are handed out once it lets go. */
void di_client_flush(dari_client *client)
{
    if (client->broken)
        return;
    int result = di_channel_flush(&client->channel);
    int cause = errno;
    if (result >= 0)
        return;
    if (!client->held)
        receive_rest(client);
    break_connection(client, result, cause);
}

void di_client_let_go(dari_client *client)
{
    client->held = false;
    di_channel_done(&client->channel);
    int error = hand_out_all(client, NULL);
    if (client->broken) {
        if (error == 0)
            receive_rest(client);
        wake_all(client);
        return;
    }
    if (error < 0)
        break_connection(client, error, 0);
    di_client_pass_on(client);
}

/* Sleeps until woken or the deadline has passed. */
static void sleep_until(dari_client *client, di_waiter *self)
{
    if (!self->wake_made) {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&self->wake, &attributes);
        pthread_condattr_destroy(&attributes);
        self->wake_made = true;
    }
    di_waiter **link = &client->asleep;
    while (*link)
        link = &(*link)->next_asleep;
    *link = self;
    self->next_asleep = NULL;
    self->asleep = true;
    if (self->deadline == DI_NEVER) {
        pthread_cond_wait(&self->wake, &client->lock);
    } else {
        struct timespec until = di_timespec(self->deadline);
        pthread_cond_timedwait(&self->wake, &client->lock, &until);
    }
    link = &client->asleep;
    while (*link != self)
        link = &(*link)->next_asleep;
    *link = self->next_asleep;
    self->asleep = false;
}

/* Watches the descriptor, then moves what can be moved. */
static void watch(dari_client *client, di_waiter *self)
{
    bool room = di_channel_unsent(&client->channel) > 0;
    struct pollfd descriptor = {.fd = client->channel.connection->descriptor,
                                .events = room ? POLLIN | POLLOUT : POLLIN};
    client->polling++;
    client->polling_room += room;
    pthread_mutex_unlock(&client->lock);
    int ready = poll(&descriptor, 1, di_poll_timeout(self->deadline));
    int cause = errno;
    pthread_mutex_lock(&client->lock);
    client->polling--;
    client->polling_room -= room;
    if (client->polling == 0)
        client->input_waits = false;
    if (ready < 0 && cause != EINTR)
        break_connection(client, DARI_ERRNO, cause);
    if (ready <= 0 || client->broken)
        return;
    if (descriptor.revents & ~POLLOUT) {
        if (client->polling > 0)
            client->input_waits = true;
        else
            receive(client, self);
    }
    if (room) {
        di_client_flush(client);
        if (turn_is_free(client))
            di_client_pass_on(client);
    }
}

/* One step of waiting: watches, or sleeps while others do. */
static void wait_once(dari_client *client, di_waiter *self)
{
    if (watched(client))
        sleep_until(client, self);
    else
        watch(client, self);
}

int di_client_await_turn(dari_client *client, di_waiter *waiter)
{
    waiter->wants_turn = true;
    int error = 0;
    while (!client->broken && !turn_is_free(client) && error == 0) {
        if (di_now() >= waiter->deadline)
            error = DARI_DEADLINE;
        else
            wait_once(client, waiter);
    }
    waiter->wants_turn = false;
    if (client->broken)
        error = client->broken;
    if (error < 0)
        di_client_pass_on(client);
    return error;
}

int di_client_await_reply(dari_client *client, di_waiter *waiter)
{
    int error = 0;
    /* Behind a reply that is still being read, there may be ours. */
    while (!waiter->done && error == 0 && (!client->broken || client->held)) {
        wait_once(client, waiter);
        if (di_now() >= waiter->deadline)
            error = DARI_DEADLINE;
    }
    if (!waiter->done)
        di_pending_remove(&client->pending, &waiter->pending);
    di_client_pass_on(client);
    if (waiter->done)
        return waiter->error;
    return client->broken ? client->broken : error;
}

void di_waiter_end(di_waiter *waiter)
{
    if (waiter->wake_made)
        pthread_cond_destroy(&waiter->wake);
}
