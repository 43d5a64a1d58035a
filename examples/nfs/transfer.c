/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include "words.h"

static uint32_t choose(const nfs_session *session, uint32_t preferred, uint32_t most)
{
    uint32_t limit = by_datagrams(session) ? DATAGRAM_TRANSFER_MAX : TRANSFER_MAX;
    uint32_t size = preferred ? preferred : limit;
    if (most && size > most)
        size = most;
    return size < limit ? size : limit;
}

int plan_transfer(nfs_session *session, const char *path, const kept_handle *file,
                  transfer_plan *ret_plan)
{
    fsinfo_result result;
    nfs_handle argument = as_argument(file);
    dari_call_reset(&session->call);
    if (fsinfo_3(session->nfs, &argument, &result, &session->call) < 0)
        return fail_call(&session->call);
    if (result.status != NFS_OK)
        return fail_nfs(path, result.status);
    const fsinfo_limits *limits = &result.u.limits;
    ret_plan->read_size = choose(session, limits->read_preferred, limits->read_max);
    ret_plan->write_size = choose(session, limits->write_preferred, limits->write_max);
    ret_plan->in_flight = by_datagrams(session) ? DATAGRAM_TRANSFERS_MAX : TRANSFERS_MAX;
    return 0;
}
