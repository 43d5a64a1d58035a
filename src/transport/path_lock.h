/* SPDX-License-Identifier: MIT */
/* The lock on a path that a listener owns: a file beside it, PATH.lock.
 *
 * A path belongs to the process that holds the lock, which the kernel gives up once that process
 * and all children that inherited it are dead: only under the lock is what the path names made,
 * taken over or removed. One thread at a time. */
#ifndef DI_TRANSPORT_PATH_LOCK_H
#define DI_TRANSPORT_PATH_LOCK_H

#include "base/text.h"
#include "transport/transport.h"

typedef struct di_path_lock {
    di_text path;   /* of the lock file */
    int descriptor; /* or -1: not held */
} di_path_lock;

/* A lock that is not held. */
static inline void di_path_lock_init(di_path_lock *lock)
{
    *lock = (di_path_lock){.descriptor = -1};
}

/* Takes the lock on `path`. Errors: DARI_IN_USE (held), DARI_ADDRESS, DARI_PERMISSION, DARI_ERRNO,
 * DARI_NO_MEMORY; di_path_lock_end is due all the same. */
int di_path_lock_take(di_path_lock *lock, const char *path, di_failure *failure);

/* Whether the lock is held, and on the file that has its name: somebody may have removed that by
 * hand, and then the path is no longer ours to remove. */
bool di_path_lock_owns(const di_path_lock *lock);

/* Removes the lock file, after everything else that is removed under the lock. */
void di_path_lock_remove(di_path_lock *lock);

/* Gives the lock up; a child that inherited it goes on holding it. */
void di_path_lock_end(di_path_lock *lock);

#endif
