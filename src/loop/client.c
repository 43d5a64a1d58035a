/* SPDX-License-Identifier: MIT */
/* The life of a client: connecting, and closing. */
#include "loop/client.h"

#include "base/clock.h"
#include "loop/reverse.h"
#include "transport/transport.h"

#include <dari/interface.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* What connecting has found out about its failure goes to the caller's context. */
static void report(dari_call *call, int error, const di_failure *failure)
{
    if (!call)
        return;
    call->error = error;
    call->system_error = failure->system_error;
    call->fault = di_reach_fault(error, failure);
}

/* Call numbers begin anywhere, so that a late reply to another process at the same place is not
 * taken for ours. */
static uint32_t first_xid(void)
{
    uint32_t xid;
    if (getrandom(&xid, sizeof xid, GRND_NONBLOCK) != sizeof xid)
        xid = (uint32_t)di_now();
    return xid;
}

int di_client_make(const char *address, const dari_client_options *options,
                   dari_client **ret_client)
{
    dari_client *client = calloc(1, sizeof *client);
    if (!client)
        return DARI_NO_MEMORY;
    atomic_init(&client->references, 1);
    client->deadline_ns = options->deadline_ns ? options->deadline_ns : DARI_DEADLINE_DEFAULT_NS;
    client->retry_ns = options->retry_ns ? options->retry_ns : DARI_RETRY_DEFAULT_NS;
    if (client->retry_ns > DI_RETRY_MAX_NS)
        client->retry_ns = DI_RETRY_MAX_NS;
    client->queued_max = options->queued_max ? options->queued_max : DARI_CLIENT_QUEUED_MAX_DEFAULT;
    client->spin.policy = client->loop.spin.policy = options->spin;
    client->spin.work = client->loop.spin.work = di_client_peer_work;
    client->decode_budget =
        options->decode_budget ? options->decode_budget : DARI_DECODE_BUDGET_DEFAULT;
    client->accept = options->accept;
    client->pending.next_xid = first_xid();
    client->address = strdup(address);
    di_call_peer(address, client->peer);
    int error = client->address ? 0 : DARI_NO_MEMORY;
    if (error == 0 && options->auth_sys)
        error = di_auth_sys_encode(options->auth_sys, client->credential_body, &client->credential);
    if (error == 0)
        error = di_fork_guard_init(&client->guard);
    if (error < 0) {
        free(client->address);
        free(client);
        return error;
    }
    di_buffer_init(&client->draft, SIZE_MAX / 4);
    pthread_mutex_init(&client->lock, NULL);
    *ret_client = client;
    return 0;
}

void di_client_use(dari_client *client, di_connection *connection,
                   const dari_client_options *options)
{
    di_reconnect_begin(client, options);
    const di_channel_limits limits = di_reach_limits(options);
    di_channel_init(&client->channel, connection, &limits);
    atomic_store(&client->reach.done, true);
}

static void begin_connecting(dari_call *call, const char *address, uint64_t allowed_ns)
{
    char peer[DARI_CALL_PEER_SIZE];
    di_call_peer(address, peer);
    di_call_begin(call, peer, "connect", allowed_ns);
}

int dari_connect(const char *address, const dari_client_options *options, dari_client **ret_client)
{
    static const dari_client_options defaults;
    if (!address || !ret_client || (options && options->spin > DARI_SPIN_NEVER))
        return DARI_INVALID;
    if (!options)
        options = &defaults;
    dari_call *call = options->call;
    uint64_t allowed = options->deadline_ns ? options->deadline_ns : DARI_DEADLINE_DEFAULT_NS;
    if (call && call->deadline_ns)
        allowed = call->deadline_ns;
    if (call)
        begin_connecting(call, address, allowed);
    dari_client *client = NULL;
    di_failure failure = {0};
    int error = di_client_make(address, options, &client);
    if (error == DARI_ERRNO)
        failure.system_error = errno;
    if (error == 0)
        error = di_reach_begin(client, options, &failure);
    if (error == 0)
        error = di_reach_connect(client, options->interface, di_deadline_in(allowed), &failure);
    if (error < 0) {
        dari_client_close(client);
        report(call, error, &failure);
        return error;
    }
    *ret_client = client;
    return 0;
}

int dari_client_ping(dari_client *client, uint32_t program, uint32_t version, dari_call *call)
{
    const dari_procedure procedure = {.number = 0, .name = "NULL"};
    const dari_interface interface = {.generator = DARI_GENERATOR_NEWEST,
                                      .program = program,
                                      .version = version,
                                      .procedures = &procedure,
                                      .procedure_count = 1};
    dari_exchange exchange;
    dari_exchange_begin(&exchange, client, &interface, 0, call);
    dari_exchange_reserve(&exchange, 0);
    return dari_exchange_end(&exchange, dari_exchange_send(&exchange));
}

/* Calls in flight end with DARI_CLOSED, and nobody connects any more. Where the loop of the
 * client's session dispatches it just now, that ends them. */
static void end_connection(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    di_attempt *attempt = client->reconnect.attempt;
    client->reconnect.attempt = NULL;
    client->reconnect.never = true;
    if (client->channel.connection)
        di_client_break(client, DARI_CLOSED, 0);
    di_flights_fail(client, DARI_CLOSED);
    if (!client->loop.dispatching)
        di_loop_close(client);
    pthread_mutex_unlock(&client->lock);
    di_attempt_abandon(attempt);
}

void dari_client_close(dari_client *client)
{
    if (!client || (client->over && !di_caller_leave(client)))
        return;
    bool forked = di_forked(&client->guard);
    if (client->service)
        di_reverse_service_end(client->service);
    if (forked)
        di_attempt_free(client->reconnect.attempt);
    else
        end_connection(client);
    di_client_reference_drop(client);
}

void di_client_reference_drop(dari_client *client)
{
    if (atomic_fetch_sub(&client->references, 1) != 1)
        return;
    di_buffer_free(&client->draft);
    di_idempotents_end(&client->idempotents);
    di_loans_end(&client->loans);
    di_flights_end(client);
    di_resend_free(client);
    di_loop_end(client);
    di_pending_end(&client->pending);
    di_counters_end(&client->counters);
    di_channel_close(&client->channel);
    di_reach_end(client);
    /* Where a thread of the parent holds the lock, its copy in a child can't be destroyed. */
    if (!di_forked(&client->guard))
        pthread_mutex_destroy(&client->lock);
    di_fork_guard_end(&client->guard);
    while (client->bell_count)
        close(client->bells[--client->bell_count]);
    free(client->address);
    free(client);
}
