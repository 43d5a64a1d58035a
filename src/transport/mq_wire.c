/* SPDX-License-Identifier: MIT */
#include "transport/mq_wire.h"

#include <dari/error.h>

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

int di_mq_pid_namespace(uint64_t *ret_number)
{
    struct stat status;
    bool is_there = stat("/proc/self/ns/pid", &status) == 0;
    if (!is_there && errno == ENOMEM)
        return DARI_ERRNO;
    *ret_number = is_there ? (uint64_t)status.st_ino : 0;
    return 0;
}

bool di_mq_has_ended(int pidfd)
{
    struct pollfd one = {.fd = pidfd, .events = POLLIN};
    return poll(&one, 1, 0) > 0;
}
