/* SPDX-License-Identifier: MIT */
/* Who a number of the kernel's is: of the owner of a file, or of a peer's process. A user whom this
 * namespace of users does not know is told as the number of nobody, which a user of this namespace
 * may have as well. So that number is nobody's where there may be such users, or /proc does not
 * tell whether there are. Any thread. */
#ifndef DI_TRANSPORT_USER_H
#define DI_TRANSPORT_USER_H

#include <stdbool.h>
#include <stdint.h>

/* Whether it is this user. */
bool di_user_is(uint32_t told, uint32_t user);

/* Whether it is the user of this process. */
bool di_user_is_own(uint32_t told);

/* Whether it is this group. */
bool di_group_is(uint32_t told, uint32_t group);

#endif
