/* SPDX-License-Identifier: MIT */
#include "support/descriptors.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) {
        perror("/proc/self/fd");
        abort();
    }
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

bool await_descriptors(unsigned count)
{
    for (int i = 0; i < 10000 && count_descriptors() != count; i++)
        poll(NULL, 0, 1);
    return count_descriptors() == count;
}
