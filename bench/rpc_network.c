/* SPDX-License-Identifier: MIT */
/* A network namespace; in a user namespace, where only that gives the right to make one. */
#include "rpc_network.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The one that every kernel has, and that sends what there is to send. */
#define CONGESTION_CONTROL "reno"

static bool start_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    bool done = ioctl(descriptor, SIOCSIFFLAGS, &request) == 0;
    close(descriptor);
    return done;
}

static bool set_congestion_control(void)
{
    int file = open("/proc/sys/net/ipv4/tcp_congestion_control", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    size_t size = strlen(CONGESTION_CONTROL);
    bool done = write(file, CONGESTION_CONTROL, size) == (ssize_t)size;
    close(file);
    return done;
}

bool rpc_network_enter(void)
{
    if ((unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) &&
        start_loopback() && set_congestion_control())
        return true;
    perror("bench: rpc: no network of its own");
    return false;
}
