/* SPDX-License-Identifier: MIT */
/* Threads that the library starts by itself, for work that cannot be done without waiting. */
#ifndef DI_BASE_THREAD_H
#define DI_BASE_THREAD_H

/* Starts a thread that nobody joins, with a small stack, and without signals: those are the
 * program's. Returns 0 or an errno. */
int di_thread_start(void *(*run)(void *argument), void *argument);

#endif
