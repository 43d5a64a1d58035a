/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

int di_process_open(pid_t process)
{
    /* The C library has no function for it before glibc 2.36. */
    return (int)syscall(SYS_pidfd_open, process, 0);
}
