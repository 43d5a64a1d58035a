/* SPDX-License-Identifier: MIT */
#include "ipc/memory.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

size_t di_memory_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int fail(const char *words, const char **ret_words)
{
    *ret_words = words;
    return errno == ENOMEM || errno == ENOSPC ? DARI_NO_MEMORY : DARI_ERRNO;
}

/* A file beyond the limit would cost the process a SIGXFSZ. */
static bool is_beyond_limit(size_t size)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           size > limit.rlim_cur;
}

/* Kernels before 6.3 do not know that memory need not be executable. */
static int make_file(void)
{
    int descriptor = memfd_create("dari", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (descriptor < 0 && errno == EINVAL)
        descriptor = memfd_create("dari", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return descriptor;
}

static int allocate(int descriptor, size_t size)
{
    int result;
    do
        result = fallocate(descriptor, 0, 0, (off_t)size);
    while (result < 0 && errno == EINTR);
    return result;
}

int di_memory_create(size_t size, int *ret_descriptor, const char **ret_words)
{
    if (is_beyond_limit(size)) {
        errno = EFBIG;
        *ret_words = "the shared memory is beyond the limit of the size of files (RLIMIT_FSIZE)";
        return DARI_LIMIT;
    }
    int descriptor = make_file();
    if (descriptor < 0)
        return fail("no descriptor for the shared memory can be made", ret_words);
    const char *words = NULL;
    if (allocate(descriptor, size) < 0)
        words = "the shared memory cannot be allocated";
    else if (fcntl(descriptor, F_ADD_SEALS, SEALS) < 0)
        words = "the shared memory cannot be sealed";
    if (words) {
        int error = fail(words, ret_words), cause = errno;
        close(descriptor);
        errno = cause;
        return error;
    }
    *ret_descriptor = descriptor;
    return 0;
}

/* What is wrong with it, or NULL. */
static const char *find_fault(int descriptor, size_t size)
{
    struct stat status;
    struct statfs system;
    int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0)
        return "what was sent is no memory that can be sealed";
    if ((seals & ~F_SEAL_EXEC) != SEALS)
        return "the shared memory is not sealed as it must be";
    if (fstat(descriptor, &status) < 0 || fstatfs(descriptor, &system) < 0)
        return "the shared memory cannot be examined";
    if (!S_ISREG(status.st_mode) || system.f_type != TMPFS_MAGIC)
        return "the shared memory is not of plain pages";
    if (status.st_size < 0 || (uint64_t)status.st_size != size)
        return "the shared memory is not of the size that was stated";
    if ((uint64_t)status.st_blocks < size / 512)
        return "the shared memory is not allocated in full";
    return NULL;
}

int di_memory_check(int descriptor, size_t size, const char **ret_words)
{
    const char *words = find_fault(descriptor, size);
    if (words)
        *ret_words = words;
    return words ? DARI_PROTOCOL : 0;
}

/* Maps over memory that is reserved. */
static bool map_at(uint8_t *at, int descriptor, size_t offset, size_t size, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    return mmap(at, size, protection, MAP_SHARED | MAP_FIXED, descriptor, (off_t)offset) !=
           MAP_FAILED;
}

int di_memory_map(int descriptor, size_t offset, size_t size, bool twice, bool writable,
                  void **ret_memory)
{
    size_t whole = twice ? 2 * size : size;
    uint8_t *memory =
        mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return errno == ENOMEM ? DARI_NO_MEMORY : DARI_ERRNO;
    if (map_at(memory, descriptor, offset, size, writable) &&
        (!twice || map_at(memory + size, descriptor, offset, size, writable))) {
        *ret_memory = memory;
        return 0;
    }
    int cause = errno;
    munmap(memory, whole);
    errno = cause;
    return cause == ENOMEM ? DARI_NO_MEMORY : DARI_ERRNO;
}

void di_memory_unmap(void *memory, size_t size, bool twice)
{
    if (memory)
        munmap(memory, twice ? 2 * size : size);
}
