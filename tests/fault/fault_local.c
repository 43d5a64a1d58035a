/* SPDX-License-Identifier: MIT */
/* What local schemes ask of the system: files, memory, pipes, queues and processes. */
#include "fault/fault_wrap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <netdb.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), FAULT_MEMORY_FILE, -1)
WRAP(int, fallocate64, (int descriptor, int mode, int64_t offset, int64_t size),
     (descriptor, mode, offset, size), FAULT_RESERVE, -1)
WRAP(int, mkfifo, (const char *path, mode_t mode), (path, mode), FAULT_MAKE_FIFO, -1)
WRAP(DIR *, opendir, (const char *path), (path), FAULT_OPEN, NULL)
WRAP(int, stat64, (const char *path, struct stat64 *status), (path, status), FAULT_STATUS, -1)
WRAP(int, lstat64, (const char *path, struct stat64 *status), (path, status), FAULT_STATUS, -1)
WRAP(int, fstatat64, (int directory, const char *path, struct stat64 *status, int flags),
     (directory, path, status, flags), FAULT_STATUS, -1)
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode), FAULT_MODE, -1)
WRAP(int, fchmod, (int descriptor, mode_t mode), (descriptor, mode), FAULT_MODE, -1)
WRAP(int, fchown, (int descriptor, uid_t user, gid_t group), (descriptor, user, group), FAULT_MODE,
     -1)
WRAP(int, fchownat, (int directory, const char *path, uid_t user, gid_t group, int flags),
     (directory, path, user, group, flags), FAULT_MODE, -1)
WRAP(int, mq_getattr, (mqd_t queue, struct mq_attr *attributes), (queue, attributes),
     FAULT_QUEUE_LOOK, -1)
WRAP(int, mq_send, (mqd_t queue, const char *bytes, size_t size, unsigned priority),
     (queue, bytes, size, priority), FAULT_QUEUE_SEND, -1)
WRAP(ssize_t, mq_receive, (mqd_t queue, char *bytes, size_t size, unsigned *priority),
     (queue, bytes, size, priority), FAULT_QUEUE_RECEIVE, -1)
WRAP(int, mq_unlink, (const char *name), (name), FAULT_QUEUE_REMOVE, -1)

WRAP(int, pipe2, (int ends[2], int flags), (ends, flags), FAULT_PIPE, -1)
WRAP(int, waitid, (idtype_t kind, id_t which, siginfo_t *state, int flags),
     (kind, which, state, flags), FAULT_WAIT, -1)
WRAP(int, posix_spawnp,
     (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions,
      const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[]),
     (pid, file, actions, attributes, arguments, environment), FAULT_SPAWN, errno)

mqd_t __real_mq_open(const char *name, int flags, ...);
mqd_t __wrap_mq_open(const char *name, int flags, ...);
mqd_t __wrap_mq_open(const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    void *attributes = flags & O_CREAT ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    return fault_fails(FAULT_QUEUE_OPEN) ? -1 : __real_mq_open(name, flags, mode, attributes);
}

/* A short one takes one byte, and what comes beside the bytes. */
ssize_t __real_recvmsg(int descriptor, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int descriptor, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int descriptor, struct msghdr *message, int flags)
{
    enum fault_effect effect;
    bool strike = fault_strikes(FAULT_RECEIVE_MESSAGE, &effect);
    if (strike && effect == FAULT_FAILS)
        return -1;
    if (strike && message->msg_iovlen == 1 && message->msg_iov->iov_len > 1)
        message->msg_iov->iov_len = 1;
    return __real_recvmsg(descriptor, message, flags);
}

static size_t size_of(const struct iovec *pieces, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}

/* Whether so much may be written in part: pipes take up to PIPE_BUF bytes whole. */
static bool may_be_short(const struct iovec *pieces, int count)
{
    return size_of(pieces, count) > PIPE_BUF;
}

/* What is left of the pieces, which are the first ones: one byte of the first that has any. */
static struct iovec one_byte(const struct iovec *pieces)
{
    while (pieces->iov_len == 0)
        pieces++;
    return (struct iovec){pieces->iov_base, 1};
}

/* Whether a write fails. A single byte is the first one of a FIFO whose reader is there: of what a
 * pipe's state is the cause of, nothing comes to it. */
static bool cannot_write(const struct iovec *pieces, int count, bool *ret_is_short)
{
    enum fault_effect effect;
    bool strike = fault_strikes(FAULT_PIPE_WRITE, &effect);
    *ret_is_short = strike && effect == FAULT_SHORT && may_be_short(pieces, count);
    bool is_state = errno == EAGAIN || errno == EPIPE;
    return strike && effect == FAULT_FAILS && (!is_state || size_of(pieces, count) > 1);
}

ssize_t __real_pwritev64v2(int descriptor, const struct iovec *pieces, int count, int64_t at,
                           int flags);
ssize_t __wrap_pwritev64v2(int descriptor, const struct iovec *pieces, int count, int64_t at,
                           int flags);
ssize_t __wrap_pwritev64v2(int descriptor, const struct iovec *pieces, int count, int64_t at,
                           int flags)
{
    bool is_short;
    if (fault_fails(FAULT_NEW_WRITE) || cannot_write(pieces, count, &is_short))
        return -1;
    if (!is_short)
        return __real_pwritev64v2(descriptor, pieces, count, at, flags);
    struct iovec one = one_byte(pieces);
    return __real_pwritev64v2(descriptor, &one, 1, at, flags);
}

ssize_t __real_writev(int descriptor, const struct iovec *pieces, int count);
ssize_t __wrap_writev(int descriptor, const struct iovec *pieces, int count);
ssize_t __wrap_writev(int descriptor, const struct iovec *pieces, int count)
{
    bool is_short;
    if (cannot_write(pieces, count, &is_short))
        return -1;
    if (!is_short)
        return __real_writev(descriptor, pieces, count);
    struct iovec one = one_byte(pieces);
    return __real_writev(descriptor, &one, 1);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fault_fails(FAULT_OPEN) ? -1 : __real_open64(path, flags, mode);
}

int __real_openat64(int directory, const char *path, int flags, ...);
int __wrap_openat64(int directory, const char *path, int flags, ...);
int __wrap_openat64(int directory, const char *path, int flags, ...)
{
    return fault_fails(FAULT_OPEN) ? -1 : __real_openat64(directory, path, flags);
}

/* Of what has no function in the C library only this is struck. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long given[4];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 4; i++)
        given[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_pidfd_open && fault_fails(FAULT_PROCESS))
        return -1;
    return __real_syscall(number, given[0], given[1], given[2], given[3]);
}

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret_addresses);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret_addresses);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret_addresses)
{
    int before = errno;
    if (!fault_fails(FAULT_RESOLVE))
        return __real_getaddrinfo(host, port, hints, ret_addresses);
    int cause = errno;
    errno = cause == EAI_SYSTEM ? ENOMEM : before;
    return cause;
}
