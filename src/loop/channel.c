/* SPDX-License-Identifier: MIT */
#include "loop/channel.h"

#include "rpc/message.h"

#include <dari/error.h>

#include <string.h>

_Static_assert(DI_MESSAGE_MAX_MIN >= DI_CALL_HEADER_MAX, "any header fits");
_Static_assert(DARI_REFERENCES_MAX <= DI_PARTS_MAX, "a transport takes as many");

void di_channel_init(di_channel *channel, di_connection *connection,
                     const di_channel_limits *limits)
{
    size_t message_max = limits->message_max;
    if (message_max < DI_MESSAGE_MAX_MIN)
        message_max = DI_MESSAGE_MAX_MIN;
    if (message_max > SIZE_MAX / 8)
        message_max = SIZE_MAX / 8;
    size_t most = connection->ops->message_max;
    if (most && message_max > most)
        message_max = most;
    *channel = (di_channel){
        .connection = connection,
        .want = 1,
        .message_max = message_max,
        .prefix = connection->ops->keeps_boundaries ? 0 : DI_RECORD_MARK,
    };
    di_record_reader_init(&channel->reader, message_max, DI_CALL_HEADER_MAX, limits->fragments_max);
}

void di_channel_commit_parts(di_channel *channel, uint8_t *room, size_t size,
                             const dari_references *references)
{
    di_part parts[DARI_REFERENCES_MAX];
    for (uint32_t i = 0; i < references->count; i++) {
        const dari_reference *one = &references->items[i];
        parts[i] = (di_part){one->at, one->data, one->size};
    }
    size = di_channel_mark(channel, room, size);
    channel->connection->ops->commit_parts(channel->connection, size, parts, references->count);
    channel->committed += size;
}

void di_channel_release(di_channel *channel)
{
    channel->connection->ops->commit(channel->connection, 0);
}

bool di_channel_withdraw(di_channel *channel, uint64_t committed)
{
    uint64_t size = channel->committed - committed;
    if (size > di_channel_unsent(channel))
        return false;
    channel->connection->ops->withdraw(channel->connection, (size_t)size);
    channel->committed = committed;
    return true;
}

int di_channel_receive(di_channel *channel)
{
    di_channel_done(channel);
    channel->more = true;
    return channel->connection->ops->receive(channel->connection, channel->want);
}

int di_channel_receive_patiently(di_channel *channel)
{
    di_channel_done(channel);
    channel->more = true;
    return channel->connection->ops->receive_patiently(channel->connection, channel->want);
}

/* A transport that keeps boundaries shows one message at a time. */
static int next_whole(di_channel *channel, di_message *ret_message)
{
    size_t size;
    uint8_t *bytes = channel->connection->ops->peek(channel->connection, &size);
    if (size == 0)
        return 0;
    bool oversized = size > channel->message_max;
    *ret_message = (di_message){
        .bytes = bytes,
        .size = oversized ? DI_CALL_HEADER_MAX : size,
        .whole = size,
        .oversized = oversized,
    };
    channel->consume = size;
    /* Datagrams are received one by one. */
    channel->more = !channel->connection->ops->loses_messages;
    channel->shown += size;
    return 1;
}

/* Copies what lies elsewhere to its place. */
static void complete(di_message *message)
{
    const dari_references *references = &message->elsewhere->references;
    for (uint32_t i = 0; i < references->count; i++) {
        const dari_reference *one = &references->items[i];
        memcpy(one->at, one->data, one->size);
    }
    message->elsewhere = NULL;
}

/* Whether a part of a message may stay where it is: it looks as an honest peer's does. */
static bool may_stay(const di_message *message, const di_part *part)
{
    size_t offset = (size_t)(part->at - message->bytes);
    return offset >= DI_CALL_PLAIN_SIZE + 4 && offset % 4 == 0;
}

/* Lists what of the message lies elsewhere. What cannot stay there is copied to its place. */
static __attribute__((noinline)) void find_elsewhere(di_channel *channel, di_message *message)
{
    di_part parts[DI_PLACES_MAX];
    dari_references *references = &channel->elsewhere.references;
    const di_connection *connection = channel->connection;
    unsigned count = connection->ops->list_places(connection, message->bytes, message->size, parts,
                                                  &channel->elsewhere.region);
    references->count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (may_stay(message, &parts[i]) && references->count < DARI_REFERENCES_MAX)
            references->items[references->count++] =
                (dari_reference){parts[i].at, parts[i].data, (uint32_t)parts[i].size};
        else
            memcpy(parts[i].at, parts[i].data, parts[i].size);
    }
    if (references->count > 0)
        message->elsewhere = &channel->elsewhere;
    if (message->elsewhere && dari_get_u32(message->bytes + 4) != DI_CALL)
        complete(message);
}

int di_channel_next(di_channel *channel, di_message *ret_message)
{
    di_channel_done(channel);
    if (!channel->prefix)
        return next_whole(channel, ret_message);
    size_t size;
    uint8_t *bytes = channel->connection->ops->peek(channel->connection, &size);
    if (size == 0)
        return 0;
    di_record record;
    enum di_record_state state = di_record_next(&channel->reader, bytes, size, &record);
    if (state == DI_RECORD_CUT_UP)
        return DARI_LIMIT;
    channel->consume = record.consume;
    channel->more = state != DI_RECORD_PARTIAL && size > record.consume;
    channel->shown += record.consume;
    if (state == DI_RECORD_PARTIAL) {
        channel->want = record.want;
        di_channel_done(channel);
        channel->connection->whole_until = di_record_whole_until(&channel->reader);
        return 0;
    }
    channel->want = 1;
    *ret_message = (di_message){
        .bytes = record.body,
        .size = record.size,
        .whole = record.whole,
        .oversized = state == DI_RECORD_OVERSIZED,
    };
    if (channel->connection->places)
        find_elsewhere(channel, ret_message);
    return 1;
}

void di_channel_close(di_channel *channel)
{
    if (channel->connection)
        channel->connection->ops->close(channel->connection);
    channel->connection = NULL;
}
