/* SPDX-License-Identifier: MIT */
#include "fault/fault_wrap.h"

#include "loop/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static _Atomic uint64_t pause_ns = DI_ACCEPT_PAUSE_NS;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool armed; /* guards what follows together with the lock */
static fault_plan plan;
static unsigned calls, seen, struck;

void fault_begin(const fault_plan *begun)
{
    pthread_mutex_lock(&lock);
    plan = *begun;
    calls = seen = struck = 0;
    pthread_mutex_unlock(&lock);
    atomic_store(&armed, true);
}

void fault_set_pause(uint64_t duration_ns)
{
    atomic_store(&pause_ns, duration_ns);
}

uint64_t __real_di_deadline_in(uint64_t duration);
uint64_t __wrap_di_deadline_in(uint64_t duration);
uint64_t __wrap_di_deadline_in(uint64_t duration)
{
    bool pauses = duration == DI_ACCEPT_PAUSE_NS;
    return __real_di_deadline_in(pauses ? atomic_load(&pause_ns) : duration);
}

unsigned fault_end(unsigned *ret_calls)
{
    atomic_store(&armed, false);
    pthread_mutex_lock(&lock);
    unsigned result = struck;
    *ret_calls = calls;
    plan.count = 0;
    pthread_mutex_unlock(&lock);
    return result;
}

bool fault_strikes(enum fault_call call, enum fault_effect *ret_effect)
{
    if (!atomic_load(&armed))
        return false;
    int before = errno;
    pthread_mutex_lock(&lock);
    calls++;
    bool strike = call == plan.call && seen++ >= plan.at && struck < plan.count;
    struck += strike;
    *ret_effect = plan.effect;
    int cause = plan.cause;
    pthread_mutex_unlock(&lock);
    errno = strike && *ret_effect == FAULT_FAILS ? cause : before;
    return strike;
}

bool fault_fails(enum fault_call call)
{
    enum fault_effect effect;
    return fault_strikes(call, &effect);
}

void fault_describe(const fault_plan *described, char *text, unsigned size)
{
    static const char *const names[FAULT_CALLS] = {
        "allocation",    "socket",
        "connect",       "accept4",
        "bind",          "listen",
        "epoll_create1", "epoll_ctl",
        "epoll_wait",    "poll",
        "send",          "recv",
        "eventfd",       "write",
        "read",          "getrandom",
        "fcntl",         "getsockopt",
        "setsockopt",    "getpeername",
        "getsockname",   "mmap",
        "madvise",       "pthread_create",
        "mq_open",       "mq_getattr",
        "mq_send",       "mq_receive",
        "mq_unlink",     "recvmsg",
        "memfd_create",  "fallocate",
        "mkfifo",        "a vectored write",
        "pwritev2",      "open",
        "stat",          "chmod or chown",
        "pidfd_open",    "getaddrinfo",
        "sendto",        "recvfrom",
        "pipe2",         "posix_spawnp",
        "waitid",
    };
    static const char *const effects[] = {"fail", "take one byte", "say nothing", "fail once done"};
    char cause[64];
    snprintf(text, size, "after %u calls of %s, %u %s: %s", described->at, names[described->call],
             described->count, effects[described->effect],
             strerror_r(described->cause, cause, sizeof cause));
}

WRAP(void *, malloc, (size_t size), (size), FAULT_ALLOCATE, NULL)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), FAULT_ALLOCATE, NULL)
WRAP(void *, realloc, (void *memory, size_t size), (memory, size), FAULT_ALLOCATE, NULL)
WRAP(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size), FAULT_ALLOCATE,
     NULL)
WRAP(char *, strdup, (const char *text), (text), FAULT_ALLOCATE, NULL)
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), FAULT_SOCKET, -1)
WRAP(int, connect, (int descriptor, const struct sockaddr *address, socklen_t size),
     (descriptor, address, size), FAULT_CONNECT, -1)
WRAP(int, accept4, (int descriptor, struct sockaddr *address, socklen_t *size, int flags),
     (descriptor, address, size, flags), FAULT_ACCEPT, -1)
