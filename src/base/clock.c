/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <limits.h>

uint64_t di_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t di_deadline_after(uint64_t now, uint64_t duration)
{
    return duration < DI_NEVER - now ? now + duration : DI_NEVER;
}

uint64_t di_deadline_in(uint64_t duration)
{
    return di_deadline_after(di_now(), duration);
}

uint64_t di_time_left(uint64_t deadline)
{
    if (deadline == DI_NEVER)
        return DI_NEVER;
    uint64_t now = di_now();
    return now < deadline ? deadline - now : 1;
}

int di_poll_timeout(uint64_t deadline)
{
    return di_poll_timeout_at(deadline == DI_NEVER ? 0 : di_now(), deadline);
}

int di_poll_timeout_at(uint64_t now, uint64_t deadline)
{
    if (deadline == DI_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    uint64_t milliseconds = (deadline - now + 999999) / 1000000;
    return milliseconds < INT_MAX ? (int)milliseconds : INT_MAX;
}

struct timespec di_timespec(uint64_t nanoseconds)
{
    const uint64_t latest = sizeof(time_t) > 4 ? INT64_MAX : INT32_MAX;
    uint64_t seconds = nanoseconds / UINT64_C(1000000000);
    if (seconds > latest)
        return (struct timespec){.tv_sec = (time_t)latest, .tv_nsec = 999999999};
    return (struct timespec){.tv_sec = (time_t)seconds,
                             .tv_nsec = (long)(nanoseconds % UINT64_C(1000000000))};
}
