/* SPDX-License-Identifier: MIT */
/* What a process holds. */
#ifndef TESTS_SUPPORT_DESCRIPTORS_H
#define TESTS_SUPPORT_DESCRIPTORS_H

#include <stdbool.h>

/* Descriptors that this process has open, and those few that it takes to count them. */
unsigned count_descriptors(void);

/* Waits until there are so many, for 10 s at most: a thread of the library's may close some, and
 * tells nobody. Returns whether there are. */
bool await_descriptors(unsigned count);

#endif
