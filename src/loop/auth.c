/* SPDX-License-Identifier: MIT */
/* What this process is, for AUTH_SYS. */
#include <dari/auth.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Processes may be in some thousand groups. */
#define GROUPS_MAX 65536

/* Without memory there are none: the server then allows less, never more. */
static uint32_t further_groups(uint32_t groups[DARI_AUTH_SYS_GROUPS_MAX])
{
    gid_t *all = malloc(GROUPS_MAX * sizeof *all);
    int found = all ? getgroups(GROUPS_MAX, all) : 0;
    uint32_t count = 0;
    for (int i = 0; i < found && count < DARI_AUTH_SYS_GROUPS_MAX; i++)
        groups[count++] = all[i];
    free(all);
    return count;
}

void dari_auth_sys_self(dari_auth_sys *ret_auth)
{
    memset(ret_auth, 0, sizeof *ret_auth);
    if (gethostname(ret_auth->machine, DARI_AUTH_SYS_NAME_MAX) < 0)
        ret_auth->machine[0] = '\0';
    ret_auth->uid = geteuid();
    ret_auth->gid = getegid();
    ret_auth->group_count = further_groups(ret_auth->groups);
}
