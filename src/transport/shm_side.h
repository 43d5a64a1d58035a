/* SPDX-License-Identifier: MIT */
/* One side of a shm: connection (shm_connection.h), as the files see it that it is made of: the
 * meeting and the end (shm_connection.c), sending (shm_send.c), receiving and falling asleep
 * (shm_receive.c), wake-ups and death (shm_wake.c). */
#ifndef DI_TRANSPORT_SHM_SIDE_H
#define DI_TRANSPORT_SHM_SIDE_H

#include "ipc/ring.h"
#include "transport/inbound.h"
#include "transport/peer_process.h"
#include "transport/shm_connection.h"
#include "transport/shm_loans.h"
#include "transport/shm_meeting.h"

#include <stdatomic.h>
#include <sys/types.h>

/* Bytes that are moved before the other side is told of them, so that both work at once. */
#define DI_SHM_PIECE_MAX ((uint32_t)32 << 10)

/* Who looks at the socket. The thread that receives is asleep once it has announced that: then what
 * comes is left to wake it. Flush, in another thread perhaps, looks only while that one is awake.
 */
enum { DI_SHM_AWAKE = 0, DI_SHM_ASLEEP = 1, DI_SHM_FLUSH_LOOKS = 2 };

typedef struct di_shm {
    di_connection head;
    bool serves;
    pid_t owner;        /* the process of this side: its children inherit this, and say nothing */
    di_shm_terms terms; /* a server's */
    size_t loan_size;   /* that a client wants */
    uint64_t started;   /* what this side says of its start */
    di_peer_process process; /* the other side's */
    di_shm_heard heard;
    int refused; /* an error of the meeting that receive has to tell, or 0 */
    di_shm_memory memory;
    di_shm_loans *loans; /* NULL: there is no memory for them */

    /* Sending. */
    di_ring_writer writer;
    di_buffer out;                /* what follows what is in the ring */
    bool in_ring;                 /* the room that is lent */
    int failed;                   /* an error that flush has to tell, or 0 */
    atomic_bool blocked;          /* flush waits for room, */
    _Atomic(uint32_t) blocked_at; /* since the reader was there */

    /* Receiving. */
    di_ring_reader reader;
    di_inbound in;

    /* Both. */
    atomic_bool open;          /* the rings are there */
    atomic_bool gone;          /* the other side is, */
    atomic_bool dead;          /* because its process is dead; */
    atomic_bool shut;          /* or this side has ended it, */
    _Atomic(uint32_t) shut_at; /* when the other side had written so much */
    atomic_int look;
    atomic_uint idle_wakes;
} di_shm;

static inline bool di_shm_is_open(const di_shm *shm)
{
    return atomic_load_explicit(&shm->open, memory_order_acquire);
}

static inline bool di_shm_is_gone(const di_shm *shm)
{
    return atomic_load_explicit(&shm->gone, memory_order_acquire);
}

static inline bool di_shm_is_shut(const di_shm *shm)
{
    return atomic_load_explicit(&shm->shut, memory_order_acquire);
}

static inline void di_shm_set_gone(di_shm *shm)
{
    atomic_store_explicit(&shm->gone, true, memory_order_release);
}

/* Something went on: what has come was not for nothing. */
static inline void di_shm_count_progress(di_shm *shm)
{
    if (atomic_load_explicit(&shm->idle_wakes, memory_order_relaxed))
        atomic_store_explicit(&shm->idle_wakes, 0, memory_order_relaxed);
}

/* Whether a flush that is blocked would find room. */
static inline bool di_shm_has_room_again(const di_shm *shm)
{
    return atomic_load_explicit(&shm->blocked, memory_order_relaxed) &&
           atomic_load_explicit(&shm->writer.control->head, memory_order_relaxed) !=
               atomic_load_explicit(&shm->blocked_at, memory_order_relaxed);
}

/* Wakes the other side. Where the socket has no room for that, it has been woken often enough. */
void di_shm_wake(di_shm *shm);

/* Sees whether the other process is dead. */
void di_shm_look_at_process(di_shm *shm);

/* Takes the wake-ups that have come, and sees whether the other side has hung up or is dead.
 * Returns 0, or DARI_PROTOCOL where there were too many for nothing. */
int di_shm_look_at_socket(di_shm *shm);

/* The same for a side that nobody has woken: mostly there is nothing, which one call says. */
int di_shm_look_around(di_shm *shm);

/* Receives, once the rings are there, as receive does. */
int di_shm_take(di_shm *shm, size_t want);

/* Operations of the table. */
int di_shm_reserve(di_connection *connection, size_t size, uint8_t **ret_room);
void di_shm_commit(di_connection *connection, size_t size);
void di_shm_commit_parts(di_connection *connection, size_t size, const di_part *parts,
                         size_t count);
void di_shm_advance(di_connection *connection);
int di_shm_flush(di_connection *connection);
size_t di_shm_unsent(const di_connection *connection);
void di_shm_withdraw(di_connection *connection, size_t size);

uint8_t *di_shm_peek(const di_connection *connection, size_t *ret_size);
void di_shm_consume(di_connection *connection, size_t size);
di_hold *di_shm_hold(di_connection *connection);
void di_shm_take_lent(di_connection *connection, di_hold *memory);
unsigned di_shm_places(const di_connection *connection, const uint8_t *from, size_t size,
                       di_part *ret_parts, di_region **ret_region);
bool di_shm_arm(di_connection *connection);
void di_shm_disarm(di_connection *connection);

#endif
