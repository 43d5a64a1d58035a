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

/* Puts the watches of a connection into an epoll, for `wants`. Returns 0, or DARI_ERRNO and none is
 * in it. */
int di_watches_add(int epoll, const di_connection *connection, unsigned wants, epoll_data_t data);
/* The same where they are in it for `had`; after an error for some of both. */
int di_watches_change(int epoll, const di_connection *connection, unsigned had, unsigned wants,
                      epoll_data_t data);
void di_watches_remove(int epoll, const di_connection *connection);

/* Lists what to poll for `wants`, not more than DI_WATCHES_MAX. Returns how many. */
nfds_t di_watches_list(const di_connection *connection, unsigned wants, struct pollfd *ret_list);
/* What of `wants` can go on after such a poll. */
unsigned di_watches_told(const di_connection *connection, unsigned wants,
                         const struct pollfd *list);

#endif
