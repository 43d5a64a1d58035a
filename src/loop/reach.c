/* SPDX-License-Identifier: MIT */
#include "loop/reach.h"

#include "base/clock.h"
#include "loop/exchange.h"
#include "transport/failure.h"
#include "transport/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static di_connect_options connect_options(const dari_client_options *client)
{
    const dari_tcp_options *tcp = &client->tcp;
    di_connect_options options = {.reserved_port = tcp->reserved_port,
                                  .delay = tcp->delay,
                                  .keepalive_ns = tcp->keepalive_ns,
                                  .user_timeout_ns = tcp->user_timeout_ns,
                                  .loan_size = client->shm_loan_size,
                                  .server_user = client->server_user,
                                  .exec_allowed = client->exec.allowed,
                                  .exec_keeps_standard = client->exec.keeps_standard,
                                  .exec_grace_ns = client->exec.grace_ns
                                                       ? client->exec.grace_ns
                                                       : DARI_EXEC_GRACE_DEFAULT_NS};
    if (options.keepalive_ns == 0)
        options.keepalive_ns = DARI_TCP_KEEPALIVE_DEFAULT_NS;
    else if (options.keepalive_ns == UINT64_MAX)
        options.keepalive_ns = 0;
    return options;
}

di_channel_limits di_reach_limits(const dari_client_options *options)
{
    size_t most = options->message_max ? options->message_max : DARI_MESSAGE_MAX_DEFAULT;
    return (di_channel_limits){.message_max = most < DI_MESSAGE_MAX_MIN ? DI_MESSAGE_MAX_MIN : most,
                               .fragments_max = options->fragments_max
                                                    ? options->fragments_max
                                                    : DARI_FRAGMENTS_MAX_DEFAULT};
}

int di_reach_begin(dari_client *client, const dari_client_options *options, di_failure *failure)
{
    di_reach *reach = &client->reach;
    di_destination *destination = &reach->destination;
    di_place place;
    int error = di_transport_find(client->address, &destination->transport, &destination->rest);
    if (error == 0 && destination->transport->port_type) {
        error = di_place_parse(destination->rest, &place, failure);
        destination->asks = error == 0 && !*place.port;
    }
    if (error < 0)
        return error;
    destination->options = connect_options(options);
    destination->retry_ns = client->retry_ns;
    reach->limits = di_reach_limits(options);
    if (destination->asks && options->rpcbind) {
        destination->rpcbind = strdup(options->rpcbind);
        if (!destination->rpcbind)
            return DARI_NO_MEMORY;
    }
    client->channel.message_max = reach->limits.message_max;
    /* Whoever looks before there is a connection finds none, which is not lost for good. */
    client->broken = DARI_CLOSED;
    di_reconnect_begin(client, options);
    reach->once = client->reconnect.never || destination->transport->once;
    client->reconnect.never = false;
    return 0;
}

void di_reach_end(dari_client *client)
{
    free(client->reach.destination.rpcbind);
}

static void set_program(di_destination *destination, const dari_interface *interface)
{
    destination->program = interface->program;
    destination->version = interface->version;
    destination->knows_program = true;
}

/* Gives the client its first connection. Called with the lock held. */
static int settle(dari_client *client, di_connection *connection, di_failure *failure)
{
    int error = 0;
    di_channel_init(&client->channel, connection, &client->reach.limits);
    client->broken = 0;
    /* To connect again it may take a program, when the name has more addresses by then. Where none
     * is known, it is number 0, which is nobody's: to say so is an answer. */
    client->reach.destination.knows_program = true;
    if (client->loop.made && di_loop_attach(client) < 0) {
        error = di_fail_system(failure, errno, NULL);
        di_channel_close(&client->channel);
        client->broken = DARI_CLOSED;
    } else {
        client->reconnect.never |= client->reach.once;
    }
    atomic_store_explicit(&client->reach.done, error == 0, memory_order_release);
    return error;
}

int di_reach_connect(dari_client *client, const dari_interface *interface, uint64_t deadline,
                     di_failure *failure)
{
    di_destination *destination = &client->reach.destination;
    di_connection *connection;
    if (interface)
        set_program(destination, interface);
    int error = di_destination_connect(destination, deadline, &connection, failure);
    if (error < 0 || !connection)
        return error;
    pthread_mutex_lock(&client->lock);
    error = settle(client, connection, failure);
    pthread_mutex_unlock(&client->lock);
    return error;
}

