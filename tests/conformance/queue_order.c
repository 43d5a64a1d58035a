/* SPDX-License-Identifier: MIT */
/* What a thread does before it sends a message comes before what another one does that has received
 * it. ThreadSanitizer knows that of sockets, and learns it here of queues. */
#include <mqueue.h>
#include <stdatomic.h>

int __real_mq_send(mqd_t queue, const char *bytes, size_t size, unsigned priority);
int __wrap_mq_send(mqd_t queue, const char *bytes, size_t size, unsigned priority);
ssize_t __real_mq_receive(mqd_t queue, char *bytes, size_t size, unsigned *priority);
ssize_t __wrap_mq_receive(mqd_t queue, char *bytes, size_t size, unsigned *priority);

static atomic_uint order;

int __wrap_mq_send(mqd_t queue, const char *bytes, size_t size, unsigned priority)
{
    atomic_fetch_add(&order, 1);
    return __real_mq_send(queue, bytes, size, priority);
}

ssize_t __wrap_mq_receive(mqd_t queue, char *bytes, size_t size, unsigned *priority)
{
    ssize_t got = __real_mq_receive(queue, bytes, size, priority);
    atomic_fetch_add(&order, 1);
    return got;
}
