/* SPDX-License-Identifier: MIT */
/* The cancel behind dari_cancel: a flag that says so, and a descriptor that wakes who waits.
 *
 * The flag is set before the descriptor becomes readable, and neither is ever taken back. */
#ifndef DI_LOOP_CANCEL_H
#define DI_LOOP_CANCEL_H

#include "base/fork_guard.h"

#include <dari/cancel.h>

#include <stdatomic.h>
#include <stddef.h>

struct dari_cancel {
    di_fork_guard guard;
    atomic_bool set;
    int descriptor; /* an eventfd, readable once set */
};

static inline bool di_cancelled(const dari_cancel *cancel)
{
    return cancel && atomic_load(&cancel->set);
}

#endif
