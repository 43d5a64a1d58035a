/* SPDX-License-Identifier: MIT */
/* Knows whether this process made a handle, or inherited it over fork: a page of memory that the
 * kernel empties in the child, so that asking costs one load. Where there is no such kernel (an
 * emulator that ignores all advice on memory is one), the process id is asked for instead. The
 * owner of the handle owns the guard; any thread and any signal handler may ask. */
#ifndef DI_BASE_FORK_GUARD_H
#define DI_BASE_FORK_GUARD_H

#include <stdbool.h>
#include <unistd.h>

/* A zeroed guard guards nothing: nobody was forked. */
typedef struct di_fork_guard {
    volatile unsigned char *page;
    pid_t owner; /* where there is no page */
} di_fork_guard;

/* Returns 0 or DARI_ERRNO. */
int di_fork_guard_init(di_fork_guard *guard);

/* What di_fork_guard_init falls back to. */
void di_fork_guard_init_by_id(di_fork_guard *guard);

static inline bool di_forked(const di_fork_guard *guard)
{
    if (guard->page)
        return *guard->page == 0;
    return guard->owner && guard->owner != getpid();
}

/* Takes a zeroed guard too. */
void di_fork_guard_end(di_fork_guard *guard);

#endif
