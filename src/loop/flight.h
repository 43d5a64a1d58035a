/* SPDX-License-Identifier: MIT */
/* Calls in flight: those that no thread waits for.
 *
 * A flight belongs to its client, which keeps it for later calls. It is in the table of pending
 * calls and among the timers until it lands: with a reply, or with an error. Then it is in the line
 * of those landed, from which progress.c takes it to call the caller's function; or, where the
 * thread that dispatches has received the reply, it is taken from where it lies at once. Where
 * there is no connection, it is grounded: its message is kept until there is one. Everything here
 * is called with the client's lock held. */
#ifndef DI_LOOP_FLIGHT_H
#define DI_LOOP_FLIGHT_H

#include "base/clock.h"
#include "base/timers.h"
#include "loop/channel.h"
#include "loop/resend.h"
#include "rpc/pending.h"

#include <dari/interface.h>

typedef struct di_flight {
    di_pending_call pending; /* first: found by xid */
    di_timer timer;          /* the deadline, or the time to send again where that is before */
    di_resend resend;
    struct di_flight *next;                                /* among the landed, or the unused */
    struct di_flight *next_cancelled, *previous_cancelled; /* of the same cancel */
    dari_exchange exchange;
    dari_finish *finish;
    dari_done *done;
    void *user;
    uint64_t before, after; /* bytes committed before its message, and with it */
    bool grounded;          /* it waits for a connection, in a list: */
    struct di_flight *next_grounded, *previous_grounded;
    size_t kept_size; /* bytes of its message that are kept in `memory`, or 0 */
    int error;
    uint8_t *reply; /* in the connection's memory, or in `memory` */
    size_t reply_size;
    uint8_t *memory; /* for its message, until the reply is there; then for that */
    size_t memory_size;
} di_flight;

typedef struct di_flights {
    di_timers timers;
    di_flight *landed, **landed_end; /* landed_end: NULL where there are none */
    di_flight *unused;
    di_flight *in_place; /* the one whose reply the dispatching thread has just received */
    di_flight *grounded, *last_grounded; /* in the order in which they are to be sent */
    size_t grounded_size;                /* bytes of their messages */
    uint32_t flying;                     /* not landed */
    uint32_t open;                       /* whose caller's function has not returned */
    di_flight **cancelled; /* by the descriptor of their cancel: the newest that has it */
    size_t cancelled_size;
    uint32_t cancellable; /* cancels that are watched */
} di_flights;

/* When the first of them is due; DI_NEVER: there are none. */
static inline uint64_t di_flights_due(const di_flights *flights)
{
    return flights->timers.first ? flights->timers.first->deadline : DI_NEVER;
}

/* A reply has come. `in_place`: it may be used where it lies. */
void di_flight_land(dari_client *client, di_flight *flight, const di_message *message,
                    bool in_place);

/* The message of the call, which was committed last, is sent again if it gets no answer. */
void di_flight_resend(dari_client *client, di_flight *flight, const uint8_t *message, size_t size);

/* Has the flight end with an error. */
void di_flight_fail(dari_client *client, di_flight *flight, int error);

/* grounded.c: those that wait for a connection. */

/* Makes room to keep a message of that size. Returns 0 or DARI_NO_MEMORY. */
int di_flight_make_room(di_flight *flight, size_t size);
/* Keeps the message, for which there is room. */
void di_flight_keep(di_flight *flight, const uint8_t *message, size_t size);
/* The flight waits for a connection, before the one that is to follow it, or, where that is NULL,
 * behind the others; it no longer does. */
void di_flight_ground(dari_client *client, di_flight *flight, di_flight *next);
void di_flight_unground(dari_client *client, di_flight *flight);
/* Whether the flight, whose connection is lost, can be sent by the next one. */
bool di_flight_can_stay(const dari_client *client, const di_flight *flight);
/* Puts all into the output of the connection, which is there now, and has no room lent. */
void di_flights_launch(dari_client *client);

/* Ends those whose time is over; all that have the cancel; all of a connection that is lost, unless
 * they can be sent by the next one. */
void di_flights_expire(dari_client *client, uint64_t now);
void di_flights_cancel(dari_client *client, int descriptor);
void di_flights_fail(dari_client *client, int error);

/* Takes the first of the landed, or returns NULL. */
di_flight *di_flights_next(dari_client *client);

/* The caller's function has returned. */
void di_flights_recycle(dari_client *client, di_flight *flight);

/* A flight that is not in use, or NULL: for a call, or for its memory alone; and back. */
di_flight *di_flights_take(dari_client *client);
void di_flights_give(dari_client *client, di_flight *flight);

/* Gives the memory back; none is in flight. */
void di_flights_end(dari_client *client);

#endif
