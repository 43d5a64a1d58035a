/* SPDX-License-Identifier: MIT */
/* Processes by descriptors, which cannot come to stand for another one. Any thread. */
#ifndef DI_BASE_PROCESS_H
#define DI_BASE_PROCESS_H

#include <sys/types.h>

/* Opens a descriptor of a process, which is close-on-exec, and readable once the process has ended.
 * Returns it, or -1 with errno: ESRCH where there is no such process. */
int di_process_open(pid_t process);

#endif
