/* SPDX-License-Identifier: MIT */
#include "transport/access.h"

#include "transport/failure.h"
#include "transport/user.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

/* Groups of a peer that are looked at without memory for them. */
#define GROUPS_AT_HAND 32u

mode_t di_access_mode(const di_access *access, mode_t bits)
{
    mode_t mode = S_IRUSR | S_IWUSR;
    if (di_access_is_of_group(access))
        mode |= bits << 3;
    else if (access->all || access->has_group || access->user_count > 0)
        mode |= bits << 3 | bits;
    return mode;
}

bool di_access_is_of_group(const di_access *access)
{
    return access->has_group && !access->all && access->user_count == 0;
}

bool di_access_asks(const di_access *access)
{
    return access->user_count > 0 && !access->all;
}

int di_access_open(const di_access *access, int descriptor, mode_t bits, di_failure *failure)
{
    if (di_access_is_of_group(access) && fchown(descriptor, (uid_t)-1, access->group) < 0)
        return di_fail_system(failure, errno, "the name cannot be given to the group");
    if (fchmod(descriptor, di_access_mode(access, bits)) < 0)
        return di_fail_system(failure, errno, "the name cannot be opened to others");
    return 0;
}

bool di_access_admits_user(const di_access *access, uint32_t user)
{
    if (access->all || user == 0 || di_user_is_own(user))
        return true;
    for (uint32_t i = 0; i < access->user_count; i++)
        if (di_user_is(user, access->users[i]))
            return true;
    return false;
}

static bool has_group(const gid_t *groups, size_t count, uint32_t group)
{
    for (size_t i = 0; i < count; i++)
        if (di_group_is(groups[i], group))
            return true;
    return false;
}

/* Whether the peer had the group beside its first one when it connected. */
static bool peer_has_group(int socket, uint32_t group)
{
    gid_t at_hand[GROUPS_AT_HAND], *groups = at_hand;
    socklen_t size = sizeof at_hand;
    int result = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
    if (result < 0 && errno == ERANGE) {
        groups = malloc(size);
        result = groups ? getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) : -1;
    }
    bool has = result == 0 && has_group(groups, size / sizeof *groups, group);
    if (groups != at_hand)
        free(groups);
    return has;
}

bool di_access_admits(const di_access *access, int socket, uint32_t *ret_user)
{
    struct ucred process;
    socklen_t size = sizeof process;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &process, &size) == 0) {
        if (di_access_admits_user(access, process.uid))
            return true;
        if (access->has_group &&
            (di_group_is(process.gid, access->group) || peer_has_group(socket, access->group)))
            return true;
    } else {
        process.uid = UINT32_MAX;
    }
    *ret_user = process.uid;
    return false;
}

int di_access_check_server(int socket, uint32_t user, di_failure *failure)
{
    struct ucred process;
    socklen_t size = sizeof process;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &process, &size) < 0)
        return di_fail(failure, DARI_PERMISSION, "the system does not say who the server is");
    if (process.uid != 0 && !di_user_is_own(process.uid) && !di_user_is(process.uid, user))
        return di_fail(failure, DARI_PERMISSION, "the server is another user's");
    return 0;
}
