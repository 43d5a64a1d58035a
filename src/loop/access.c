/* SPDX-License-Identifier: MIT */
/* Whom a server lets in beside its own user and root: what its options say, kept, and put as
 * transports know it. See server.h. */
#include "loop/server.h"

#include <dari/error.h>

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Memory for what the system says of a group, which may have many members. */
#define GROUP_ROOM ((size_t)1 << 10)
#define GROUP_ROOM_MAX ((size_t)1 << 24)

int di_server_keep_access(dari_server *server, const dari_access *access)
{
    if (access->user_count > DARI_ACCESS_USERS_MAX || (access->user_count > 0 && !access->users))
        return DARI_INVALID;
    server->access.all = access->all;
    server->access.user_count = access->user_count;
    if (access->user_count > 0) {
        size_t size = access->user_count * sizeof *access->users;
        uint32_t *users = malloc(size);
        if (!users)
            return DARI_NO_MEMORY;
        memcpy(users, access->users, size);
        server->access.users = users;
    }
    if (access->group && !(server->access_group = strdup(access->group)))
        return DARI_NO_MEMORY;
    return 0;
}

void di_server_forget_access(dari_server *server)
{
    free((void *)(uintptr_t)server->access.users);
    free(server->access_group);
}

/* Looks a name up. Returns 0; DARI_INVALID where there is no such group; DARI_NO_MEMORY or
 * DARI_ERRNO. */
static int find_name(const char *name, uint32_t *ret_group)
{
    struct group group, *found = NULL;
    int cause = ERANGE;
    for (size_t room = GROUP_ROOM; cause == ERANGE && room <= GROUP_ROOM_MAX; room *= 4) {
        char *memory = malloc(room);
        if (!memory)
            return DARI_NO_MEMORY;
        do
            cause = getgrnam_r(name, &group, memory, room, &found);
        while (cause == EINTR);
        if (found)
            *ret_group = found->gr_gid;
        free(memory);
    }
    if (found)
        return 0;
    errno = cause;
    /* These, too, are said of names that are not there. */
    return cause == 0 || cause == ENOENT || cause == ESRCH ? DARI_INVALID : DARI_ERRNO;
}

/* A number is a number, unless a group has it for its name. */
static int find_group(const char *text, uint32_t *ret_group)
{
    char *end;
    int error = find_name(text, ret_group);
    if (error != DARI_INVALID || *text < '0' || *text > '9')
        return error;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || *end || number >= UINT32_MAX)
        return DARI_INVALID;
    *ret_group = (uint32_t)number;
    return 0;
}

int di_server_find_access(dari_server *server, const char *address, di_access *ret_access)
{
    di_failure failure = {0};
    di_access access = server->access;
    int error = server->access_group ? find_group(server->access_group, &access.group) : 0;
    if (error == 0) {
        access.has_group = server->access_group != NULL;
        *ret_access = access;
    } else if (error == DARI_INVALID) {
        snprintf(server->text, sizeof server->text, "%s: listen: there is no group %s", address,
                 server->access_group);
    } else {
        failure = (di_failure){.words = "the group cannot be looked up",
                               .system_error = error == DARI_ERRNO ? errno : 0};
        di_server_describe(server, address, "listen", error, &failure);
    }
    return error;
}
