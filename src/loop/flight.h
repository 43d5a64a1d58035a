/* SPDX-License-Identifier: MIT */
/* Calls in flight: those that no thread waits for.
 *
 * A flight belongs to its client, which keeps it for later calls. It is in the table of pending
 * calls and among the timers until it lands: with a reply, or with an error. Then it is in the line
 * of those landed, from which progress.c takes it to call the caller's function; or, where the
 * thread that dispatches has received the reply, it is taken from where it lies at once. Everything
 * here is called with the client's lock held. */
#ifndef DI_LOOP_FLIGHT_H
#define DI_LOOP_FLIGHT_H

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
    int error;
    uint8_t *reply; /* in the connection's memory, or in `memory` */
    size_t reply_size;
    uint8_t *memory;
    size_t memory_size;
} di_flight;

typedef struct di_flights {
    di_timers timers;
    di_flight *landed, **landed_end; /* landed_end: NULL where there are none */
    di_flight *unused;
    di_flight *in_place;   /* the one whose reply the dispatching thread has just received */
    uint32_t flying;       /* not landed */
    uint32_t open;         /* whose caller's function has not returned */
    di_flight **cancelled; /* by the descriptor of their cancel: the newest that has it */
    size_t cancelled_size;
    uint32_t cancellable; /* cancels that are watched */
} di_flights;

/* A reply has come. `in_place`: it may be used where it lies. */
void di_flight_land(dari_client *client, di_flight *flight, const di_message *message,
                    bool in_place);

/* Ends those whose time is over; all that have the cancel; all. */
void di_flights_expire(dari_client *client, uint64_t now);
void di_flights_cancel(dari_client *client, int descriptor);
void di_flights_fail(dari_client *client, int error);

/* Takes the first of the landed, or returns NULL. */
di_flight *di_flights_next(dari_client *client);

/* The caller's function has returned. */
void di_flights_recycle(dari_client *client, di_flight *flight);

/* Gives the memory back; none is in flight. */
void di_flights_end(dari_client *client);

#endif
