/* SPDX-License-Identifier: MIT */
#include "loop/inlet.h"

#include "loop/reverse.h"
#include "rpc/message.h"

#include <dari/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A call that has come, at the beginning of its hold's memory. */
typedef struct parcel {
    size_t size; /* of the message, which may be above what a message may have: then */
    _Alignas(16) uint8_t bytes[]; /* only its beginning is here */
} parcel;

static di_inlet *own(const di_connection *connection)
{
    return (di_inlet *)(uintptr_t)connection;
}

static const parcel *parcel_of(const di_hold *hold)
{
    return (const parcel *)(const void *)hold->memory;
}

unsigned di_inlet_empty(di_inlet *inlet)
{
    unsigned count = 0;
    for (di_hold *next; inlet->first; inlet->first = next, count++) {
        next = inlet->first->next;
        di_hold_release(inlet->first);
    }
    inlet->end = &inlet->first;
    inlet->size = 0;
    return count;
}

void di_inlet_drop(di_inlet *inlet)
{
    if (atomic_fetch_sub(&inlet->holders, 1) != 1)
        return;
    di_inlet_empty(inlet);
    di_buffer_free(&inlet->kept);
    di_buffer_free(&inlet->draft);
    di_client_reference_drop(inlet->client);
    free(inlet);
}

void di_inlet_part(di_inlet *inlet)
{
    inlet->lost = true;
    inlet->client->inlet = NULL;
    atomic_fetch_sub(&inlet->holders, 1);
}

/* Puts a message into the client's output. */
static void put(dari_client *client, const uint8_t *message, size_t size)
{
    uint8_t *room;
    int error = di_channel_reserve(&client->channel, size, &room);
    if (error < 0) {
        di_client_break(client, error, 0);
        return;
    }
    memcpy(room, message, size);
    di_channel_commit(&client->channel, room, size);
}

static int reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    return di_buffer_reserve(&own(connection)->draft, size, ret_room);
}

/* Keeps the message until the thread that writes is done. */
static void keep(di_inlet *inlet, const uint8_t *message, size_t size)
{
    uint8_t *room;
    int error = di_buffer_reserve(&inlet->kept, sizeof size + size, &room);
    if (error < 0) {
        di_client_break(inlet->client, error, 0);
        return;
    }
    memcpy(room, &size, sizeof size);
    memcpy(room + sizeof size, message, size);
    di_buffer_commit(&inlet->kept, sizeof size + size);
}

void di_inlet_send_kept(di_inlet *inlet)
{
    size_t all, size;
    for (const uint8_t *at; !inlet->lost && (at = di_buffer_peek(&inlet->kept, &all)) && all;
         di_buffer_consume(&inlet->kept, sizeof size + size)) {
        memcpy(&size, at, sizeof size);
        put(inlet->client, at + sizeof size, size);
    }
}

static void pass(di_inlet *inlet, const uint8_t *message, size_t size)
{
    if (inlet->client->writing)
        keep(inlet, message, size);
    else
        put(inlet->client, message, size);
}

static void commit(di_connection *connection, size_t size)
{
    di_inlet *inlet = own(connection);
    dari_client *client = inlet->client;
    if (size == 0)
        return;
    pthread_mutex_lock(&client->lock);
    if (!inlet->lost)
        pass(inlet, inlet->draft.data, size);
    pthread_mutex_unlock(&client->lock);
    if (inlet->draft.room > DI_BUFFER_KEEP)
        di_buffer_free(&inlet->draft);
}

static size_t unsent_now(const di_inlet *inlet)
{
    if (inlet->lost)
        return 0;
    return di_buffer_size(&inlet->kept) + di_channel_unsent(&inlet->client->channel);
}

static int flush(di_connection *connection)
{
    di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    if (!inlet->lost)
        di_client_flush(inlet->client);
    int result = inlet->lost ? DARI_CLOSED : unsent_now(inlet) ? DI_BLOCKED : DI_MOVED;
    pthread_mutex_unlock(&inlet->client->lock);
    return result;
}

static size_t unsent(const di_connection *connection)
{
    di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    size_t size = unsent_now(inlet);
    inlet->blocked = size > 0;
    pthread_mutex_unlock(&inlet->client->lock);
    return size;
}

static int receive(di_connection *connection, size_t want)
{
    const di_inlet *inlet = own(connection);
    (void)want;
    pthread_mutex_lock(&inlet->client->lock);
    int result = inlet->first ? DI_MOVED : inlet->lost ? DARI_CLOSED : DI_BLOCKED;
    pthread_mutex_unlock(&inlet->client->lock);
    return result;
}

