/* SPDX-License-Identifier: MIT */
#include "base/hold.h"

#include <stdlib.h>

static _Atomic(di_hold *) *slots_for(di_pool *pool, size_t room)
{
    if (room <= DI_POOL_SMALL_ROOM)
        return pool->small;
    if (!di_pool_used_large(pool))
        atomic_store_explicit(&pool->large_used, true, memory_order_relaxed);
    return pool->large;
}

/* Puts a piece into a slot that is empty, or frees it. */
static void give(di_hold *hold)
{
    _Atomic(di_hold *) *slots = slots_for(hold->pool, hold->room);
    for (unsigned i = 0; i < DI_POOL_SLOTS; i++) {
        di_hold *none = NULL;
        if (!atomic_load_explicit(&slots[i], memory_order_relaxed) &&
            atomic_compare_exchange_strong_explicit(&slots[i], &none, hold, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    free(hold);
}

/* A piece that is looked at is taken: another thread might free it meanwhile. */
di_hold *di_pool_take(di_pool *pool, size_t needed)
{
    if (!pool)
        return NULL;
    _Atomic(di_hold *) *slots = slots_for(pool, needed);
    for (unsigned i = 0; i < DI_POOL_SLOTS; i++) {
        if (!atomic_load_explicit(&slots[i], memory_order_relaxed))
            continue;
        di_hold *hold = atomic_exchange_explicit(&slots[i], NULL, memory_order_acquire);
        if (hold && hold->room >= needed) {
            atomic_init(&hold->holders, 1);
            return hold;
        }
        if (hold)
            give(hold);
    }
    return NULL;
}

di_hold *di_hold_create(di_pool *pool, size_t room)
{
    di_hold *hold = room <= SIZE_MAX - sizeof *hold ? malloc(sizeof *hold + room) : NULL;
    if (!hold)
        return NULL;
    atomic_init(&hold->holders, 1);
    hold->pool = pool;
    hold->room = room;
    return hold;
}

void di_hold_release(di_hold *hold)
{
    if (!hold)
        return;
    /* Nobody but the last one could add another. */
    if (!di_hold_is_single(hold) &&
        atomic_fetch_sub_explicit(&hold->holders, 1, memory_order_acq_rel) != 1)
        return;
    if (hold->pool)
        give(hold);
    else
        free(hold);
}

static void free_all(_Atomic(di_hold *) *slots)
{
    for (unsigned i = 0; i < DI_POOL_SLOTS; i++)
        free(atomic_exchange_explicit(&slots[i], NULL, memory_order_acquire));
}

bool di_pool_trim(di_pool *pool)
{
    bool used = atomic_exchange_explicit(&pool->large_used, false, memory_order_relaxed);
    if (!used)
        free_all(pool->large);
    return used;
}

void di_pool_end(di_pool *pool)
{
    free_all(pool->small);
    free_all(pool->large);
}
