/* SPDX-License-Identifier: MIT */
#include "transport/peer_process.h"

#include "base/process.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* The field of /proc/PID/stat that says when the process has started, counted from the end of its
 * name, which may have anything in it. */
#define FIELDS_TO_START 20

/* Reads the start of a process out of its line in /proc. */
static uint64_t read_started(const char *path)
{
    char line[1024];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, line, sizeof line - 1);
    if (file >= 0)
        close(file);
    if (size <= 0)
        return 0;
    line[size] = '\0';
    const char *at = strrchr(line, ')');
    for (int i = 0; at && i < FIELDS_TO_START; i++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

uint64_t di_process_started(void)
{
    return read_started("/proc/self/stat");
}

/* By its number: the descriptor is opened first, then it is looked whose it is. */
static int open_by_number(int socket, di_peer_process *ret_process)
{
    struct ucred process;
    socklen_t size = sizeof process;
    char path[32];
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &process, &size) < 0)
        return DARI_ERRNO;
    *ret_process = (di_peer_process){.descriptor = -1, .by_number = true};
    if (process.pid <= 0)
        return 0;
    int descriptor = di_process_open(process.pid);
    if (descriptor < 0 && errno == ESRCH)
        return DARI_CLOSED;
    if (descriptor < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? DARI_ERRNO : 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process.pid);
    ret_process->descriptor = descriptor;
    ret_process->started = read_started(path);
    return 0;
}

int di_peer_process_open(int socket, di_peer_process *ret_process)
{
    int descriptor;
    socklen_t size = sizeof descriptor;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &descriptor, &size) == 0) {
        *ret_process = (di_peer_process){.descriptor = descriptor};
        return 0;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
        return DARI_ERRNO;
    return errno == ESRCH ? DARI_CLOSED : open_by_number(socket, ret_process);
}
