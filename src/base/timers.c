/* SPDX-License-Identifier: MIT */
#include "base/timers.h"

#include <stddef.h>

/* Two heaps become one. */
static di_timer *merge(di_timer *a, di_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->deadline < a->deadline) {
        di_timer *swapped = a;
        a = b;
        b = swapped;
    }
    b->previous = a;
    b->next = a->child;
    if (b->next)
        b->next->previous = b;
    a->child = b;
    return a;
}

static di_timer *detach(di_timer *timer)
{
    if (timer)
        timer->next = timer->previous = NULL;
    return timer;
}

/* Siblings become one heap: pairs first, then these from the last one on. */
static di_timer *merge_all(di_timer *first)
{
    di_timer *pairs = NULL;
    if (!first || !first->next)
        return detach(first);
    while (first) {
        di_timer *a = first, *b = a->next;
        first = b ? b->next : NULL;
        di_timer *pair = merge(detach(a), detach(b));
        pair->next = pairs;
        pairs = pair;
    }
    di_timer *merged = NULL;
    while (pairs) {
        di_timer *next = pairs->next;
        merged = merge(merged, detach(pairs));
        pairs = next;
    }
    return merged;
}

void di_timers_add(di_timers *timers, di_timer *timer)
{
    di_timer *newest = timers->newest;
    timer->child = timer->next = timer->previous = NULL;
    if (newest && newest->deadline <= timer->deadline)
        merge(newest, timer);
    else
        timers->first = merge(timers->first, timer);
    timers->newest = timer;
}

void di_timers_remove(di_timers *timers, di_timer *timer)
{
    di_timer *below = merge_all(timer->child);
    if (timer == timers->newest)
        timers->newest = NULL;
    if (timer == timers->first) {
        timers->first = below;
        return;
    }
    if (timer->previous->child == timer)
        timer->previous->child = timer->next;
    else
        timer->previous->next = timer->next;
    if (timer->next)
        timer->next->previous = timer->previous;
    timers->first = merge(timers->first, below);
}
