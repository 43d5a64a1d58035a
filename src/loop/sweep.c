/* SPDX-License-Identifier: MIT */
/* What time ends: connections that are idle, or that never complete a first call.
 *
 * All are looked at together, some times within the shortest limit: nothing has to be kept in order
 * while calls come. A connection ends between its limit and a part of the limit later. In the
 * loop's thread. */
#include "base/clock.h"
#include "loop/reverse.h"

#include <dari/error.h>

static uint64_t pace(const dari_server *server)
{
    uint64_t shortest =
        server->idle_ns < server->first_call_ns ? server->idle_ns : server->first_call_ns;
    return shortest == DI_NEVER ? DI_NEVER : shortest / DI_SWEEPS_PER_LIMIT + 1;
}

void di_server_sweep_later(dari_server *server)
{
    if (server->sweep_at == DI_NEVER)
        server->sweep_at = di_deadline_in(pace(server));
}

/* What has taken the session too long, in words, or NULL. Where a call is in progress, or replies
 * are being taken, it is not idle. */
static const char *overdue(dari_server *server, di_session *session)
{
    if (session->connectionless || session->reverse)
        return NULL;
    if (atomic_load(&session->in_flight) > 0 || di_caller_waits(session))
        session->active_at = server->now;
    uint64_t quiet = server->now - session->active_at;
    if (!session->called && quiet >= server->first_call_ns)
        return "no call came in time";
    return session->called && quiet >= server->idle_ns ? "it was idle for too long" : NULL;
}

void di_server_sweep(dari_server *server)
{
    if (server->now < server->sweep_at)
        return;
    server->sweep_at = DI_NEVER;
    for (di_session *session = server->sessions, *next; session; session = next) {
        next = session->next;
        const char *words = overdue(server, session);
        if (!words)
            continue;
        di_server_log_peer(server, DARI_DEADLINE, "%s: connection of %s closed: %s",
                           session->address, session->peer.address, words);
        di_session_close(server, session);
    }
    if (server->sessions)
        di_server_sweep_later(server);
}
