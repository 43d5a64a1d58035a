/* SPDX-License-Identifier: MIT */
/* What a thread does before it sends a message comes before what another one does that has received
 * it; and a descriptor that is new is not the one that had its number before. ThreadSanitizer knows
 * that of sockets and files, and learns it here of queues and processes. */
#include "base/process.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

int __real_mq_send(mqd_t queue, const char *bytes, size_t size, unsigned priority);
int __wrap_mq_send(mqd_t queue, const char *bytes, size_t size, unsigned priority);
ssize_t __real_mq_receive(mqd_t queue, char *bytes, size_t size, unsigned *priority);
ssize_t __wrap_mq_receive(mqd_t queue, char *bytes, size_t size, unsigned *priority);
mqd_t __real_mq_open(const char *name, int flags, ...);
mqd_t __wrap_mq_open(const char *name, int flags, mode_t mode, struct mq_attr *shape);
int __real_di_process_open(pid_t process);
int __wrap_di_process_open(pid_t process);

static atomic_uint order;

/* Messages that are sent again as they are received, as by somebody who always finds room. */
extern unsigned queue_echoes;
unsigned queue_echoes;

int __wrap_mq_send(mqd_t queue, const char *bytes, size_t size, unsigned priority)
{
    atomic_fetch_add(&order, 1);
    return __real_mq_send(queue, bytes, size, priority);
}

ssize_t __wrap_mq_receive(mqd_t queue, char *bytes, size_t size, unsigned *priority)
{
    ssize_t got = __real_mq_receive(queue, bytes, size, priority);
    atomic_fetch_add(&order, 1);
    if (queue_echoes > 0 && got >= 0 && __real_mq_send(queue, bytes, (size_t)got, 0) == 0)
        queue_echoes--;
    return got;
}

/* The same under a number that is known to be new; the sanitizer does not see the other one. */
static int introduce(int descriptor)
{
    int known = descriptor < 0 ? -1 : eventfd(0, EFD_CLOEXEC);
    if (known < 0)
        return descriptor;
    syscall(SYS_dup3, descriptor, known, O_CLOEXEC);
    syscall(SYS_close, descriptor);
    return known;
}

mqd_t __wrap_mq_open(const char *name, int flags, mode_t mode, struct mq_attr *shape)
{
    return introduce(__real_mq_open(name, flags, mode, shape));
}

int __wrap_di_process_open(pid_t process)
{
    return introduce(__real_di_process_open(process));
}
