/* SPDX-License-Identifier: MIT */
#include "loop/channel.h"

#include "rpc/message.h"

#include <dari/error.h>

_Static_assert(DI_MESSAGE_MAX_MIN >= DI_CALL_HEADER_MAX, "any header fits");
_Static_assert(DARI_REFERENCES_MAX <= DI_PARTS_MAX, "a transport takes as many");

void di_channel_init(di_channel *channel, di_connection *connection, size_t message_max)
{
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
    di_record_reader_init(&channel->reader, message_max, DI_CALL_HEADER_MAX);
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

/* A transport that keeps boundaries shows one message at a time. */
static int next_whole(di_channel *channel, di_message *ret_message)
{
    size_t size;
    uint8_t *bytes = channel->connection->ops->peek(channel->connection, &size);
    if (size == 0)
        return 0;
    bool oversized = size > channel->message_max;
    *ret_message = (di_message){bytes, oversized ? DI_CALL_HEADER_MAX : size, size, oversized};
    channel->consume = size;
    /* Datagrams are received one by one. */
    channel->more = !channel->connection->ops->loses_messages;
    channel->shown += size;
    return 1;
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
    channel->consume = record.consume;
    channel->more = state != DI_RECORD_PARTIAL && size > record.consume;
    channel->shown += record.consume;
    if (state == DI_RECORD_PARTIAL) {
        channel->want = record.want;
        di_channel_done(channel);
        return 0;
    }
    channel->want = 1;
    *ret_message =
        (di_message){record.body, record.size, record.whole, state == DI_RECORD_OVERSIZED};
    return 1;
}

void di_channel_close(di_channel *channel)
{
    if (channel->connection)
        channel->connection->ops->close(channel->connection);
    channel->connection = NULL;
}
