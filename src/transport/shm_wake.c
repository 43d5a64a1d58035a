/* SPDX-License-Identifier: MIT */
/* What goes over the socket once the rings are there: wake-ups, and the end. */
#include "transport/shm_side.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* Wake-ups that one system call takes. */
#define WAKES 256

void di_shm_wake(di_shm *shm)
{
    ssize_t sent;
    do
        sent = send(di_connection_descriptor(&shm->head), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        di_shm_set_gone(shm);
}

void di_shm_look_at_process(di_shm *shm)
{
    struct pollfd process = {.fd = shm->process.descriptor, .events = POLLIN};
    if (process.fd < 0 || poll(&process, 1, 0) <= 0)
        return;
    atomic_store_explicit(&shm->dead, true, memory_order_relaxed);
    di_shm_set_gone(shm);
}

int di_shm_look_at_socket(di_shm *shm)
{
    uint8_t wakes[WAKES];
    ssize_t got;
    do
        got = recv(di_connection_descriptor(&shm->head), wakes, sizeof wakes, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return atomic_fetch_add_explicit(&shm->idle_wakes, (unsigned)got, memory_order_relaxed) +
                           (unsigned)got >
                       DI_SHM_IDLE_WAKES_MAX
                   ? DARI_PROTOCOL
                   : 0;
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        di_shm_set_gone(shm);
    di_shm_look_at_process(shm);
    return 0;
}

int di_shm_look_around(di_shm *shm)
{
    struct pollfd both[] = {{.fd = di_connection_descriptor(&shm->head), .events = POLLIN},
                            {.fd = shm->process.descriptor, .events = POLLIN}};
    int ready = poll(both, 2, 0);
    return ready == 0 ? 0 : di_shm_look_at_socket(shm);
}