static uint8_t *peek(const di_connection *connection, size_t *ret_size)
{
    const di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    const parcel *first = inlet->first ? parcel_of(inlet->first) : NULL;
    pthread_mutex_unlock(&inlet->client->lock);
    *ret_size = first ? first->size : 0;
    return first ? (uint8_t *)(uintptr_t)first->bytes : NULL;
}

/* Takes the call out that peek has shown. */
static void consume(di_connection *connection, size_t size)
{
    di_inlet *inlet = own(connection);
    (void)size;
    dari_client *client = inlet->client;
    pthread_mutex_lock(&client->lock);
    di_hold *first = inlet->first;
    inlet->first = first->next;
    if (!inlet->first)
        inlet->end = &inlet->first;
    inlet->size -= first->room;
    pthread_mutex_unlock(&client->lock);
    di_hold_release(first);
}

static di_hold *hold(di_connection *connection)
{
    const di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    di_hold *first = di_hold_add(inlet->first);
    pthread_mutex_unlock(&inlet->client->lock);
    return first;
}

static void lend(di_connection *connection, di_hold *memory)
{
    (void)connection;
    di_hold_release(memory);
}

static void use_pool(di_connection *connection, di_pool *pool, bool keeps)
{
    (void)connection;
    (void)pool;
    (void)keeps;
}

static void peer(const di_connection *connection, di_peer *ret_peer)
{
    snprintf(ret_peer->address, sizeof ret_peer->address, "%s", own(connection)->client->address);
}

static void shut(di_connection *connection)
{
    di_inlet *inlet = own(connection);
    pthread_mutex_lock(&inlet->client->lock);
    if (!inlet->lost)
        di_client_break(inlet->client, DARI_BAD_REPLY, 0);
    pthread_mutex_unlock(&inlet->client->lock);
}

void di_inlet_close(di_inlet *inlet)
{
    dari_client *client = inlet->client;
    bool forked = di_forked(&client->guard);
    if (!forked)
        pthread_mutex_lock(&client->lock);
    inlet->session = NULL;
    if (!inlet->lost)
        di_inlet_part(inlet);
    if (!forked)
        pthread_mutex_unlock(&client->lock);
    di_inlet_drop(inlet);
}

static void close_connection(di_connection *connection)
{
    di_inlet_close(own(connection));
}

static const di_connection_ops operations = {
    .keeps_boundaries = true,
    .reserve = reserve,
    .commit = commit,
    .flush = flush,
    .unsent = unsent,
    .receive = receive,
    .peek = peek,
    .consume = consume,
    .hold = hold,
    .lend = lend,
    .use_pool = use_pool,
    .peer = peer,
    .shut = shut,
    .close = close_connection,
};

di_inlet *di_inlet_create(dari_client *client)
{
    di_inlet *inlet = calloc(1, sizeof *inlet);
    if (!inlet)
        return NULL;
    inlet->head = (di_connection){.ops = &operations};
    inlet->client = client;
    atomic_fetch_add(&client->references, 1);
    atomic_init(&inlet->holders, 2);
    inlet->end = &inlet->first;
    di_buffer_init(&inlet->kept, SIZE_MAX / 4);
    di_buffer_init(&inlet->draft, SIZE_MAX / 4);
    client->inlet = inlet;
    return inlet;
}

int di_inlet_add(di_inlet *inlet, const di_message *message)
{
    di_hold *memory = di_hold_create(NULL, sizeof(parcel) + message->size);
    if (!memory)
        return DARI_NO_MEMORY;
    parcel *wrapped = (parcel *)(void *)memory->memory;
    wrapped->size = message->oversized ? message->whole : message->size;
    memcpy(wrapped->bytes, message->bytes, message->size);
    memory->next = NULL;
    *inlet->end = memory;
    inlet->end = &memory->next;
    inlet->size += memory->room;
    return 0;
}

void di_inlet_refuse(di_inlet *inlet, const di_message *message)
{
    const di_reply_header header = {.xid = dari_get_u32(message->bytes),
                                    .error = DARI_SYSTEM_ERROR};
    uint8_t answer[DI_REPLY_SUCCESS_SIZE];
    if (di_channel_unsent(&inlet->client->channel) == 0)
        inlet->refusals = 0;
    if (inlet->refusals == DI_REFUSALS_MAX)
        return;
    inlet->refusals++;
    di_reply_header_encode(answer, &header);
    pass(inlet, answer, di_reply_header_size(&header));
}
