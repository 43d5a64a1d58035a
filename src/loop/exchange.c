/* SPDX-License-Identifier: MIT */
/* One call, step by step, as the generated stubs make it.
 *
 * Whether the procedure may have run is decided here, and is exact: it can't have where the message
 * was not sent in full and never will be, or where the server says that it refused the call. A
 * message of which a part is sent when the deadline passes, or the call is cancelled, must be
 * completed for the sake of the connection, so that call may still run.
 *
 * A reply is decoded where it lies in the connection's memory, and what a result points to is
 * copied into the arena of the call context: so a result outlives the connection, and a context
 * that is used again allocates nothing. A large reply is not copied: the context takes its memory
 * over, and the connection gets what the context had from an earlier one. */
#include "loop/exchange.h"

#include "base/clock.h"
#include "loop/reverse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Replies from this size on are not copied. */
#define BORROWED_MIN ((size_t)64 << 10)
/* An argument up to this size is written without giving the lock back: that takes no longer than
 * giving it back and taking it again. */
#define LOCKED_MAX 512

/* All but the first connection. Inline, as if there were but one of the two below: a call counts
 * its instructions. */
static inline __attribute__((always_inline)) void begin(dari_exchange *exchange,
                                                        dari_client *client,
                                                        const dari_interface *interface,
                                                        uint32_t index, dari_call *call)
{
    dari_encoder_init(&exchange->encoder);
    exchange->references.count = 0;
    exchange->decoder.fault = (dari_fault){0};
    /* One by one: a structure of this size would be cleared by a loop. */
    exchange->ended = 0;
    exchange->counters = NULL;
    exchange->argument = NULL;
    exchange->reply = exchange->borrowed = NULL;
    exchange->xid = 0;
    exchange->error = exchange->system_error = 0;
    exchange->entered = 0;
    exchange->repeats = 0;
    exchange->delayed = exchange->locked = false;
    exchange->idempotent = exchange->queued = exchange->may_have_run = exchange->holds = false;
    exchange->client = client;
    exchange->interface = interface;
    exchange->procedure = &interface->procedures[index];
    exchange->call = call;
    exchange->allowed_ns = call && call->deadline_ns ? call->deadline_ns : client->deadline_ns;
    exchange->began = di_now();
    exchange->deadline = di_deadline_after(exchange->began, exchange->allowed_ns);
    if (call)
        di_call_begin(call, client->peer, exchange->procedure->name, exchange->allowed_ns);
    if (di_forked(&client->guard))
        exchange->error = DARI_FORKED;
    else if (interface->generator < DARI_GENERATOR_OLDEST ||
             interface->generator > DARI_GENERATOR_NEWEST)
        exchange->error = DARI_GENERATOR;
    else if (call && call->priority > DARI_PRIORITY_MAX)
        exchange->error = DARI_INVALID;
    else if (call && di_cancelled(call->cancel))
        exchange->error = DARI_CANCELLED;
    if (client->interceptor_count && exchange->error == 0) {
        exchange->delayed = true;
        di_exchange_enter(exchange);
    }
}

void dari_exchange_begin(dari_exchange *exchange, dari_client *client,
                         const dari_interface *interface, uint32_t index, dari_call *call)
{
    begin(exchange, client, interface, index, call);
    if (exchange->error == 0 && !atomic_load_explicit(&client->reach.done, memory_order_acquire)) {
        exchange->delayed = true;
        di_reach_for(exchange);
    }
}

/* Counts the beginning of the call. Called with the lock held. */
static void count_start(dari_exchange *exchange)
{
    di_counters *counters = &exchange->client->counters;
    di_procedure_counters *found = di_counters_find(
        counters, exchange->interface, exchange->procedure->number, exchange->procedure->name);
    exchange->counters = found ? found : &counters->rest;
    di_count(&((di_procedure_counters *)exchange->counters)->started, 1);
}

/* Counts the end of the call, and its beginning where it failed before it came to that. */
static void count_end(dari_exchange *exchange)
{
    if (!exchange->counters) {
        if (exchange->error == DARI_FORKED)
            return;
        pthread_mutex_lock(&exchange->client->lock);
        count_start(exchange);
        pthread_mutex_unlock(&exchange->client->lock);
    }
    if (exchange->error) {
        di_count_error(exchange->counters, exchange->error);
        return;
    }
    if (exchange->ended < exchange->began)
        exchange->ended = di_now();
    di_count_ok(exchange->counters, exchange->ended - exchange->began);
}

