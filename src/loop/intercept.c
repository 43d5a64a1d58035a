/* SPDX-License-Identifier: MIT */
/* Interceptors around the calls of a client. They are there before the first call, so that no lock
 * guards them, and none is held while they run. */
#include "base/clock.h"
#include "loop/exchange.h"

int dari_client_intercept(dari_client *client, const dari_client_interceptor *interceptor)
{
    if (di_forked(&client->guard))
        return DARI_FORKED;
    if (client->interceptor_count == DARI_CLIENT_INTERCEPTORS_MAX)
        return DARI_LIMIT;
    client->interceptors[client->interceptor_count++] = *interceptor;
    return 0;
}

static dari_client_call describe(const dari_exchange *exchange)
{
    return (dari_client_call){.client = exchange->client,
                              .address = exchange->client->address,
                              .program = exchange->interface->program,
                              .version = exchange->interface->version,
                              .procedure = exchange->procedure->number,
                              .procedure_name = exchange->procedure->name,
                              .allowed_ns = exchange->allowed_ns,
                              .call = exchange->call};
}

void di_exchange_enter(dari_exchange *exchange)
{
    const dari_client *client = exchange->client;
    dari_client_call call = describe(exchange);
    while (exchange->error == 0 && exchange->entered < client->interceptor_count) {
        const dari_client_interceptor *one = &client->interceptors[exchange->entered];
        int error = one->before ? one->before(&call, one->user) : 0;
        if (error)
            exchange->error = error < 0 ? error : DARI_INVALID;
        else
            exchange->entered++;
    }
}

void di_exchange_leave(dari_exchange *exchange)
{
    const dari_client *client = exchange->client;
    dari_client_call call = describe(exchange);
    call.system_error = exchange->system_error;
    call.may_have_run = exchange->may_have_run;
    call.elapsed_ns = di_now() - exchange->began;
    while (exchange->entered > 0) {
        const dari_client_interceptor *one = &client->interceptors[--exchange->entered];
        if (one->after)
            one->after(&call, exchange->error, one->user);
    }
}
