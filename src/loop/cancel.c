/* SPDX-License-Identifier: MIT */
#include "loop/cancel.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int dari_cancel_create(dari_cancel **ret_cancel)
{
    if (!ret_cancel)
        return DARI_INVALID;
    dari_cancel *cancel = calloc(1, sizeof *cancel);
    if (!cancel)
        return DARI_NO_MEMORY;
    cancel->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = cancel->descriptor < 0 ? DARI_ERRNO : di_fork_guard_init(&cancel->guard);
    if (error < 0) {
        int cause = errno;
        dari_cancel_destroy(cancel);
        errno = cause;
        return error;
    }
    *ret_cancel = cancel;
    return 0;
}

void dari_cancel_now(dari_cancel *cancel)
{
    int before = errno;
    if (!di_forked(&cancel->guard)) {
        atomic_store(&cancel->set, true);
        eventfd_write(cancel->descriptor, 1);
    }
    errno = before;
}

bool dari_cancel_is_set(const dari_cancel *cancel)
{
    return di_cancelled(cancel);
}

void dari_cancel_destroy(dari_cancel *cancel)
{
    if (!cancel)
        return;
    if (cancel->descriptor >= 0)
        close(cancel->descriptor);
    di_fork_guard_end(&cancel->guard);
    free(cancel);
}
