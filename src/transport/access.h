/* SPDX-License-Identifier: MIT */
/* Who may connect: the modes of names, and what the kernel says of a peer. Any thread. */
#ifndef DI_TRANSPORT_ACCESS_H
#define DI_TRANSPORT_ACCESS_H

#include "transport/transport.h"

#include <sys/types.h>

/* The mode of what clients open, where its owner may read and write and they need `bits` of
 * S_IRWXO. */
mode_t di_access_mode(const di_access *access, mode_t bits);

/* Whether the mode alone lets the group in, to which the name is to be given then. Where users are
 * named too the mode lets in everybody. */
bool di_access_is_of_group(const di_access *access);

/* Whether each peer has to be looked at even though a name's mode has let it in. */
bool di_access_asks(const di_access *access);

/* Gives an open file to the group, if it is for that, and then the mode, so that it is never open
 * to more than it is to be. Returns 0, or an error in words. */
int di_access_open(const di_access *access, int descriptor, mode_t bits, di_failure *ret_failure);

/* Whether a user may connect whose groups are not known: by a group nobody does. */
bool di_access_admits_user(const di_access *access, uint32_t user);

/* Whether the other side of a connected unix socket may connect. `ret_user` is who that is, where
 * it may not. */
bool di_access_admits(const di_access *access, int socket, uint32_t *ret_user);

/* Whether the server at the other side of a unix socket is of this user, of root, or of `user`,
 * unless that is 0. Returns 0 or DARI_PERMISSION. */
int di_access_check_server(int socket, uint32_t user, di_failure *ret_failure);

#endif
