/* SPDX-License-Identifier: MIT */
#include "support/queues.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

void use_queues_of_ones_own(void)
{
    if (geteuid() == 0 && unshare(CLONE_NEWIPC) < 0)
        puts("# message queues are shared with other processes");
}

void take_turns_with_queues(void)
{
    int lock = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        puts("# other tests may take what there is for queues");
}
