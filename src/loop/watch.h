/* SPDX-License-Identifier: MIT */
/* The descriptors of a connection, for epoll and for poll. */
#ifndef DI_LOOP_WATCH_H
#define DI_LOOP_WATCH_H

#include "transport/transport.h"

#include <sys/epoll.h>

/* What is waited for. */
enum di_wants { DI_WANTS_RECEIVE = 1, DI_WANTS_SEND = 2 };

/* Whether one and the same sign tells both that receive and that flush can go on. */
static inline bool di_watches_tell_both(const di_connection *connection)
{
    return connection->ops->arm != NULL;
}

/* The events of poll and of epoll for what is wanted. */
static inline short di_watch_events(const di_watch *watch, unsigned wants)
{
    int events = (wants & DI_WANTS_RECEIVE ? watch->to_receive : 0) |
                 (wants & DI_WANTS_SEND ? watch->to_send : 0);
    return (short)events;
}

/* Puts the watches of a connection into an epoll, for `wants`. Returns 0, or DARI_ERRNO and none is
 * in it. */
int di_watches_add(int epoll, const di_connection *connection, unsigned wants, epoll_data_t data);
/* The same where they are in it for `had`; after an error for some of both. */
int di_watches_change(int epoll, const di_connection *connection, unsigned had, unsigned wants,
                      epoll_data_t data);
void di_watches_remove(int epoll, const di_connection *connection);

/* Lists what to poll for `wants`, not more than DI_WATCHES_MAX. Returns how many. */
static inline nfds_t di_watches_list(const di_connection *connection, unsigned wants,
                                     struct pollfd *ret_list)
{
    for (unsigned i = 0; i < connection->watch_count; i++) {
        const di_watch *watch = &connection->watches[i];
        short events = di_watch_events(watch, wants);
        ret_list[i] = (struct pollfd){.fd = events ? watch->descriptor : -1, .events = events};
    }
    return connection->watch_count;
}

/* What of `wants` can go on after such a poll. */
static inline unsigned di_watches_told(const di_connection *connection, unsigned wants,
                                       const struct pollfd *list)
{
    unsigned told = 0;
    for (unsigned i = 0; i < connection->watch_count; i++) {
        const di_watch *watch = &connection->watches[i];
        int events = list[i].revents;
        if (events & ~watch->to_send || events & watch->to_receive)
            told |= DI_WANTS_RECEIVE;
        if (events & (watch->to_send | POLLERR | POLLHUP))
            told |= DI_WANTS_SEND;
    }
    return told & wants;
}

#endif
