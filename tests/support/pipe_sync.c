/* SPDX-License-Identifier: MIT */
/* ThreadSanitizer knows that what was written before a write happened before what follows the read,
 * but not of the calls with flags by which pipes are moved. The linker puts these in their places
 * (--wrap; file offsets have 64 bits, which is in the functions' names). */
#include <errno.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

ssize_t __real_preadv64v2(int descriptor, const struct iovec *list, int count, off_t at, int flags);
ssize_t __wrap_preadv64v2(int descriptor, const struct iovec *list, int count, off_t at, int flags);
ssize_t __real_pwritev64v2(int descriptor, const struct iovec *list, int count, off_t at,
                           int flags);
ssize_t __wrap_pwritev64v2(int descriptor, const struct iovec *list, int count, off_t at,
                           int flags);

ssize_t __real_read(int descriptor, void *bytes, size_t size);
ssize_t __wrap_read(int descriptor, void *bytes, size_t size);

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);

static char pipes; /* one for all of them */
#define ACQUIRE() __tsan_acquire(&pipes)
#define RELEASE() __tsan_release(&pipes)
#else
#define ACQUIRE() ((void)0)
#define RELEASE() ((void)0)
#endif

ssize_t __wrap_preadv64v2(int descriptor, const struct iovec *list, int count, off_t at, int flags)
{
    ssize_t got = __real_preadv64v2(descriptor, list, count, at, flags);
    ACQUIRE();
    return got;
}

ssize_t __wrap_pwritev64v2(int descriptor, const struct iovec *list, int count, off_t at, int flags)
{
    RELEASE();
    return __real_pwritev64v2(descriptor, list, count, at, flags);
}

ssize_t __wrap_read(int descriptor, void *bytes, size_t size)
{
    ssize_t got = __real_read(descriptor, bytes, size);
    int cause = errno;
    struct stat status;
    if (fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode))
        ACQUIRE();
    errno = cause;
    return got;
}
