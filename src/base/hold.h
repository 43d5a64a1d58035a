/* SPDX-License-Identifier: MIT */
/* Memory that several hold, from any threads, and the last one frees. */
#ifndef DI_BASE_HOLD_H
#define DI_BASE_HOLD_H

#include <stdatomic.h>
#include <stdlib.h>

typedef struct di_hold {
    atomic_uint holders;
    void *memory; /* of malloc, or NULL; written by the first holder only, before it lets go */
} di_hold;

/* A hold with one holder and no memory yet, or NULL. */
static inline di_hold *di_hold_create(void)
{
    di_hold *hold = malloc(sizeof *hold);
    if (hold) {
        atomic_init(&hold->holders, 1);
        hold->memory = NULL;
    }
    return hold;
}

static inline di_hold *di_hold_add(di_hold *hold)
{
    atomic_fetch_add_explicit(&hold->holders, 1, memory_order_relaxed);
    return hold;
}

/* Whether there is one holder, who asks. */
static inline int di_hold_is_single(di_hold *hold)
{
    return atomic_load_explicit(&hold->holders, memory_order_acquire) == 1;
}

/* Takes NULL. */
static inline void di_hold_release(di_hold *hold)
{
    if (hold && atomic_fetch_sub_explicit(&hold->holders, 1, memory_order_acq_rel) == 1) {
        free(hold->memory);
        free(hold);
    }
}

#endif