void dari_exchange_begin_queued(dari_exchange *exchange, dari_client *client,
                                const dari_interface *interface, uint32_t index, dari_call *call)
{
    di_call_give_back(call);
    begin(exchange, client, interface, index, call);
    exchange->queued = true;
}

/* The same where there is no connection, and calls are kept. */
static int check_room_offline(const dari_client *client)
{
    if (client->reconnect.never)
        return client->broken;
    return client->flights.grounded_size < client->queued_max ? 0 : DARI_FULL;
}

/* A call that nobody waits for is not added to a full output. Called with the lock held. */
static int check_room(dari_client *client)
{
    if (client->broken)
        return check_room_offline(client);
    if (client->over)
        return di_caller_is_full(client) ? DARI_FULL : 0;
    if (di_channel_unsent(&client->channel) < client->queued_max)
        return 0;
    di_client_flush(client);
    if (client->broken)
        return check_room_offline(client);
    return di_channel_unsent(&client->channel) < client->queued_max ? 0 : DARI_FULL;
}

void di_exchange_begin_waiter(di_waiter *waiter, const dari_exchange *exchange)
{
    waiter->pending = (di_pending_call){0};
    waiter->deadline = exchange->deadline;
    waiter->now = exchange->delayed ? 0 : exchange->began;
    waiter->resend = (di_resend){.at = DI_NEVER};
    waiter->cancel = di_exchange_cancel(exchange);
    waiter->refusals = 0;
    waiter->room = 0;
    waiter->wants_turn = waiter->offline = waiter->done = waiter->in_place = false;
    waiter->asleep = waiter->wake_made = waiter->rung = false;
    waiter->bell = -1;
    waiter->error = 0;
    waiter->reply = NULL;
    waiter->reply_size = waiter->oversized = waiter->reply_max = 0;
}

/* Lends room for a message: in the output of the connection, or in memory of the client, where
 * there is none. */
static int lend(dari_client *client, size_t size, uint8_t **ret_room)
{
    if (!client->broken)
        return di_channel_reserve(&client->channel, size, ret_room);
    if (size > client->channel.message_max)
        return DARI_LIMIT;
    int error = di_buffer_reserve(&client->draft, size, ret_room);
    client->drafting = error == 0;
    return error;
}

/* The turn was not got: says why. */
static void explain(dari_exchange *exchange, int error, int cause)
{
    dari_client *client = exchange->client;
    if (error == client->broken)
        exchange->system_error = client->broken_cause;
    else if (error == DARI_ERRNO)
        exchange->system_error = cause;
    else if (error == DARI_DEADLINE && client->broken)
        di_reconnect_explain(client, exchange);
}

/* The bytes before the argument of a call. */
static size_t header_size(const dari_client *client)
{
    return di_call_header_size(&(di_call_header){.credential = client->credential});
}

/* Waits for the client's turn to send. Called with the lock held. */
static int await_turn(dari_exchange *exchange, size_t room)
{
    dari_client *client = exchange->client;
    di_waiter waiter;
    exchange->delayed = true;
    di_exchange_begin_waiter(&waiter, exchange);
    waiter.room = room;
    waiter.offline = exchange->queued && !client->reconnect.never;
    int error = di_client_await_turn(client, &waiter);
    int cause = errno;
    di_waiter_end(client, &waiter);
    errno = cause;
    return error;
}

void di_exchange_too_large(dari_exchange *exchange, size_t size)
{
    dari_encode_fault(&exchange->encoder, DARI_LIMIT, "the call", (int64_t)size,
                      (int64_t)exchange->client->channel.message_max);
}

/* Gets the client's turn to send, and room for the message. Called with the lock held. */
static int take_turn(dari_exchange *exchange, size_t size)
{
    dari_client *client = exchange->client;
    size_t most = exchange->queued ? SIZE_MAX : client->loop.made ? client->queued_max : 1;
    if (client->idempotents.count)
        exchange->idempotent = di_idempotents_have(&client->idempotents, exchange);
    di_reconnect_look(client, exchange);
    int error = di_client_is_free(client, most) ? 0 : await_turn(exchange, most);
    if (error == 0 && exchange->queued)
        error = check_room(client);
    if (error < 0) {
        explain(exchange, error, errno);
        if (error == DARI_FULL)
            di_client_pass_on(client);
        return error;
    }
    uint8_t *room;
    error = lend(client, size, &room);
    if (error < 0) {
        if (error == DARI_LIMIT)
            di_exchange_too_large(exchange, size);
        di_client_pass_on(client);
        return error;
    }
    client->writing = true;
    client->message = room;
    client->message_size = size;
    /* A message that is kept, to be sent again or later, has to be whole. */
    bool kept = client->drafting || exchange->idempotent;
    if (!kept && di_channel_takes_references(&client->channel, size))
        exchange->encoder.references = &exchange->references;
    exchange->argument = room + header_size(client);
    return 0;
}

