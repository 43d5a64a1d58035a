/* SPDX-License-Identifier: MIT */
#include "loop/reconnect.h"

#include "base/clock.h"
#include "loop/client.h"

#include <errno.h>

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

void di_reconnect_begin(dari_client *client, const dari_client_options *options)
{
    uint64_t now = di_now();
    client->reconnect = (di_reconnect){
        .first_ns = or_default(options->backoff_first_ns, DARI_BACKOFF_FIRST_DEFAULT_NS),
        .max_ns = or_default(options->backoff_max_ns, DARI_BACKOFF_MAX_DEFAULT_NS),
        .connect_ns = or_default(options->connect_ns, DARI_CONNECT_DEFAULT_NS),
        .never = options->no_reconnect,
        .chance = now ^ (uint64_t)client->pending.next_xid << 32,
        .used = now};
}

/* Marsaglia's xorshift (2003). */
static uint64_t next_chance(di_reconnect *reconnect)
{
    uint64_t x = reconnect->chance ? reconnect->chance : 1;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return reconnect->chance = x;
}

/* The time before the next attempt. */
static uint64_t back_off(di_reconnect *reconnect)
{
    uint64_t time = reconnect->first_ns;
    for (uint32_t i = 1; i < reconnect->fruitless && time < reconnect->max_ns; i++)
        time = time < reconnect->max_ns / 2 ? 2 * time : reconnect->max_ns;
    if (time > reconnect->max_ns)
        time = reconnect->max_ns;
    return time - next_chance(reconnect) % (time / 2 + 1);
}

void di_reconnect_put_off(dari_client *client, int error, const di_failure *failure)
{
    di_reconnect *reconnect = &client->reconnect;
    reconnect->error = error;
    reconnect->failure = *failure;
    reconnect->not_before = reconnect->fruitless ? di_deadline_in(back_off(reconnect)) : 0;
    reconnect->told = false;
}

void di_reconnect_lost(dari_client *client, int error, int cause)
{
    di_reconnect_put_off(client, error, &(di_failure){.system_error = cause});
}

/* Whether nobody has to do with the lost connection any more. */
static bool is_left(const dari_client *client)
{
    return !client->held && !client->engaged && !client->receiver && !client->sender &&
           (!client->writing || client->drafting);
}

static bool may_connect(const dari_client *client)
{
    const di_reconnect *reconnect = &client->reconnect;
    bool wanted = reconnect->waiting > 0 || client->flights.grounded;
    return client->broken && !reconnect->never && !reconnect->attempt && wanted && is_left(client);
}

uint64_t di_reconnect_due(const dari_client *client)
{
    return may_connect(client) ? client->reconnect.not_before : DI_NEVER;
}

static void fail(dari_client *client, int error, const di_failure *failure)
{
    di_reconnect_put_off(client, error, failure);
    di_client_wake_all(client);
    di_loop_wake(client);
}

/* Those who wait went to sleep while somebody still had to do with the lost connection, and so did
 * not know when the next attempt may begin. */
static void tell(dari_client *client)
{
    if (client->reconnect.told)
        return;
    client->reconnect.told = true;
    di_client_wake_all(client);
    di_loop_wake(client);
}

void di_reconnect_step(dari_client *client)
{
    di_reconnect *reconnect = &client->reconnect;
    if (!may_connect(client))
        return;
    if (di_now() < reconnect->not_before) {
        tell(client);
        return;
    }
    di_failure failure = {0};
    di_reach_for_kept(client);
    reconnect->fruitless += reconnect->fruitless < UINT32_MAX;
    int error = di_attempt_begin(client, di_deadline_in(reconnect->connect_ns), &reconnect->attempt,
                                 &failure);
    if (error < 0)
        fail(client, error, &failure);
}

/* Puts the new connection in the place of the lost one. */
static void renew(dari_client *client, di_connection *connection)
{
    client->reconnect.bytes_in += client->channel.shown;
    client->reconnect.bytes_out += di_channel_sent(&client->channel);
    di_channel_close(&client->channel);
    di_channel_init(&client->channel, connection, &client->reach.limits);
    client->broken = client->broken_cause = 0;
    int error = client->loop.made ? di_loop_attach(client) : 0;
    if (error < 0) {
        di_client_break(client, error, errno);
    } else if (client->flights.grounded) {
        di_flights_launch(client);
        di_client_flush(client);
    }
    di_client_wake_all(client);
    di_loop_wake(client);
}

bool di_reconnect_take(dari_client *client, di_attempt *attempt, int error,
                       di_connection *connection, const di_failure *failure)
{
    pthread_mutex_lock(&client->lock);
    bool taken = client->reconnect.attempt == attempt;
    if (taken) {
        client->reconnect.attempt = NULL;
        if (!atomic_load(&client->reach.done))
            di_reach_take(client, error, connection, failure);
        else if (error < 0)
            fail(client, error, failure);
        else
            renew(client, connection);
    }
    pthread_mutex_unlock(&client->lock);
    return taken;
}

/* Bytes that have come on this connection. */
static uint64_t received(const dari_client *client)
{
    return client->channel.shown + di_channel_arrived(&client->channel);
}

void di_reconnect_look(dari_client *client, const dari_exchange *exchange)
{
    uint64_t now = exchange->began;
    uint64_t used = client->reconnect.used;
    client->reconnect.used = now;
    if (now < used || now - used < DI_LOOK_AFTER_NS)
        return;
    bool quiet = client->pending.count == 0 && !client->held && !client->engaged &&
                 !client->receiver && !client->sender && !client->writing;
    uint64_t before = UINT64_MAX;
    for (unsigned i = 0; i < DI_LOOKS_MAX && quiet && !client->broken; i++) {
        if (received(client) == before)
            return;
        before = received(client);
        di_client_receive(client, NULL);
    }
}

bool di_reconnect_may_repeat(const dari_client *client, const dari_exchange *exchange, int error)
{
    bool lost = error == DARI_CLOSED || error == DARI_ERRNO;
    return lost && error == client->broken && !client->reconnect.never && exchange->idempotent &&
           exchange->repeats < DARI_REPEATS_MAX;
}

void di_reconnect_explain(const dari_client *client, dari_exchange *exchange)
{
    const di_reconnect *reconnect = &client->reconnect;
    exchange->system_error = reconnect->failure.system_error;
    exchange->encoder.fault = di_reach_fault(reconnect->error, &reconnect->failure);
    exchange->encoder.fault.error = reconnect->error;
}
