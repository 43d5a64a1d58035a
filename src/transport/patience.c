/* SPDX-License-Identifier: MIT */
#include "transport/patience.h"

#include "transport/transport.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

bool di_socket_make_patient(int descriptor)
{
    const struct timeval patience = {.tv_usec = DI_PATIENCE_NS / 1000};
    int no = 0;
    return setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
           ioctl(descriptor, FIONBIO, &no) == 0;
}
