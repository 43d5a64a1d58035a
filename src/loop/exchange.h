/* SPDX-License-Identifier: MIT */
/* The steps of a call that synchronous, asynchronous and one-way calls share. */
#ifndef DI_LOOP_EXCHANGE_H
#define DI_LOOP_EXCHANGE_H

#include "base/clock.h"
#include "loop/client.h"
#include "rpc/message.h"

#include <dari/interface.h>

#include <stddef.h>

/* The cancel of the call, or NULL. */
static inline const dari_cancel *di_exchange_cancel(const dari_exchange *exchange)
{
    return exchange->call ? exchange->call->cancel : NULL;
}

/* The time. */
static inline uint64_t di_exchange_now(const dari_exchange *exchange)
{
    return exchange->delayed ? di_now() : exchange->began;
}

/* intercept.c: asks the interceptors of a call that begins; tells those that let it pass. */
void di_exchange_enter(dari_exchange *exchange);
void di_exchange_leave(dari_exchange *exchange);

/* What a call keeps from one step to the next: from here on. */
#define DI_EXCHANGE_KEPT offsetof(dari_exchange, client)

/* Takes the lock of the client, unless the thread has kept it while it wrote the argument. */
void di_exchange_lock(dari_exchange *exchange);

/* Makes a waiter for the call, with its deadline and cancel. Sets all but what is set before it is
 * used. */
void di_exchange_begin_waiter(di_waiter *waiter, const dari_exchange *exchange);

/* Writes the header for exchange->xid before the argument. */
void di_exchange_write_header(const dari_exchange *exchange);

/* Has the connection, where it knows priorities, take the message committed next by that of the
 * call. Called with the lock held. */
void di_exchange_prioritize(const dari_exchange *exchange);

/* Writes the header, and makes the message part of the output. Called with the
 * lock held, by the thread that has the room. */
void di_exchange_commit(dari_exchange *exchange);

/* Gives the room back, and the turn on. Called with the lock held. */
void di_exchange_release(dari_exchange *exchange);

/* The call, of so many bytes, is larger than a message may be. */
void di_exchange_too_large(dari_exchange *exchange, size_t size);

/* Tells the call context that the reply has `found` bytes or more, and may have `allowed`. */
void di_exchange_oversized(dari_exchange *exchange, size_t found, size_t allowed);

/* Reads the header of the reply and makes the decoder ready for the result. Returns where that
 * begins, or NULL where the reply is none of success. */
const uint8_t *di_exchange_open(dari_exchange *exchange, uint8_t *reply, size_t size);

/* Whether a reply is a header alone: once it was opened, it is not looked at again. */
static inline bool di_exchange_is_short(size_t size)
{
    return size <= DI_REPLY_SUCCESS_SIZE;
}

#endif
