/* SPDX-License-Identifier: MIT */
/* What tests that kill processes need of one: to fork it, and to see what it holds. */
#ifndef DARI_TEST_KILL_PROCESS_H
#define DARI_TEST_KILL_PROCESS_H

#include <sys/types.h>

/* Forks a child, which dies of a fault of its own instead of going on with the tests. */
pid_t fork_child(void);

/* Descriptors that this process has open, and those that it takes to count them. */
unsigned count_descriptors(void);

#endif