void di_reach_for_kept(dari_client *client)
{
    if (!atomic_load(&client->reach.done) && client->flights.grounded)
        set_program(&client->reach.destination, client->flights.grounded->exchange.interface);
}

/* The calls in flight that waited for the attempt get its error: those of the program that it was
 * for. */
static void fail_flights(dari_client *client, int error, const di_failure *failure)
{
    const di_destination *destination = &client->reach.destination;
    for (di_flight *flight = client->flights.grounded, *next; flight; flight = next) {
        const dari_interface *interface = flight->exchange.interface;
        next = flight->next_grounded;
        if (interface->program != destination->program ||
            interface->version != destination->version)
            continue;
        flight->exchange.system_error = failure->system_error;
        flight->exchange.encoder.fault = di_reach_fault(error, failure);
        di_flight_fail(client, flight, error);
    }
}

/* A call that has begun to connect. */
struct di_first_call {
    di_waiter waiter;
    di_failure failure;
};

void di_reach_take(dari_client *client, int error, di_connection *connection,
                   const di_failure *failure)
{
    di_failure found = *failure;
    if (error == 0)
        error = settle(client, connection, &found);
    if (error == 0 && client->flights.grounded) {
        di_flights_launch(client);
        di_client_flush(client);
    } else if (error == DARI_DEADLINE) {
        di_reconnect_put_off(client, error, &found);
    } else if (error < 0) {
        fail_flights(client, error, &found);
    }
    di_first_call *first = client->reach.first;
    client->reach.first = NULL;
    if (first) {
        first->waiter.done = true;
        first->waiter.error = error;
        first->failure = found;
    }
    di_client_wake_all(client);
    di_loop_wake(client);
}

/* Connects for this call. The attempt keeps the deadline itself, and then has more to tell; it goes
 * on for others where this call is cancelled. One that has come to its own end, before the call
 * does, is followed by the next. */
static int attempt(dari_client *client, const dari_exchange *exchange, di_first_call *self)
{
    uint64_t until = di_deadline_in(client->reconnect.connect_ns);
    if (exchange->deadline < until)
        until = exchange->deadline;
    set_program(&client->reach.destination, exchange->interface);
    int error = di_attempt_begin(client, until, &client->reconnect.attempt, &self->failure);
    if (error < 0)
        return error;
    client->reach.first = self;
    self->waiter.done = false;
    self->waiter.deadline = DI_NEVER;
    while (!self->waiter.done && error == 0)
        error = di_client_await_word(client, &self->waiter);
    if (!self->waiter.done) {
        client->reach.first = NULL;
        return error;
    }
    bool goes_on = self->waiter.error == DARI_DEADLINE && di_now() < exchange->deadline;
    return goes_on ? 0 : self->waiter.error;
}

/* Waits while another call connects. */
static int await_another(dari_client *client, const dari_exchange *exchange, di_first_call *self)
{
    int error = 0;
    self->waiter.deadline = exchange->deadline;
    while (client->reconnect.attempt && error == 0)
        error = di_client_await_word(client, &self->waiter);
    return error;
}

void di_reach_for(dari_exchange *exchange)
{
    dari_client *client = exchange->client;
    di_first_call self = {.failure = {0}};
    int error = 0;
    di_exchange_begin_waiter(&self.waiter, exchange);
    pthread_mutex_lock(&client->lock);
    while (!atomic_load(&client->reach.done) && error == 0)
        error = client->reconnect.attempt ? await_another(client, exchange, &self)
                                          : attempt(client, exchange, &self);
    if (error == DARI_ERRNO && !self.failure.system_error)
        self.failure.system_error = errno;
    di_waiter_end(client, &self.waiter);
    /* While it woke up it may have been the one chosen to receive for others. */
    di_client_pass_on(client);
    pthread_mutex_unlock(&client->lock);
    if (error == 0)
        return;
    exchange->error = error;
    exchange->system_error = self.failure.system_error;
    exchange->decoder.fault = di_reach_fault(error, &self.failure);
}

dari_fault di_reach_fault(int error, const di_failure *failure)
{
    dari_fault fault = {0};
    if (!failure->words)
        return fault;
    fault = (dari_fault){.error = error,
                         .field = failure->words,
                         .found = failure->found,
                         .allowed = failure->allowed};
    if (error == DARI_NOT_REGISTERED) {
        fault.found = failure->program;
        fault.allowed = failure->version;
    }
    return fault;
}
