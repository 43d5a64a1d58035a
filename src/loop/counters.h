/* SPDX-License-Identifier: MIT */
/* Counters that are read while calls go on, without a lock.
 *
 * The end of a call is one increment: of a bucket of its duration or of its error. All sums are
 * made by the reader, who reads what has ended before what has started; so they always add up.
 *
 * Threads: finding a procedure and counting starts are for one thread at a time, the loop's of a
 * server, or the one that has a client's lock. Ends are counted by any thread; any thread reads.
 * What has only one writer is written without a locked instruction, and so are ends where the
 * process has one thread. */
#ifndef DI_LOOP_COUNTERS_H
#define DI_LOOP_COUNTERS_H

#include "base/thread.h"

#include <dari/counters.h>
#include <dari/interface.h>

#include <stdatomic.h>

/* Slots of the table of procedures; a power of two. */
#define DI_COUNTERS_SLOTS 32u

/* The fixed memory of one procedure. */
typedef struct di_procedure_counters {
    struct di_procedure_counters *next_in_slot;
    _Atomic(struct di_procedure_counters *) next; /* in the order of being found first */
    uint32_t program, version, procedure;
    const char *interface, *name; /* behind the structure, in its memory */
    _Atomic uint64_t started;
    _Atomic uint64_t errors[DARI_ERROR_CODES];
    _Atomic uint64_t latency[DARI_LATENCY_BUCKETS];
} di_procedure_counters;

/* A zeroed structure is empty and ready. */
typedef struct di_counters {
    di_procedure_counters rest; /* calls of no procedure; the first in the order of all */
    di_procedure_counters *last;
    di_procedure_counters *slots[DI_COUNTERS_SLOTS];
} di_counters;

/* What a server counts besides calls. Written by the loop's thread, but for `sent_by_others`. */
typedef struct di_traffic {
    _Atomic uint64_t received, sent, sent_by_others;
    _Atomic uint64_t dropped, repeated;
    _Atomic uint64_t accepted, closed, refused;
} di_traffic;

/* Adds a procedure that is not there. Returns NULL where there is no memory. */
di_procedure_counters *di_counters_add(di_counters *counters, const dari_interface *interface,
                                       uint32_t number, const char *name);

static inline di_procedure_counters **di_counters_slot(di_counters *counters, uint32_t program,
                                                       uint32_t version, uint32_t number)
{
    return &counters->slots[(program + 5 * version + number) & (DI_COUNTERS_SLOTS - 1)];
}

/* Finds a procedure, or adds it. Returns NULL where there is no memory. */
static inline di_procedure_counters *di_counters_find(di_counters *counters,
                                                      const dari_interface *interface,
                                                      uint32_t number, const char *name)
{
    uint32_t program = interface->program;
    uint32_t version = interface->version;
    di_procedure_counters *at = *di_counters_slot(counters, program, version, number);
    for (; at; at = at->next_in_slot)
        if (at->procedure == number && at->program == program && at->version == version)
            return at;
    return di_counters_add(counters, interface, number, name);
}

void di_counters_end(di_counters *counters);

/* Buckets within a doubling of time, as a power of two, and the width of the first ones in ns. */
#define DI_LATENCY_PARTS_BITS 2u
#define DI_LATENCY_UNIT_BITS 4u

/* The bucket of a duration in ns. */
static inline unsigned di_latency_bucket(uint64_t duration)
{
    uint64_t units = duration >> DI_LATENCY_UNIT_BITS;
    if (units < 1u << DI_LATENCY_PARTS_BITS)
        return (unsigned)units;
    unsigned doublings = 63u - (unsigned)__builtin_clzll(units) - DI_LATENCY_PARTS_BITS;
    unsigned bucket = (doublings << DI_LATENCY_PARTS_BITS) + (unsigned)(units >> doublings);
    return bucket < DARI_LATENCY_BUCKETS ? bucket : DARI_LATENCY_BUCKETS - 1;
}

/* Adds to what only one thread at a time writes. */
static inline void di_count(_Atomic uint64_t *counter, uint64_t count)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + count, memory_order_release);
}

/* Adds 1 to what any thread writes. */
static inline void di_count_shared(_Atomic uint64_t *counter)
{
    if (di_is_only_thread())
        di_count(counter, 1);
    else
        atomic_fetch_add_explicit(counter, 1, memory_order_release);
}

static inline void di_count_ok(di_procedure_counters *procedure, uint64_t duration)
{
    di_count_shared(&procedure->latency[di_latency_bucket(duration)]);
}

static inline void di_count_error(di_procedure_counters *procedure, int error)
{
    int code = error < 0 && error > -DARI_ERROR_CODES ? -error : 0;
    di_count_shared(&procedure->errors[code]);
}

#endif
