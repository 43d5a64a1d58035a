/* SPDX-License-Identifier: MIT */
/* `nfs mv` and `nfs rm`. */
#include "commands.h"
#include "path.h"
#include "words.h"

int move(nfs_session *session, char **operands)
{
    nfs_spot from, to;
    rename_result result;
    if (find_spot(session, operands[0], &from) < 0 || find_spot(session, operands[1], &to) < 0)
        return -1;
    rename_arguments arguments = {.from = as_place(&from), .to = as_place(&to)};
    dari_call_reset(&session->call);
    if (rename_3(session->nfs, &arguments, &result, &session->call) < 0)
        return fail_call(&session->call);
    return result.status == NFS_OK ? 0 : fail_nfs(operands[0], result.status);
}

/* A directory goes too, where it is empty. */
int remove_node(nfs_session *session, char **operands)
{
    nfs_found node;
    nfs_spot spot;
    change_result result;
    if (find_spot(session, operands[0], &spot) < 0 || find_node(session, operands[0], &node) < 0)
        return -1;
    nfs_place place = as_place(&spot);
    dari_call_reset(&session->call);
    int error = node.attributes.type == NFS_DIRECTORY
                    ? rmdir_3(session->nfs, &place, &result, &session->call)
                    : remove_3(session->nfs, &place, &result, &session->call);
    if (error < 0)
        return fail_call(&session->call);
    return result.status == NFS_OK ? 0 : fail_nfs(operands[0], result.status);
}
