/* SPDX-License-Identifier: MIT */
/* What a process holds. */
#ifndef TESTS_SUPPORT_DESCRIPTORS_H
#define TESTS_SUPPORT_DESCRIPTORS_H

/* Descriptors that this process has open, and those few that it takes to count them. */
unsigned count_descriptors(void);

#endif
