/* SPDX-License-Identifier: MIT */
/* Memory that several hold, from any threads; and pools, to which the last holder gives it back.
 *
 * A pool keeps small pieces for good, and large ones until it is trimmed. It has no lock: each of
 * its slots is taken and filled at one stroke, so it serves any threads, and a forked child too. A
 * pool outlives what was made for it. */
#ifndef DI_BASE_HOLD_H
#define DI_BASE_HOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of a small piece. */
#define DI_POOL_SMALL_ROOM ((size_t)4096)
/* Pieces of each kind that a pool keeps. */
#define DI_POOL_SLOTS 64u

typedef struct di_pool di_pool;

typedef struct di_hold {
    atomic_uint holders;
    di_pool *pool;        /* or NULL: it is freed */
    size_t room;          /* bytes at memory */
    struct di_hold *next; /* for its only owner's lists */
    _Alignas(16) uint8_t memory[];
} di_hold;

/* A zeroed pool is empty, and ready. */
struct di_pool {
    _Atomic(di_hold *) small[DI_POOL_SLOTS];
    _Atomic(di_hold *) large[DI_POOL_SLOTS];
    atomic_bool large_used; /* taken or given since the last di_pool_trim */
};

/* New memory of `room` bytes with one holder, which will come to the pool, unless that is NULL.
 * NULL: the system has none. */
di_hold *di_hold_create(di_pool *pool, size_t room);

/* Memory of at least `needed` bytes with one holder that the pool has, or NULL. Takes NULL. */
di_hold *di_pool_take(di_pool *pool, size_t needed);

/* Takes NULL. */
void di_hold_release(di_hold *hold);

static inline di_hold *di_hold_add(di_hold *hold)
{
    atomic_fetch_add_explicit(&hold->holders, 1, memory_order_relaxed);
    return hold;
}

/* Whether there is one holder, who asks. */
static inline bool di_hold_is_single(di_hold *hold)
{
    return atomic_load_explicit(&hold->holders, memory_order_acquire) == 1;
}

/* The hold whose memory begins at `memory`. */
static inline di_hold *di_hold_of(void *memory)
{
    return (di_hold *)(void *)((uint8_t *)memory - offsetof(di_hold, memory));
}

/* Whether the pool has used large pieces since it was last trimmed. */
static inline bool di_pool_used_large(di_pool *pool)
{
    return atomic_load_explicit(&pool->large_used, memory_order_relaxed);
}

/* Frees the large pieces where none was used since the last time. Returns whether some were. */
bool di_pool_trim(di_pool *pool);

/* Frees what the pool has. */
void di_pool_end(di_pool *pool);

#endif
