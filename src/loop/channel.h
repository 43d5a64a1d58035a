/* SPDX-License-Identifier: MIT */
/* Messages on a connection: the one place where RPC's record marking and a transport meet.
 *
 * A channel owns its connection. Sending (reserve to withdraw) and receiving share nothing, as in
 * transport.h. */
#ifndef DI_LOOP_CHANNEL_H
#define DI_LOOP_CHANNEL_H

#include "rpc/record.h"
#include "transport/transport.h"

#include <dari/error.h>
#include <dari/xdr.h>

/* Opaque data of a message that lies in a region. */
typedef struct di_elsewhere {
    dari_references references;
    di_region *region; /* the connection's */
} di_elsewhere;

typedef struct di_channel {
    di_connection *connection;
    di_record_reader reader;
    size_t consume;         /* bytes of the message that was shown last, still to be consumed */
    bool more;              /* something may have arrived behind it */
    size_t want;            /* what the next receive can use */
    size_t message_max;     /* bytes of a message, either way */
    size_t prefix;          /* bytes before a message that is sent: its record mark, or none */
    uint64_t committed;     /* bytes given to the connection since it began */
    uint64_t shown;         /* bytes of what was shown, and of what came before it */
    di_elsewhere elsewhere; /* of the message that was shown last */
} di_channel;

typedef struct di_message {
    uint8_t *bytes;
    size_t size;
    size_t whole;   /* bytes of the message, at least */
    bool oversized; /* the message is above message_max, and these bytes are its beginning */
    di_elsewhere *elsewhere; /* what of it is not in its place; or NULL */
} di_message;

/* The smallest message_max: any header fits. */
#define DI_MESSAGE_MAX_MIN ((size_t)1024)

typedef struct di_channel_limits {
    size_t message_max;     /* bytes of a message; less than DI_MESSAGE_MAX_MIN counts as that */
    uint32_t fragments_max; /* of a record that is received */
} di_channel_limits;

/* Takes the connection over. */
void di_channel_init(di_channel *channel, di_connection *connection,
                     const di_channel_limits *limits);

/* The bytes that a message takes on the connection. */
static inline size_t di_channel_sent_size(const di_channel *channel, size_t size)
{
    return channel->prefix ? di_record_size(size, DI_FRAGMENT_MAX) : size;
}

/* Marks the message. Returns the bytes that it takes on the connection. */
static inline size_t di_channel_mark(const di_channel *channel, uint8_t *room, size_t size)
{
    if (channel->prefix)
        di_record_mark(room - channel->prefix, size, DI_FRAGMENT_MAX);
    return di_channel_sent_size(channel, size);
}

/* Lends room for a message of `size` bytes.
 * Errors: DARI_LIMIT (above message_max), DARI_NO_MEMORY. */
static inline int di_channel_reserve(di_channel *channel, size_t size, uint8_t **ret_room)
{
    di_connection *connection = channel->connection;
    uint8_t *room;
    if (size > channel->message_max)
        return DARI_LIMIT;
    int error = connection->ops->reserve(connection, di_channel_sent_size(channel, size), &room);
    if (error < 0)
        return error;
    *ret_room = room + channel->prefix;
    return 0;
}

/* Gives the message written at `room` to the connection; flush sends. */
static inline void di_channel_commit(di_channel *channel, uint8_t *room, size_t size)
{
    size = di_channel_mark(channel, room, size);
    channel->connection->ops->commit(channel->connection, size);
    channel->committed += size;
}

/* The part of di_channel_commit_references where there are some. */
void di_channel_commit_parts(di_channel *channel, uint8_t *room, size_t size,
                             const dari_references *references);

/* The same for a message of which some may not be written. Then it is sent at once, as far as it
 * goes; what is referred to is not used later. */
static inline void di_channel_commit_references(di_channel *channel, uint8_t *room, size_t size,
                                                const dari_references *references)
{
    if (references->count == 0)
        di_channel_commit(channel, room, size);
    else
        di_channel_commit_parts(channel, room, size, references);
}

/* Whether some of a message need not be written: not where it is cut into fragments, all but the
 * first of which are moved. */
static inline bool di_channel_takes_references(const di_channel *channel, size_t size)
{
    return channel->connection->ops->commit_parts && size <= DI_FRAGMENT_MAX;
}

/* Gives the room back unused. */
void di_channel_release(di_channel *channel);

/* As the connection's own operations. */
static inline int di_channel_flush(di_channel *channel)
{
    return channel->connection->ops->flush(channel->connection);
}

static inline void di_channel_advance(di_channel *channel)
{
    if (channel->connection->ops->advance)
        channel->connection->ops->advance(channel->connection);
}

static inline size_t di_channel_unsent(const di_channel *channel)
{
    return channel->connection->ops->unsent(channel->connection);
}

/* Of a connection that serves many: where the message that is shown came from; and where those
 * committed from now on go. */
static inline void di_channel_sender(const di_channel *channel, di_route *ret_route)
{
    channel->connection->ops->sender(channel->connection, ret_route);
}

static inline void di_channel_direct(di_channel *channel, const di_route *route)
{
    channel->connection->ops->direct(channel->connection, route);
}

/* Takes back what was committed after the first `committed` bytes, if none of it has been sent.
 * Returns whether it has. */
bool di_channel_withdraw(di_channel *channel, uint64_t committed);

/* Bytes sent since the connection began. */
static inline uint64_t di_channel_sent(const di_channel *channel)
{
    return channel->committed - di_channel_unsent(channel);
}

/* Receives what has arrived: DI_MOVED, DI_BLOCKED or an error. No message is shown any more. */
int di_channel_receive(di_channel *channel);

/* The same, but waits for something, as receive_patiently of transport.h does. */
int di_channel_receive_patiently(di_channel *channel);

/* Bytes that have arrived and are not done with. */
static inline size_t di_channel_arrived(const di_channel *channel)
{
    size_t size;
    channel->connection->ops->peek(channel->connection, &size);
    return size;
}

/* Shows the next message that has arrived whole. Returns 1; 0 where there is none; or DARI_LIMIT
 * for a record of too many fragments, after which the stream is of no use. It stays where it is
 * until the next di_channel_next, done or receive. Only of a call may some lie elsewhere, none of
 * it in the least header that a call can have. */
int di_channel_next(di_channel *channel, di_message *ret_message);

/* The message that was shown is used no more. */
static inline void di_channel_done(di_channel *channel)
{
    if (channel->consume)
        channel->connection->ops->consume(channel->connection, channel->consume);
    channel->consume = 0;
}

/* Whether something may be there that was not shown, since the last receive. Of a connection that
 * only receive brings something to. */
static inline bool di_channel_has_more(const di_channel *channel)
{
    return channel->more;
}

/* Closes the connection. Takes a zeroed channel. */
void di_channel_close(di_channel *channel);

#endif
