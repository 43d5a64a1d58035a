/* SPDX-License-Identifier: MIT */
/* What the two parts of mq:'s server share: the inlet, which all its clients write into
 * (mq_inlet.c), and their connections (mq_server.c).
 *
 * The inlet reads and sorts by client; a connection keeps what came for it. All of it belongs to
 * the loop's thread, but what connections send. An inlet that is closed lasts until the last of its
 * connections is. */
#ifndef DI_TRANSPORT_MQ_SERVER_H
#define DI_TRANSPORT_MQ_SERVER_H

#include "base/buffer.h"
#include "base/fork_guard.h"
#include "base/text.h"
#include "transport/mq_address.h"
#include "transport/mq_wire.h"
#include "transport/transport.h"

#include <stdatomic.h>

/* Clients that wait to be accepted; the hellos of further ones are dropped. */
#define DI_MQ_WAITING_MAX 64u
/* Messages without a client that are read before others get their turn. */
#define DI_MQ_GARBAGE_PER_TURN 64u
/* Of a client that has ended, what it sent before is awaited for as many messages of others as this
 * many full queues. */
#define DI_MQ_LAST_WORDS 4u
/* Where a message came alone, it is not looked for another one behind it as many times. */
#define DI_MQ_ALONE 16u
#define DI_MQ_BUCKETS 64u

typedef struct mq_inlet mq_inlet;
typedef struct mq_connection mq_connection;

/* A part that came before its turn; its bytes follow. */
typedef struct mq_early {
    struct mq_early *next;
    uint64_t at;
    size_t size;
    uint8_t kind;
    uint8_t bytes[];
} mq_early;

struct mq_connection {
    di_connection head;
    mq_inlet *inlet;
    mq_connection *next_of_bucket;
    mq_connection *next, **link; /* among those that have news, or wait; NULL where it does not */
    uint64_t id;
    di_mq_hello hello;
    bool accepted; /* what follows up to `pidfd` is there */
    di_queue replies;
    bool known;    /* the hello was from whoever has the queue */
    pid_t process; /* 0: unknown */
    int pidfd;     /* -1: the process has ended */

    /* Receiving. */
    di_buffer in;
    mq_early *early; /* by their places */
    uint64_t received;
    bool fresh; /* something is there that receive has not told */
    bool ended;
    bool lost;        /* the client has closed its queue or ended; what it sent may still come */
    uint64_t lost_at; /* messages that the inlet had taken then */
    int broken;       /* or the error that ended it */
    atomic_bool deaf; /* the client takes nothing any more: it has said that it goes, or has gone */
    bool wanting;     /* the client waits for a grant */
    _Atomic uint64_t granted; /* what may be told */
    _Atomic uint64_t told;

    /* Sending. */
    di_buffer out;
    uint64_t sent;
};

typedef struct mq_list {
    mq_connection *first, **end;
} mq_list;

struct mq_inlet {
    di_listener head;
    di_fork_guard guard; /* a child that inherited this removes and tells nothing */
    di_queue requests;
    di_mq_address place;
    di_text address;
    di_access access; /* who may connect */
    unsigned holders; /* the listener, and each connection */
    bool retired;
    mq_list news;    /* to be handed out */
    mq_list waiting; /* to be accepted */
    mq_list lost;    /* to be looked at once the inlet is empty */
    unsigned waiting_count;
    mq_connection *buckets[DI_MQ_BUCKETS];
    unsigned looked_at;   /* the bucket whose clients were looked at last */
    uint64_t taken;       /* messages */
    bool handed_out;      /* a connection since accept last said that there is nothing */
    unsigned left_out;    /* how often it was not looked for a second message since there was one */
    uint8_t *message;     /* room for one */
    size_t kept_size;     /* of the message there that could not be taken yet; or 0 */
    mq_connection *spare; /* zeroed memory for the next one that says hello; or NULL */
};

void di_mq_unlink(mq_inlet *inlet, mq_connection *connection);
/* Has it handed out. */
void di_mq_tell(mq_connection *connection);
/* Has it handed out once the inlet is empty. */
void di_mq_tell_later(mq_connection *connection);

/* A connection that waits to be accepted, in the inlet's table, or NULL. */
mq_connection *di_mq_greet(mq_inlet *inlet, uint64_t id, const di_mq_hello *hello);
/* Opens what the client waits with. Returns 1; 0 where it has not kept to the rules, or has closed
 * everything; DARI_PERMISSION where its user may not connect; or another error, of which it may be
 * tried again. */
int di_mq_accept(mq_connection *connection);
/* Takes a message of the client's. */
void di_mq_take(mq_connection *connection, const di_mq_head *head, const uint8_t *bytes,
                size_t size);
/* Whether nobody holds the client's queue any more. */
bool di_mq_is_left(const mq_connection *connection);
/* The client is gone. */
void di_mq_lose(mq_connection *connection);
void di_mq_close(di_connection *connection);

void di_mq_drop_inlet(mq_inlet *inlet);

#endif