WRAP(int, bind, (int descriptor, const struct sockaddr *address, socklen_t size),
     (descriptor, address, size), FAULT_BIND, -1)
WRAP(int, listen, (int descriptor, int count), (descriptor, count), FAULT_LISTEN, -1)
WRAP(int, epoll_create1, (int flags), (flags), FAULT_EPOLL_CREATE, -1)
WRAP(int, eventfd, (unsigned count, int flags), (count, flags), FAULT_EVENTFD, -1)
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags), FAULT_EVENTFD, -1)
WRAP(ssize_t, getrandom, (void *bytes, size_t size, unsigned flags), (bytes, size, flags),
     FAULT_RANDOM, -1)
WRAP(int, getsockopt, (int descriptor, int level, int name, void *value, socklen_t *size),
     (descriptor, level, name, value, size), FAULT_GETSOCKOPT, -1)
WRAP(int, setsockopt, (int descriptor, int level, int name, const void *value, socklen_t size),
     (descriptor, level, name, value, size), FAULT_SETSOCKOPT, -1)
WRAP(int, getpeername, (int descriptor, struct sockaddr *address, socklen_t *size),
     (descriptor, address, size), FAULT_GETPEERNAME, -1)
WRAP(int, getsockname, (int descriptor, struct sockaddr *address, socklen_t *size),
     (descriptor, address, size), FAULT_GETSOCKNAME, -1)
WRAP(void *, mmap64,
     (void *address, size_t size, int protection, int flags, int descriptor, int64_t offset),
     (address, size, protection, flags, descriptor, offset), FAULT_MAP, MAP_FAILED)
WRAP(int, madvise, (void *address, size_t size, int advice), (address, size, advice), FAULT_ADVISE,
     -1)

int __real_epoll_ctl(int descriptor, int operation, int other, struct epoll_event *event);
int __wrap_epoll_ctl(int descriptor, int operation, int other, struct epoll_event *event);
int __wrap_epoll_ctl(int descriptor, int operation, int other, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && fault_fails(FAULT_EPOLL_ADD))
        return -1;
    return __real_epoll_ctl(descriptor, operation, other, event);
}

int __real_epoll_wait(int descriptor, struct epoll_event *events, int count, int milliseconds);
int __wrap_epoll_wait(int descriptor, struct epoll_event *events, int count, int milliseconds);
int __wrap_epoll_wait(int descriptor, struct epoll_event *events, int count, int milliseconds)
{
    enum fault_effect effect;
    if (fault_strikes(FAULT_EPOLL_WAIT, &effect))
        return effect == FAULT_NOTHING ? 0 : -1;
    return __real_epoll_wait(descriptor, events, count, milliseconds);
}

int __real_poll(struct pollfd *descriptors, nfds_t count, int milliseconds);
int __wrap_poll(struct pollfd *descriptors, nfds_t count, int milliseconds);
int __wrap_poll(struct pollfd *descriptors, nfds_t count, int milliseconds)
{
    enum fault_effect effect;
    if (!fault_strikes(FAULT_POLL, &effect))
        return __real_poll(descriptors, count, milliseconds);
    for (nfds_t i = 0; i < count; i++)
        descriptors[i].revents = 0;
    return effect == FAULT_NOTHING ? 0 : -1;
}

ssize_t __real_send(int descriptor, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags)
{
    enum fault_effect effect;
    bool strike = fault_strikes(FAULT_SEND, &effect);
    if (strike && effect == FAULT_FAILS)
        return -1;
    return __real_send(descriptor, bytes, strike && size ? 1 : size, flags);
}

/* A short one takes one byte of the first piece that has any. */
ssize_t __real_sendmsg(int descriptor, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int descriptor, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    enum fault_effect effect;
    bool strike = fault_strikes(FAULT_SEND, &effect);
    if (strike && effect == FAULT_FAILS)
        return -1;
    if (!strike)
        return __real_sendmsg(descriptor, message, flags);
    struct msghdr cut = *message;
    while (cut.msg_iovlen > 1 && cut.msg_iov->iov_len == 0) {
        cut.msg_iov++;
        cut.msg_iovlen--;
    }
    struct iovec one = {cut.msg_iov->iov_base, cut.msg_iov->iov_len ? 1 : 0};
    cut.msg_iov = &one;
    cut.msg_iovlen = 1;
    return __real_sendmsg(descriptor, &cut, flags);
}

