/* SPDX-License-Identifier: MIT */
#include "transport/failure.h"

#include <dari/error.h>

#include <errno.h>

int di_fail(di_failure *failure, int error, const char *words)
{
    *failure = (di_failure){.words = words};
    return error;
}

int di_fail_system(di_failure *failure, int cause, const char *words)
{
    *failure = (di_failure){.system_error = cause, .words = words};
    switch (cause) {
    case ENOENT:
    case ECONNREFUSED:
        return DARI_REFUSED;
    case ECONNRESET: /* it has died since it was connected to */
        return DARI_CLOSED;
    case EACCES:
    case EPERM:
        return DARI_PERMISSION;
    case EADDRINUSE:
        return DARI_IN_USE;
    case EADDRNOTAVAIL:
        return DARI_ADDRESS;
    case ENOMEM:
    case ENOBUFS:
        return DARI_NO_MEMORY;
    default:
        return DARI_ERRNO;
    }
}

int di_failure_rank(int error)
{
    switch (error) {
    case DARI_DEADLINE:
        return 3;
    case DARI_REFUSED:
        return 2;
    case DARI_ADDRESS:
    case DARI_ERRNO:
        return 0;
    default:
        return 1;
    }
}
