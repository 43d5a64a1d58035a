/* SPDX-License-Identifier: MIT */
#include "loop/spin.h"

#include "base/clock.h"

/* Looks between two readings of the clock. */
#define LOOKS 64
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
