/* SPDX-License-Identifier: MIT */
/* Spinning: looking again and again for what a peer may write into memory at any moment, before
 * sleeping, which costs both sides system calls.
 *
 * A spin that finds nothing was for nothing, and where both sides share a processor each one is:
 * after two of them in a row spinning is left out, for twice as many waits each time. One thread at
 * a time. */
#ifndef DI_LOOP_SPIN_H
#define DI_LOOP_SPIN_H

#include <dari/spin.h>

#include <stdbool.h>
#include <stdint.h>

/* The longest spin: what waking a process on another processor costs. */
#define DI_SPIN_NS UINT64_C(50000)
/* As many times that, while the peer is seen at work. */
#define DI_SPIN_STRETCH 8u
/* With DARI_SPIN_LATENCY as many in a row, between which one looks what else there is: 10 ms. */
#define DI_SPIN_ROUNDS 200u
/* The most waits without spinning in a row. */
#define DI_SPIN_SKIPS_MAX 1024u

typedef struct di_spin {
    enum dari_spin policy;
    uint32_t (*work)(void *argument); /* a figure that changes while the peer works; or NULL */
    unsigned misses;                  /* spins in a row that found nothing */
    unsigned skips;                   /* waits that are still to be left out */
    unsigned rounds;                  /* of DARI_SPIN_LATENCY in a row */
} di_spin;

/* Looks until `look` says true, for `most_ns` at most. Returns whether it did. `argument` is for
 * `work` too. */
bool di_spin_until(di_spin *spin, bool (*look)(void *argument), void *argument, uint64_t most_ns);

/* The same for a peer that was busy a moment ago: for no more than what it takes to answer, and
 * only where the last spin found something. `clock` is read now and then, and is no older than a
 * tenth of a microsecond or so where something was found. */
bool di_spin_briefly(const di_spin *spin, bool (*look)(void *argument), void *argument,
                     uint64_t *clock);

/* Whether to sleep, after a spin that found nothing; otherwise one looks what else there is, and
 * spins again. */
bool di_spin_is_over(di_spin *spin);

#endif
