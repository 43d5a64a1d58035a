/* SPDX-License-Identifier: MIT */
#include "loop/spin.h"

#include "base/clock.h"

/* Looks between two readings of the clock; the first ones are made without a pause, since a peer
 * that is busy answers at once. */
#define LOOKS 64
/* Looks at a peer that was busy a moment ago: a few microseconds. */
#define LOOKS_BRIEFLY 512
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

static bool look_for(bool (*look)(void *argument), void *argument, uint64_t most_ns)
{
    uint64_t end = 0;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (look(argument))
                return true;
            if (end)
                pause_processor();
        }
        uint64_t now = di_now();
        if (end == 0)
            end = now + most_ns;
        else if (now >= end)
            return false;
    } while (true);
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
    if (look_for(look, argument, most_ns < DI_SPIN_NS ? most_ns : DI_SPIN_NS)) {
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

bool di_spin_briefly(const di_spin *spin, bool (*look)(void *argument), void *argument)
{
    bool spins = spin->policy != DARI_SPIN_NEVER && spin->misses == 0;
    int left = spins ? LOOKS_BRIEFLY : 1;
    while (left > 0 && !look(argument))
        left--;
    return left > 0;
}