ssize_t __real_recv(int descriptor, void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int descriptor, void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int descriptor, void *bytes, size_t size, int flags)
{
    enum fault_effect effect;
    bool strike = fault_strikes(FAULT_RECEIVE, &effect);
    if (strike && effect == FAULT_FAILS)
        return -1;
    return __real_recv(descriptor, bytes, strike && size ? 1 : size, flags);
}

ssize_t __real_sendto(int descriptor, const void *bytes, size_t size, int flags,
                      const struct sockaddr *to, socklen_t to_size);
ssize_t __wrap_sendto(int descriptor, const void *bytes, size_t size, int flags,
                      const struct sockaddr *to, socklen_t to_size);
ssize_t __wrap_sendto(int descriptor, const void *bytes, size_t size, int flags,
                      const struct sockaddr *to, socklen_t to_size)
{
    enum fault_effect effect;
    bool strike = fault_strikes(FAULT_SEND_TO, &effect);
    if (strike && effect == FAULT_FAILS)
        return -1;
    return __real_sendto(descriptor, bytes, strike && size ? 1 : size, flags, to, to_size);
}

ssize_t __real_recvfrom(int descriptor, void *bytes, size_t size, int flags, struct sockaddr *from,
                        socklen_t *from_size);
ssize_t __wrap_recvfrom(int descriptor, void *bytes, size_t size, int flags, struct sockaddr *from,
                        socklen_t *from_size);
ssize_t __wrap_recvfrom(int descriptor, void *bytes, size_t size, int flags, struct sockaddr *from,
                        socklen_t *from_size)
{
    enum fault_effect effect;
    bool strike = fault_strikes(FAULT_RECEIVE_FROM, &effect);
    if (strike && effect == FAULT_FAILS)
        return -1;
    return __real_recvfrom(descriptor, bytes, strike && size ? 1 : size, flags, from, from_size);
}

/* A counter is read whole. */
ssize_t __real_read(int descriptor, void *bytes, size_t size);
ssize_t __wrap_read(int descriptor, void *bytes, size_t size);
ssize_t __wrap_read(int descriptor, void *bytes, size_t size)
{
    enum fault_effect effect;
    bool strike = fault_strikes(FAULT_READ, &effect);
    if (strike && effect == FAULT_FAILS)
        return -1;
    return __real_read(descriptor, bytes, strike && size > sizeof(uint64_t) ? 1 : size);
}

/* A counter that is full is readable: so it is written to, and then said to be full. */
static bool is_full(void)
{
    enum fault_effect effect;
    return fault_strikes(FAULT_EVENTFD_WRITE, &effect);
}

int __real_eventfd_write(int descriptor, eventfd_t value);
int __wrap_eventfd_write(int descriptor, eventfd_t value);
int __wrap_eventfd_write(int descriptor, eventfd_t value)
{
    int result = __real_eventfd_write(descriptor, value);
    if (!is_full())
        return result;
    errno = EAGAIN;
    return -1;
}

ssize_t __real_write(int descriptor, const void *bytes, size_t size);
ssize_t __wrap_write(int descriptor, const void *bytes, size_t size);
ssize_t __wrap_write(int descriptor, const void *bytes, size_t size)
{
    ssize_t result = __real_write(descriptor, bytes, size);
    if (!is_full())
        return result;
    errno = EAGAIN;
    return -1;
}

int __real_fcntl64(int descriptor, int command, ...);
int __wrap_fcntl64(int descriptor, int command, ...);
int __wrap_fcntl64(int descriptor, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fault_fails(FAULT_FCNTL) ? -1 : __real_fcntl64(descriptor, command, argument);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument)
{
    return fault_fails(FAULT_THREAD) ? EAGAIN
                                     : __real_pthread_create(thread, attributes, run, argument);
}
