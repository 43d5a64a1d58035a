/* SPDX-License-Identifier: MIT */
#include "transport/mq_wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int di_mq_send(const di_queue *queue, const di_mq_head *head, const void *bytes, size_t size,
               unsigned priority)
{
    uint8_t message[DI_MQ_BYTES_MAX];
    memcpy(message, head, DI_MQ_HEAD);
    if (size)
        memcpy(message + DI_MQ_HEAD, bytes, size);
    return di_queue_send(queue, message, DI_MQ_HEAD + size, priority);
}

uint64_t di_mq_pid_namespace(void)
{
    struct stat status;
    return stat("/proc/self/ns/pid", &status) < 0 ? 0 : (uint64_t)status.st_ino;
}

bool di_mq_has_ended(int pidfd)
{
    struct pollfd one = {.fd = pidfd, .events = POLLIN};
    return poll(&one, 1, 0) > 0;
}
