/* SPDX-License-Identifier: MIT */
#include "transport/path_lock.h"

#include "transport/failure.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens the lock file and locks it. */
static int lock_file(di_path_lock *lock, di_failure *failure)
{
    int descriptor =
        open(lock->path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (descriptor < 0) {
        int error =
            di_fail_system(failure, errno, "the lock file beside the path cannot be opened");
        return error == DARI_REFUSED ? DARI_ADDRESS : error;
    }
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(descriptor, F_OFD_SETLK, &whole) < 0) {
        int cause = errno;
        close(descriptor);
        if (cause == EAGAIN || cause == EACCES)
            return di_fail(failure, DARI_IN_USE,
                           "the path's lock is held: by a living owner or a child that it forked");
        return di_fail_system(failure, cause, "the lock file beside the path cannot be locked");
    }
    lock->descriptor = descriptor;
    return 0;
}

int di_path_lock_take(di_path_lock *lock, const char *path, di_failure *failure)
{
    di_text_format(&lock->path, "%s.lock", path);
    if (lock->path.failed)
        return DARI_NO_MEMORY;
    for (;;) {
        int error = lock_file(lock, failure);
        if (error < 0 || di_path_lock_owns(lock))
            return error;
        close(lock->descriptor);
        lock->descriptor = -1;
    }
}

bool di_path_lock_owns(const di_path_lock *lock)
{
    struct stat held, named;
    return lock->descriptor >= 0 && fstat(lock->descriptor, &held) == 0 &&
           stat(lock->path.data, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

void di_path_lock_remove(di_path_lock *lock)
{
    unlink(lock->path.data);
}

void di_path_lock_end(di_path_lock *lock)
{
    if (lock->descriptor >= 0)
        close(lock->descriptor);
    lock->descriptor = -1;
    di_text_free(&lock->path);
}
