/* SPDX-License-Identifier: MIT */
/* A program that this process has started and talks with over two pipes.
 *
 * A thread of its own waits for the program's end, so that no zombie stays however long nobody uses
 * the connection. Once the connection is closed the program has a time of grace to end by itself,
 * which it knows by the end of its input; then the thread kills it. */
#ifndef DI_TRANSPORT_PROGRAM_H
#define DI_TRANSPORT_PROGRAM_H

#include "transport/transport.h"

typedef struct di_program di_program;

/* What the program gets by DARI_PIPE in its environment, and its descriptors, where it keeps its
 * standard input and output. */
#define DI_PROGRAM_OWN_IN 3
#define DI_PROGRAM_OWN_OUT 4

/* Starts the program arguments[0], which is looked for in PATH where it has no slash. Returns 0 and
 * both ends of the pipes, without O_NONBLOCK for the program, with it for us; or an error.
 * `keeps_standard`: it talks over DI_PROGRAM_OWN_IN and OUT. */
int di_program_start(char *const arguments[], bool keeps_standard, uint64_t grace_ns,
                     di_program **ret_program, int *ret_in, int *ret_out, di_failure *failure);

/* A pidfd, readable once the program has ended. Lives until the release. */
int di_program_descriptor(const di_program *program);
int32_t di_program_pid(const di_program *program);

/* The connection is closed: the program is to end. Never waits. In a process that inherited the
 * program by fork, it goes on. */
void di_program_release(di_program *program);

#endif
