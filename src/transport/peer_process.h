/* SPDX-License-Identifier: MIT */
/* The process at the other side of a unix socket, as a descriptor that tells of its death: the
 * socket alone may be kept open by a child that it forked. Any thread. */
#ifndef DI_TRANSPORT_PEER_PROCESS_H
#define DI_TRANSPORT_PEER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct di_peer_process {
    int descriptor;   /* a pidfd, or -1: there is none, as across namespaces */
    bool by_number;   /* the kernel (before 6.5) has only told the number of the process, which may
                         be another one's by now: what it says of its start is to be compared */
    uint64_t started; /* then: when the process that was found has started, or 0 */
} di_peer_process;

/* Returns 0, DARI_CLOSED (it is dead) or DARI_ERRNO. */
int di_peer_process_open(int socket, di_peer_process *ret_process);

/* When this process has started, in the system's ticks since it was booted; 0: nobody knows. */
uint64_t di_process_started(void);

#endif
