/* SPDX-License-Identifier: MIT */
#include "kill/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

pid_t fork_child(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        abort();
    }
    for (size_t i = 0; pid == 0 && i < sizeof faults / sizeof *faults; i++)
        signal(faults[i], SIG_DFL);
    return pid;
}
