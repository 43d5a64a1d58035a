/* SPDX-License-Identifier: MIT */
#include "loop/spin.h"

#include "base/clock.h"

/* Looks between two readings of the clock. */
#define LOOKS 64
/* The first ones, for a peer that answers at once: without a pause, and nothing else is looked at.
 */
#define LOOKS_FIRST 256
/* Looks at a peer that was busy a moment ago: a few microseconds. */
#define BRIEFLY_NS 2000u
#define LOOKS_BRIEFLY 16
/* Spins for nothing in a row that are believed. */
#define MISSES 2u

/* Leaves the processor's units to a sibling, and keeps it from guessing ahead. */
static void pause_processor(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* When the looking ends. */
typedef struct spin_end {
    uint64_t at;   /* unless the peer is seen at work, 0 at first */
    uint64_t last; /* at the latest */
    uint32_t work; /* as it was, */
    bool looked;   /* which is known */
} spin_end;

static uint32_t work_of(const di_spin *spin, void *argument)
{
    return spin->work ? spin->work(argument) : 0;
}

/* Whether it has come. */
static bool is_at_end(const di_spin *spin, void *argument, uint64_t most_ns, spin_end *end)
{
    uint64_t now = di_now();
    uint64_t span = most_ns < DI_SPIN_NS ? most_ns : DI_SPIN_NS;
    if (!end->at) {
        end->last = now + (most_ns / DI_SPIN_STRETCH < span ? most_ns : DI_SPIN_STRETCH * span);
        end->at = now + span;
        return false;
    }
    bool over = now >= end->at;
    if (end->looked && !over)
        return false;
    uint32_t work = work_of(spin, argument);
    if (over && (!end->looked || work == end->work || now >= end->last))
        return true;
    if (over)
        end->at = now + span < end->last ? now + span : end->last;
    end->looked = true;
    end->work = work;
    return false;
}

static bool look_for(const di_spin *spin, bool (*look)(void *argument), void *argument,
                     uint64_t most_ns)
{
    spin_end end = {0};
    for (int i = 0; i < LOOKS_FIRST; i++)
        if (look(argument))
            return true;
    while (!is_at_end(spin, argument, most_ns, &end))
        for (int i = 0; i < LOOKS; i++) {
            if (look(argument))
                return true;
            pause_processor();
        }
    return false;
}

static unsigned skips_after(unsigned misses)
{
    unsigned doublings = misses - MISSES;
    return doublings < 10 ? 1u << doublings : DI_SPIN_SKIPS_MAX;
}

bool di_spin_until(di_spin *spin, bool (*look)(void *argument), void *argument, uint64_t most_ns)
{
    if (look(argument)) {
        spin->rounds = 0;
        return true;
    }
    if (spin->policy == DARI_SPIN_NEVER)
        return false;
    if (spin->skips > 0) {
        spin->skips--;
        return false;
    }
    if (look_for(spin, look, argument, most_ns)) {
        spin->misses = spin->rounds = 0;
        return true;
    }
    spin->misses++;
    if (spin->policy != DARI_SPIN_LATENCY && spin->misses >= MISSES)
        spin->skips = skips_after(spin->misses);
    return false;
}

bool di_spin_is_over(di_spin *spin)
{
    if (spin->policy == DARI_SPIN_LATENCY && ++spin->rounds < DI_SPIN_ROUNDS)
        return false;
    spin->rounds = 0;
    return true;
}

bool di_spin_briefly(const di_spin *spin, bool (*look)(void *argument), void *argument,
                     uint64_t *clock)
{
    if (spin->policy == DARI_SPIN_NEVER || spin->misses > 0)
        return look(argument);
    uint64_t now = *clock = di_now();
    uint64_t end = now + BRIEFLY_NS;
    for (; now < end; now = *clock = di_now())
        for (int i = 0; i < LOOKS_BRIEFLY; i++)
            if (look(argument))
                return true;
    return false;
}
