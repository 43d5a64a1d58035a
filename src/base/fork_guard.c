/* SPDX-License-Identifier: MIT */
#include "base/fork_guard.h"

#include <dari/error.h>

#include <stddef.h>
#include <sys/mman.h>

/* An advice that does not exist: whoever takes it does not look. */
#define NO_ADVICE 0x7fff

void di_fork_guard_init_by_id(di_fork_guard *guard)
{
    *guard = (di_fork_guard){.owner = getpid()};
}

int di_fork_guard_init(di_fork_guard *guard)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return DARI_ERRNO;
    if (madvise(page, size, NO_ADVICE) == 0 || madvise(page, size, MADV_WIPEONFORK) < 0) {
        munmap(page, size);
        di_fork_guard_init_by_id(guard);
        return 0;
    }
    *guard = (di_fork_guard){.page = page};
    *guard->page = 1;
    return 0;
}

void di_fork_guard_end(di_fork_guard *guard)
{
    if (guard->page)
        munmap((void *)guard->page, (size_t)sysconf(_SC_PAGESIZE));
    *guard = (di_fork_guard){.page = NULL};
}
