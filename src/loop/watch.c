/* SPDX-License-Identifier: MIT */
#include "loop/watch.h"

#include <dari/error.h>

#include <errno.h>

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLHUP == EPOLLHUP &&
                   POLLERR == EPOLLERR,
               "events of poll are events of epoll");

/* Whether a watch is in the epoll. The kernel tells of a hang-up unasked, and goes on telling: of
 * several descriptors those are left out that are not wanted. A lone one stays, and tells of the
 * end of all. */
static bool is_in(const di_connection *connection, const di_watch *watch, unsigned wants)
{
    return connection->watch_count == 1 || di_watch_events(watch, wants) != 0;
}

static int control(int epoll, int operation, const di_watch *watch, unsigned wants,
                   epoll_data_t data)
{
    struct epoll_event event = {.events = (uint32_t)di_watch_events(watch, wants), .data = data};
    return epoll_ctl(epoll, operation, watch->descriptor, &event) < 0 ? DARI_ERRNO : 0;
}

int di_watches_add(int epoll, const di_connection *connection, unsigned wants, epoll_data_t data)
{
    for (unsigned i = 0; i < connection->watch_count; i++) {
        const di_watch *watch = &connection->watches[i];
        if (is_in(connection, watch, wants) &&
            control(epoll, EPOLL_CTL_ADD, watch, wants, data) < 0) {
            int cause = errno;
            while (i-- > 0)
                epoll_ctl(epoll, EPOLL_CTL_DEL, connection->watches[i].descriptor, NULL);
            errno = cause;
            return DARI_ERRNO;
        }
    }
    return 0;
}

int di_watches_change(int epoll, const di_connection *connection, unsigned had, unsigned wants,
                      epoll_data_t data)
{
    for (unsigned i = 0; i < connection->watch_count; i++) {
        const di_watch *watch = &connection->watches[i];
        bool was_in = is_in(connection, watch, had), is = is_in(connection, watch, wants);
        int operation = !was_in ? EPOLL_CTL_ADD : is ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
        if (di_watch_events(watch, had) != di_watch_events(watch, wants) &&
            control(epoll, operation, watch, wants, data) < 0)
            return DARI_ERRNO;
    }
    return 0;
}

void di_watches_remove(int epoll, const di_connection *connection)
{
    for (unsigned i = 0; i < connection->watch_count; i++)
        epoll_ctl(epoll, EPOLL_CTL_DEL, connection->watches[i].descriptor, NULL);
}
