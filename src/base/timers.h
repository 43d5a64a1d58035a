/* SPDX-License-Identifier: MIT */
/* Deadlines in order: a pairing heap whose nodes lie in their owners' memory, so that setting and
 * clearing one allocates nothing and takes O(log n) on average. Those that are set in the order in
 * which they are due, as the deadlines of calls that may take equally long are, form a chain, of
 * which setting and clearing one takes a few steps. One thread at a time. */
#ifndef DI_BASE_TIMERS_H
#define DI_BASE_TIMERS_H

#include <stdint.h>

typedef struct di_timer {
    uint64_t deadline;
    struct di_timer *child;    /* the first of those below, which are not due before */
    struct di_timer *next;     /* sibling */
    struct di_timer *previous; /* sibling, or the parent of a first child */
} di_timer;

/* A zeroed structure has no timers. */
typedef struct di_timers {
    di_timer *first;  /* the timer that is due first, or NULL */
    di_timer *newest; /* the one that was added last, if it is in still, or NULL */
} di_timers;

/* Adds a timer whose deadline is set; the other members need not be. */
void di_timers_add(di_timers *timers, di_timer *timer);

/* Takes a timer out, which is in. */
void di_timers_remove(di_timers *timers, di_timer *timer);

#endif
