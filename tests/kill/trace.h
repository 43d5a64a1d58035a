/* SPDX-License-Identifier: MIT */
/* Children that are followed instruction by instruction, and stopped at one of them.
 *
 * A child that was forked has this program's own code at the same addresses as the parent; what the
 * C library does is one step of it. Its own instructions stop it where the parent is to take notice
 * (SIGSTOP). x86 only. */
#ifndef DARI_TEST_KILL_TRACE_H
#define DARI_TEST_KILL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether this machine and build have it: the processor, and the right to trace. */
bool trace_is_there(void);

/* By the child: from now on its parent traces it. */
void trace_me(void);

/* Distinct addresses of this program's code, in the order in which they were first passed. */
typedef struct trace_path {
    uintptr_t *addresses;
    size_t count;
    size_t steps; /* all instructions, those of the C library too */
} trace_path;

/* Waits until the child stops itself. Returns false where it ended instead. */
bool trace_await_stop(pid_t child);
/* Steps a stopped child until it stops itself again, or ends (false). */
bool trace_record(pid_t child, trace_path *ret_path);
void trace_path_free(trace_path *path);

/* Lets a stopped child go on until it stops itself again, or ends (false). */
bool trace_run_on(pid_t child);
/* Lets a stopped child go on to the address. Returns true where it is there, and stopped before it;
 * false where it has stopped itself, or ended, before. */
bool trace_run_to(pid_t child, uintptr_t address);
/* The same, step by step: as slow as where it was recorded. */
bool trace_step_to(pid_t child, uintptr_t address);
/* Kills it, whatever it does, and waits until it is dead. */
void trace_kill(pid_t child);

#endif