void di_exchange_lock(dari_exchange *exchange)
{
    if (!exchange->locked)
        pthread_mutex_lock(&exchange->client->lock);
    exchange->locked = false;
}

uint8_t *dari_exchange_reserve(dari_exchange *exchange, int64_t size)
{
    if (exchange->error)
        return NULL;
    dari_client *client = exchange->client;
    if (size < 0) {
        exchange->error = (int)size;
        return NULL;
    }
    uint64_t whole = (uint64_t)size + header_size(client);
    pthread_mutex_lock(&client->lock);
    if (!exchange->counters)
        count_start(exchange);
    exchange->error = take_turn(exchange, whole < SIZE_MAX ? (size_t)whole : SIZE_MAX);
    exchange->locked = exchange->error == 0 && size <= LOCKED_MAX;
    if (!exchange->locked) {
        exchange->delayed = true;
        pthread_mutex_unlock(&client->lock);
    }
    return exchange->argument;
}

void di_exchange_write_header(const dari_exchange *exchange)
{
    di_call_header header = {.xid = exchange->xid,
                             .rpc_version = DI_RPC_VERSION,
                             .program = exchange->interface->program,
                             .version = exchange->interface->version,
                             .procedure = exchange->procedure->number,
                             .credential = exchange->client->credential};
    di_call_header_encode(exchange->client->message, &header);
}

void di_exchange_prioritize(const dari_exchange *exchange)
{
    di_connection *connection = exchange->client->channel.connection;
    if (connection->ops->prioritize)
        connection->ops->prioritize(connection, exchange->call ? exchange->call->priority : 0);
}

/* Commits a message that refers to some of its data. */
static void commit_references(dari_exchange *exchange)
{
    dari_client *client = exchange->client;
    bool lends = di_loans_lend(exchange);
    uint32_t lent = client->channel.connection->lent;
    di_channel_commit_references(&client->channel, client->message, client->message_size,
                                 &exchange->references);
    if (lends && client->channel.connection->lent == lent)
        di_loans_return(&client->loans, exchange->xid);
}

void di_exchange_commit(dari_exchange *exchange)
{
    dari_client *client = exchange->client;
    client->writing = false;
    di_exchange_write_header(exchange);
    di_exchange_prioritize(exchange);
    if (exchange->references.count > 0)
        commit_references(exchange);
    else
        di_channel_commit(&client->channel, client->message, client->message_size);
}

void di_exchange_release(dari_exchange *exchange)
{
    dari_client *client = exchange->client;
    client->writing = false;
    if (!client->drafting)
        di_channel_release(&client->channel);
    else if (client->draft.room > DI_BUFFER_KEEP)
        di_buffer_free(&client->draft);
    client->drafting = false;
    if (client->flush_wanted)
        di_client_flush(client);
    di_client_pass_on(client);
}

/* Whether the message that was the output from `before` to `after` may yet run, after an error:
 * it is taken back where nothing of it is sent, and nothing follows it. */
static bool may_run(dari_client *client, uint64_t before, uint64_t after)
{
    di_channel *channel = &client->channel;
    if (di_channel_sent(channel) >= after)
        return true;
    if (client->broken)
        return false;
    bool last = channel->committed == after && !client->writing;
    bool may = !last || !di_channel_withdraw(channel, before);
    di_client_pass_on(client);
    return may;
}

/* The thread has done with its message in the output. */
static void disengage(dari_client *client)
{
    client->engaged--;
    if (client->broken)
        di_client_pass_on(client);
}

