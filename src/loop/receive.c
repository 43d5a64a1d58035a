/* SPDX-License-Identifier: MIT */
/* What comes over a client's connection and goes out by it, and its end.
 *
 * What is received is handed to whom it is for: to the thread or the flight whose call it answers,
 * or to who serves calls. Receiving, sending and handing out are done under the lock, and none of
 * them waits, but for one thread at a time that waits by receiving. */
#include "loop/client.h"
#include "loop/reverse.h"
#include "rpc/message.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void di_client_break(dari_client *client, int error, int cause)
{
    if (client->broken)
        return;
    client->broken = error;
    client->broken_cause = error == DARI_ERRNO ? cause : 0;
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
        di_client_wake(waiter);
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

/* Nobody listens at the other side at present: the calls that were sent fail. */
static void refuse(dari_client *client)
{
    client->refusals++;
    di_client_wake_all(client);
    di_flights_fail(client, DARI_REFUSED);
}

/* Those who have seen to it that the peer wakes them see to it again: receiving takes it back. */
static void rouse(dari_client *client, const di_waiter *self)
{
    if (!di_watches_tell_both(client->channel.connection))
        return;
    if (client->receiver && client->receiver != self)
        di_client_wake(client->receiver);
    di_loop_wake(client);
}

/* Hands out what receiving has brought, of which `moved` came. Where nothing more can come,
 * something may have been left by a dispatch that ended early. */
static void take_in(dari_client *client, di_waiter *self, int moved)
{
    int cause = moved < 0 ? errno : 0;
    int error = hand_out_all(client, self);
    rouse(client, self);
    if (moved == DARI_REFUSED && client->channel.connection->ops->loses_messages)
        refuse(client);
    else if (moved < 0)
        error = moved;
    if (error < 0)
        di_client_break(client, error, cause);
}

/* Receives what there is without waiting, and hands it out. */
void di_client_receive(dari_client *client, di_waiter *self)
{
    take_in(client, self, di_channel_receive(&client->channel));
}

void di_client_hand_out(dari_client *client)
{
    int error = hand_out_all(client, NULL);
    if (error < 0)
        di_client_break(client, error, 0);
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

void di_client_receive_patiently(dari_client *client, di_waiter *self)
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
