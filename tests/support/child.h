/* SPDX-License-Identifier: MIT */
/* How a child process of a test ends that has not called exec. */
#ifndef DARI_TEST_CHILD_H
#define DARI_TEST_CHILD_H

#include <unistd.h>

#ifdef DARI_TEST_COVERAGE
void __gcov_dump(void);
#endif

/* Ends the child at once, as _exit does; what of the code it has run is measured, where it may
 * write that down. */
static inline _Noreturn void child_exit(int status)
{
#ifdef DARI_TEST_COVERAGE
    __gcov_dump();
#endif
    _exit(status);
}

#endif
