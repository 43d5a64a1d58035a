/* SPDX-License-Identifier: MIT */
/* When a call is sent again over a transport that may lose messages: after a time that doubles with
 * every attempt up to a limit, each a quarter shorter to a quarter longer by chance, so that
 * callers whose messages were lost together do not come back together. One thread at a time. */
#ifndef DI_RPC_RETRY_H
#define DI_RPC_RETRY_H

#include <stdint.h>

/* The longest time between two attempts, on average. */
#define DI_RETRY_MAX_NS UINT64_C(8000000000)

typedef struct di_retry {
    uint64_t interval_ns; /* until the next attempt, on average */
    uint64_t chance;      /* the state of a random sequence */
} di_retry;

/* `first_ns`: the average time to the second attempt, 1 to DI_RETRY_MAX_NS. `seed`: any number that
 * other callers do not have. */
static inline void di_retry_begin(di_retry *retry, uint64_t first_ns, uint64_t seed)
{
    *retry = (di_retry){.interval_ns = first_ns, .chance = seed};
}

/* An attempt is made at `now`: returns when the next one is due. */
static inline uint64_t di_retry_next(di_retry *retry, uint64_t now)
{
    /* Steele, Lea and Flood's SplitMix (2014). */
    uint64_t mixed = retry->chance += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    mixed ^= mixed >> 31;
    uint64_t interval = retry->interval_ns;
    uint64_t due = now + interval - interval / 4 + mixed % (interval / 2 + 1);
    retry->interval_ns = interval < DI_RETRY_MAX_NS / 2 ? 2 * interval : DI_RETRY_MAX_NS;
    return due;
}

#endif
