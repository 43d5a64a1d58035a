/* SPDX-License-Identifier: MIT */
/* What a handler or an interceptor may ask of the call that it answers. Whoever may answer the call
 * may ask, and nothing that is asked for changes while it is in progress. */
#include "loop/server.h"
#include "rpc/flavor.h"

#include <dari/interface.h>

#include <string.h>

dari_arena *dari_request_arena(dari_request *request)
{
    return &request->arena;
}

void *dari_request_user(const dari_request *request)
{
    return request->target.service.user;
}

uint32_t dari_request_program(const dari_request *request)
{
    return request->target.service.interface->program;
}

uint32_t dari_request_version(const dari_request *request)
{
    return request->target.service.interface->version;
}

uint32_t dari_request_procedure(const dari_request *request)
{
    return request->target.procedure->number;
}

const char *dari_request_procedure_name(const dari_request *request)
{
    return request->target.procedure->name;
}

const char *dari_request_peer_address(const dari_request *request)
{
    const di_session *session = request->session;
    if (!session->connectionless)
        return session->peer.address;
    dari_request *own = (dari_request *)(uintptr_t)request;
    if (!request->peer_text) {
        di_peer peer = {0};
        session->route_peer(&request->origin.route, &peer);
        own->peer_text = dari_arena_take(&own->arena, sizeof peer.address);
        if (!own->peer_text)
            return session->address;
        memcpy(own->peer_text, peer.address, sizeof peer.address);
    }
    return request->peer_text;
}

int dari_request_peer(const dari_request *request, dari_peer *ret_peer)
{
    const di_peer *peer = &request->session->peer;
    if (!peer->has_process)
        return DARI_SCHEME;
    *ret_peer = (dari_peer){.pid = peer->pid, .uid = peer->uid, .gid = peer->gid};
    return 0;
}

int dari_request_auth_sys(const dari_request *request, dari_auth_sys *ret_auth)
{
    return di_auth_sys_decode(&request->credential, ret_auth);
}
