/* SPDX-License-Identifier: MIT */
#include "conformance/relay_program.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One direction. */
typedef struct way {
    int from, to;
} way;

void relay_address(int in, int out, int told, char *ret_address, size_t room)
{
    char self[128];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self);
    if (size < 0 || (size_t)size == sizeof self)
        abort();
    int written = snprintf(ret_address, room, "exec:%.*s " RELAY_ROLE " %d %d %d %d", (int)size,
                           self, getpid(), in, out, told);
    if (written < 0 || (size_t)written >= room)
        abort();
}

/* Opens a pipe of the other process once more. */
static int open_end(const char *process, const char *number, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/fd/%s", process, number);
    int end = open(path, flags | O_CLOEXEC);
    if (end < 0)
        _exit(9);
    return end;
}

static int write_all(int to, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(to, bytes, size);
        if (written < 0)
            return -1;
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

/* Until either end is there no more, which the other one then learns. */
static void *pass_on(void *argument)
{
    const way *self = argument;
    char bytes[4096];
    for (;;) {
        struct pollfd both[] = {{.fd = self->from, .events = POLLIN}, {.fd = self->to}};
        if (poll(both, 2, -1) < 0 || both[1].revents)
            break;
        ssize_t got = read(self->from, bytes, sizeof bytes);
        if (got <= 0 || write_all(self->to, bytes, (size_t)got) < 0)
            break;
    }
    close(self->from);
    close(self->to);
    return NULL;
}

int relay_play(int count, char **arguments)
{
    pthread_t back;
    if (count != 5 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return 9;
    way there = {STDIN_FILENO, open_end(arguments[1], arguments[3], O_WRONLY)};
    way here = {open_end(arguments[1], arguments[2], O_RDONLY), STDOUT_FILENO};
    int told = open_end(arguments[1], arguments[4], O_WRONLY);
    if (write(told, "x", 1) != 1)
        return 9;
    close(told);
    if (pthread_create(&back, NULL, pass_on, &here) != 0)
        return 9;
    pass_on(&there);
    pthread_join(back, NULL);
    return 0;
}
