/* SPDX-License-Identifier: MIT */
/* What tests of message queues owe each other. */
#ifndef TESTS_SUPPORT_QUEUES_H
#define TESTS_SUPPORT_QUEUES_H

/* Has the process leave its queues to nobody, where that is allowed: they outlive those who fail.
 */
void use_queues_of_ones_own(void);

/* Waits until no other test has as many queues as a user may: the limit counts those in all
 * namespaces. For the rest of this process and its children. */
void take_turns_with_queues(void);

#endif
