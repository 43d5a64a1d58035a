/* SPDX-License-Identifier: MIT */
/* Which version of a program client and server have in common.
 *
 * A server that lacks the version that is called names its lowest and its highest one (RFC 5531,
 * section 9). Those two it has; of what lies between them nothing is said. */
#include "base/clock.h"
#include "loop/client.h"

#include <dari/client.h>

/* Calls procedure 0 of a version, within what is left of the time. */
static int probe(dari_client *client, uint32_t program, uint32_t version, uint64_t deadline,
                 dari_call *call)
{
    call->deadline_ns = di_time_left(deadline);
    return dari_client_ping(client, program, version, call);
}

/* The next version to try, from `lowest` on, after `tried`, which is not there, as the call was
 * told. Returns false where there is none. `ret_sure`: the server has named it. */
static bool find_next(const dari_call *call, uint32_t lowest, uint32_t tried, uint32_t *ret_next,
                      bool *ret_sure)
{
    uint32_t least = call->low > lowest ? call->low : lowest;
    if (tried <= least || call->high < least)
        return false;
    *ret_next = call->high < tried ? call->high : tried - 1;
    *ret_sure = *ret_next == call->high || *ret_next == call->low;
    return true;
}

int dari_client_find_version(dari_client *client, uint32_t program, uint32_t lowest,
                             uint32_t highest, uint32_t *ret_version, dari_call *call)
{
    dari_call own = {0};
    if (lowest > highest || !ret_version)
        return DARI_INVALID;
    if (!call)
        call = &own;
    uint64_t asked = call->deadline_ns;
    uint64_t allowed = asked ? asked : client->deadline_ns;
    uint64_t deadline = di_deadline_in(allowed);
    uint32_t version = highest;
    bool sure = false;
    int error = probe(client, program, version, deadline, call);
    while (error == DARI_PROGRAM_MISMATCH && find_next(call, lowest, version, &version, &sure))
        error = sure ? 0 : probe(client, program, version, deadline, call);
    call->deadline_ns = asked;
    call->allowed_ns = allowed;
    call->error = error;
    if (error == 0)
        *ret_version = version;
    dari_call_end(&own);
    return error;
}
