/* SPDX-License-Identifier: MIT */
/* Threads that the library starts by itself, for work that cannot be done without waiting; and
 * whether there are any. */
#ifndef DI_BASE_THREAD_H
#define DI_BASE_THREAD_H

#include <stdbool.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

/* Starts a thread that nobody joins, with a small stack, and without signals: those are the
 * program's. Returns 0 or an errno. */
int di_thread_start(void *(*run)(void *argument), void *argument);

/* Whether the process is known to have no other thread: what several would have to do at one stroke
 * needs no locked instruction then. The first thread is started by this one, so it stays true until
 * this one starts one. */
static inline bool di_is_only_thread(void)
{
#if __has_include(<sys/single_threaded.h>)
    return __libc_single_threaded;
#else
    return false;
#endif
}

#endif
