/* SPDX-License-Identifier: MIT */
/* Processes that are killed. */
#ifndef DARI_TEST_KILL_PROCESS_H
#define DARI_TEST_KILL_PROCESS_H

#include <sys/types.h>

/* Forks a child, which dies of a fault of its own instead of going on with the tests. */
pid_t fork_child(void);

#endif