/* Sends the message and waits for its reply. Called with the lock held. */
static int send_and_wait(dari_exchange *exchange, di_waiter *waiter)
{
    dari_client *client = exchange->client;
    int refused = client->broken ? client->broken : client->over ? di_caller_refuses(client) : 0;
    if (refused) {
        di_exchange_release(exchange);
        return refused;
    }
    uint64_t before = client->channel.committed;
    if (exchange->repeats)
        di_pending_put(&client->pending, &waiter->pending);
    else
        di_pending_add(&client->pending, &waiter->pending);
    exchange->xid = waiter->pending.xid;
    di_exchange_commit(exchange);
    if (client->channel.connection->ops->loses_messages)
        di_resend_keep(client, &waiter->resend, exchange->xid, client->message,
                       client->message_size, di_exchange_now(exchange));
    waiter->refusals = client->refusals;
    uint64_t after = client->channel.committed;
    client->engaged++;
    di_client_flush(client);
    di_client_pass_on(client);
    int error = di_client_await_reply(client, waiter);
    if (waiter->resend.message)
        di_resend_end(client, &waiter->resend);
    if (error == DARI_ERRNO && !client->broken)
        exchange->system_error = errno;
    exchange->may_have_run = waiter->done || may_run(client, before, after);
    disengage(client);
    return error;
}

/* The same for a call that may run more than once: where its connection is lost, the copy is sent,
 * with the same xid, by which a server may know it. */
static int send_until_answered(dari_exchange *exchange, di_waiter *waiter, const di_flight *copy)
{
    dari_client *client = exchange->client;
    int error = send_and_wait(exchange, waiter);
    while (di_reconnect_may_repeat(client, exchange, error)) {
        exchange->repeats += exchange->may_have_run;
        exchange->may_have_run = false;
        error = take_turn(exchange, copy->kept_size);
        if (error < 0)
            break;
        memcpy(client->message, copy->memory, copy->kept_size);
        waiter->now = 0;
        client->repeated += exchange->repeats > 0;
        error = send_and_wait(exchange, waiter);
    }
    exchange->may_have_run |= exchange->repeats > 0;
    return error;
}

/* Copies the message into the memory of a flight that is not in use, and sends it. */
static int send_idempotent(dari_exchange *exchange, di_waiter *waiter)
{
    dari_client *client = exchange->client;
    int error = DARI_NO_MEMORY;
    di_flight *copy = di_flights_take(client);
    if (copy && di_flight_make_room(copy, client->message_size) == 0) {
        di_flight_keep(copy, client->message, client->message_size);
        error = send_until_answered(exchange, waiter, copy);
    } else {
        di_exchange_release(exchange);
    }
    if (copy)
        di_flights_give(client, copy);
    return error;
}

/* Sends a message that gets no reply, and is not kept for a connection. Called with the lock held.
 */
static int send_only(dari_exchange *exchange, di_waiter *waiter)
{
    dari_client *client = exchange->client;
    if (client->broken || client->drafting) {
        di_exchange_release(exchange);
        return client->broken ? client->broken : DARI_CLOSED;
    }
    uint64_t before = client->channel.committed;
    exchange->xid = client->pending.next_xid++;
    di_loans_copy(exchange); /* nobody would be told when they have been read */
    di_exchange_commit(exchange);
    uint64_t after = client->channel.committed;
    int error = 0;
    exchange->may_have_run = true;
    if (di_loop_sends(client) && !client->flush_wanted)
        return 0;
    client->engaged++;
    di_client_flush(client);
    if (di_channel_sent(&client->channel) < after)
        error = di_client_await_sent(client, waiter, after);
    else
        di_client_pass_on(client);
    if (error == DARI_ERRNO && !client->broken)
        exchange->system_error = errno;
    if (error < 0)
        exchange->may_have_run = may_run(client, before, after);
    disengage(client);
    return error;
}

void di_exchange_oversized(dari_exchange *exchange, size_t found, size_t allowed)
{
    exchange->decoder.fault = (dari_fault){.error = DARI_LIMIT,
                                           .field = "the reply",
                                           .found = (int64_t)found,
                                           .allowed = (int64_t)allowed};
}

/* Borrows the memory of a large reply, unless it is much more than the reply needs: what else lies
 * there has to be moved. Only a connection whose memory is held is sure to stay. */
static bool borrow(dari_exchange *exchange, size_t size)
{
    if (!exchange->call || !exchange->holds || size < BORROWED_MIN)
        return false;
    di_connection *connection = exchange->client->channel.connection;
    if (!connection->ops->hold)
        return false;
    di_hold *hold = connection->ops->hold(connection);
    if (size < hold->room / 2) {
        di_hold_release(hold);
        return false;
    }
    exchange->borrowed = hold;
    return true;
}

