/* SPDX-License-Identifier: MIT */
/* Connecting again where the connection was lost: when, and what happens then. Calls in flight that
 * are kept before the first connection (reach.h) have it made in the same way.
 *
 * A lost connection is replaced once somebody wants it: a thread that waits to send, or a call in
 * flight that is to be sent; and once nobody uses it any more, so that whoever had to do with the
 * old one has seen its end. The first attempt is made at once, the next ones after times that
 * double up to a limit, each shorter by up to a half by chance, until a reply has come: a server
 * that accepts connections and ends them is not run down either. */
#ifndef DI_LOOP_RECONNECT_H
#define DI_LOOP_RECONNECT_H

#include "loop/attempt.h"

#include <dari/interface.h>

#include <stdbool.h>

/* A connection on which no call has begun for that long is looked at before the next one, */
#define DI_LOOK_AFTER_NS (10 * DARI_MS)
/* and so often at most, while something is there: its end lies behind that. */
#define DI_LOOKS_MAX 8u

/* Guarded by the client's lock. */
typedef struct di_reconnect {
    uint64_t first_ns, max_ns; /* between attempts */
    uint64_t connect_ns;       /* for one */
    bool never;                /* a lost connection stays lost */
    di_attempt *attempt;       /* under way, or NULL */
    uint32_t fruitless;        /* attempts in a row by which no reply has come */
    uint64_t not_before;       /* when the next one may begin, */
    bool told;                 /* and those who wait know */
    uint64_t chance;           /* the state of a random sequence */
    unsigned waiting;          /* threads that wait for the connection */
    uint64_t used;             /* when the last call began */
    uint64_t bytes_in;         /* of the connections that are gone, */
    uint64_t bytes_out;        /* and sent by them */
    int error;                 /* why there is no connection, */
    di_failure failure;        /* and the details */
} di_reconnect;

/* Takes what the options say. */
void di_reconnect_begin(dari_client *client, const dari_client_options *options);

/* All below are called with the client's lock held. */

/* The connection was lost. */
void di_reconnect_lost(dari_client *client, int error, int cause);

/* An attempt has failed: says why there is no connection, and when the next one may begin. */
void di_reconnect_put_off(dari_client *client, int error, const di_failure *failure);

/* Begins to connect, if that is wanted, may be, and is not under way; or tells those who wait when
 * it will be time. */
void di_reconnect_step(dari_client *client);

/* When the next step has something to do by itself; DI_NEVER: somebody will call it. */
uint64_t di_reconnect_due(const dari_client *client);

/* Before the call begins to send: a connection that was idle may have been lost meanwhile. */
void di_reconnect_look(dari_client *client, const dari_exchange *exchange);

/* Whether the error is that of a lost connection after which an idempotent call may be sent again.
 */
bool di_reconnect_may_repeat(const dari_client *client, const dari_exchange *exchange, int error);

/* Tells the exchange, whose time is over, why there is no connection. */
void di_reconnect_explain(const dari_client *client, dari_exchange *exchange);

/* The end of an attempt, in its thread and without the lock. Returns whether the client has taken
 * it, and the connection with it. */
bool di_reconnect_take(dari_client *client, di_attempt *attempt, int error,
                       di_connection *connection, const di_failure *failure);

#endif
