/* SPDX-License-Identifier: MIT */
/* Time: the monotonic clock in nanoseconds, and deadlines on it. From any thread. */
#ifndef DI_BASE_CLOCK_H
#define DI_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* A deadline that never comes. */
#define DI_NEVER UINT64_MAX

uint64_t di_now(void);

/* The moment `duration` ns from now, DI_NEVER where that is beyond the clock. */
uint64_t di_deadline_in(uint64_t duration);
/* The same, where it is known what the time is. */
uint64_t di_deadline_after(uint64_t now, uint64_t duration);

/* The time until a deadline as a call context says it: at least 1 ns, DI_NEVER for DI_NEVER. */
uint64_t di_time_left(uint64_t deadline);

/* The milliseconds until a deadline for poll: rounded up, 0 where it has passed, -1 for DI_NEVER.
 */
int di_poll_timeout(uint64_t deadline);
/* The same, where it is known what the time is. */
int di_poll_timeout_at(uint64_t now, uint64_t deadline);

/* A deadline or a duration for the system, cut to the latest moment that it can express: a time_t
 * may have 32 bits. */
struct timespec di_timespec(uint64_t nanoseconds);

#endif