/* Reads the header of a reply that may be any. Returns where the results begin, or NULL. */
static const uint8_t *read_header(dari_exchange *exchange, const uint8_t *reply, size_t size)
{
    dari_call *call = exchange->call;
    di_reply_header header;
    const uint8_t *results;
    exchange->error = di_reply_header_decode(reply, size, &header, &results);
    if (exchange->error == 0)
        exchange->error = header.error;
    if (exchange->error == 0)
        return results;
    exchange->may_have_run = exchange->repeats || exchange->error == DARI_BAD_REPLY ||
                             exchange->error == DARI_SYSTEM_ERROR;
    if (call) {
        call->low = header.low;
        call->high = header.high;
        call->auth_status = header.auth_status;
    }
    return NULL;
}

const uint8_t *di_exchange_open(dari_exchange *exchange, uint8_t *reply, size_t size)
{
    dari_call *call = exchange->call;
    const uint8_t *results = di_reply_is_success(reply, size) ? reply + DI_REPLY_SUCCESS_SIZE
                                                              : read_header(exchange, reply, size);
    if (!results)
        return NULL;
    dari_arena *arena = call ? &call->arena : NULL;
    dari_decoder_init(&exchange->decoder, reply, size, NULL);
    exchange->decoder.arena = arena;
    exchange->decoder.accept = exchange->client->accept;
    exchange->decoder.borrow = borrow(exchange, size);
    if (arena)
        dari_arena_allow(arena, exchange->client->decode_budget);
    return results;
}

const uint8_t *dari_exchange_send(dari_exchange *exchange)
{
    if (exchange->error)
        return NULL;
    dari_client *client = exchange->client;
    di_waiter waiter;
    di_exchange_begin_waiter(&waiter, exchange);
    di_exchange_lock(exchange);
    exchange->error = exchange->idempotent ? send_idempotent(exchange, &waiter)
                                           : send_and_wait(exchange, &waiter);
    if (exchange->error && exchange->error == client->broken)
        exchange->system_error = client->broken_cause;
    di_waiter_end(client, &waiter);
    const uint8_t *results = NULL;
    bool is_short = waiter.in_place && di_exchange_is_short(waiter.reply_size);
    if (is_short) {
        results = di_exchange_open(exchange, waiter.reply, waiter.reply_size);
        di_client_let_go(client);
    }
    pthread_mutex_unlock(&client->lock);
    if (waiter.oversized)
        di_exchange_oversized(exchange, waiter.oversized, waiter.reply_max);
    exchange->holds = waiter.in_place && !is_short;
    if (!waiter.in_place)
        exchange->reply = waiter.reply;
    if (exchange->error && !is_short)
        return NULL;
    if (!is_short)
        results = di_exchange_open(exchange, waiter.reply, waiter.reply_size);
    exchange->may_have_run |= waiter.resend.again;
    return results;
}

/* Gives the reply back, wherever it lay. */
static void close_reply(dari_exchange *exchange)
{
    dari_client *client = exchange->client;
    if (exchange->reply)
        free(exchange->reply);
    if (!exchange->holds)
        return;
    di_hold *spare = NULL;
    if (exchange->borrowed && exchange->error == 0)
        spare = di_call_trade(exchange->call, exchange->borrowed);
    else
        di_hold_release(exchange->borrowed);
    pthread_mutex_lock(&client->lock);
    if (spare)
        client->channel.connection->ops->lend(client->channel.connection, spare);
    di_client_let_go(client);
    pthread_mutex_unlock(&client->lock);
}

/* Counts the call, and tells its context what became of it. */
static int report(dari_exchange *exchange)
{
    count_end(exchange);
    dari_call *call = exchange->call;
    if (call) {
        call->error = exchange->error;
        call->system_error = exchange->system_error;
        call->may_have_run = exchange->may_have_run;
        call->fault =
            exchange->encoder.fault.error ? exchange->encoder.fault : exchange->decoder.fault;
    }
    if (exchange->entered)
        di_exchange_leave(exchange);
    return exchange->error;
}

int dari_exchange_end(dari_exchange *exchange, const uint8_t *at)
{
    if (exchange->error == 0)
        exchange->error = dari_decoder_finish(&exchange->decoder, at);
    close_reply(exchange);
    return report(exchange);
}

int dari_exchange_post(dari_exchange *exchange)
{
    if (exchange->error)
        return report(exchange);
    dari_client *client = exchange->client;
    di_waiter waiter;
    di_exchange_begin_waiter(&waiter, exchange);
    waiter.room = 1;
    di_exchange_lock(exchange);
    exchange->error = send_only(exchange, &waiter);
    if (exchange->error && exchange->error == client->broken)
        exchange->system_error = client->broken_cause;
    di_waiter_end(client, &waiter);
    pthread_mutex_unlock(&client->lock);
    return report(exchange);
}
