/* SPDX-License-Identifier: MIT */
#include "loop/counters.h"

#include "loop/client.h"
#include "loop/server.h"

#include <stdlib.h>
#include <string.h>

uint64_t dari_latency_floor(unsigned bucket)
{
    const unsigned parts = 1u << DI_LATENCY_PARTS_BITS;
    if (bucket >= DARI_LATENCY_BUCKETS)
        return UINT64_MAX;
    if (bucket < parts)
        return (uint64_t)bucket << DI_LATENCY_UNIT_BITS;
    uint64_t part = parts + bucket % parts;
    return part << (bucket / parts - 1) << DI_LATENCY_UNIT_BITS;
}

uint64_t dari_latency_quantile(const dari_call_counters *calls, double quantile)
{
    double wanted = quantile * (double)calls->ok;
    uint64_t passed = 0;
    for (unsigned i = 0; i < DARI_LATENCY_BUCKETS; i++) {
        passed += calls->latency[i];
        if (passed > 0 && (double)passed >= wanted)
            return dari_latency_floor(i + 1);
    }
    return calls->ok ? UINT64_MAX : 0;
}

/* Makes a procedure, with copies of its names: those of a plug-in may go. */
static di_procedure_counters *make(const dari_interface *interface, uint32_t number,
                                   const char *name)
{
    const char *of = interface->name ? interface->name : "";
    size_t of_size = strlen(of) + 1;
    size_t name_size = strlen(name) + 1;
    di_procedure_counters *procedure = calloc(1, sizeof *procedure + of_size + name_size);
    if (!procedure)
        return NULL;
    char *text = (char *)(procedure + 1);
    procedure->program = interface->program;
    procedure->version = interface->version;
    procedure->procedure = number;
    procedure->interface = memcpy(text, of, of_size);
    procedure->name = memcpy(text + of_size, name, name_size);
    return procedure;
}

di_procedure_counters *di_counters_add(di_counters *counters, const dari_interface *interface,
                                       uint32_t number, const char *name)
{
    di_procedure_counters *procedure = make(interface, number, name);
    if (!procedure)
        return NULL;
    di_procedure_counters **slot =
        di_counters_slot(counters, procedure->program, procedure->version, number);
    procedure->next_in_slot = *slot;
    *slot = procedure;
    di_procedure_counters *last = counters->last ? counters->last : &counters->rest;
    atomic_store_explicit(&last->next, procedure, memory_order_release);
    counters->last = procedure;
    return procedure;
}

static di_procedure_counters *next_of(const di_procedure_counters *procedure)
{
    return atomic_load_explicit(&procedure->next, memory_order_acquire);
}

void di_counters_end(di_counters *counters)
{
    for (di_procedure_counters *at = next_of(&counters->rest), *next; at; at = next) {
        next = next_of(at);
        free(at);
    }
}

static uint64_t read_one(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_acquire);
}

/* Reads the calls of a procedure, and adds them to those of all. What has ended is read first: a
 * call that is seen to have ended is seen to have started. */
static void read_calls(const di_procedure_counters *procedure, dari_call_counters *calls,
                       dari_call_counters *all)
{
    for (unsigned i = 0; i < DARI_LATENCY_BUCKETS; i++) {
        calls->latency[i] = read_one(&procedure->latency[i]);
        calls->ok += calls->latency[i];
        all->latency[i] += calls->latency[i];
    }
    for (unsigned i = 0; i < DARI_ERROR_CODES; i++) {
        calls->errors[i] = read_one(&procedure->errors[i]);
        calls->failed += calls->errors[i];
        all->errors[i] += calls->errors[i];
    }
    calls->started = read_one(&procedure->started);
    calls->finished = calls->ok + calls->failed;
    calls->in_flight = calls->started - calls->finished;
    all->ok += calls->ok;
    all->failed += calls->failed;
    all->started += calls->started;
    all->finished += calls->finished;
    all->in_flight += calls->in_flight;
}

static char *copy_text(char **text, const char *from)
{
    char *copy = *text;
    *text = stpcpy(copy, from) + 1;
    return copy;
}

/* Reads the calls of all that are known now. Returns 0 or DARI_NO_MEMORY. */
static int read_all(const di_counters *counters, dari_counters *ret_counters)
{
    uint32_t count = 0;
    size_t size = 1; /* there is always some */
    for (const di_procedure_counters *at = next_of(&counters->rest); at; at = next_of(at)) {
        count++;
        size += sizeof *ret_counters->procedures + strlen(at->interface) + strlen(at->name) + 2;
    }
    dari_procedure_counters *procedures = calloc(1, size);
    if (!procedures)
        return DARI_NO_MEMORY;
    char *text = (char *)(procedures + count);
    *ret_counters = (dari_counters){.procedure_count = count, .procedures = procedures};
    dari_call_counters rest = {0};
    read_calls(&counters->rest, &rest, &ret_counters->calls);
    const di_procedure_counters *at = &counters->rest;
    for (uint32_t i = 0; i < count; i++) {
        at = next_of(at);
        procedures[i].program = at->program;
        procedures[i].version = at->version;
        procedures[i].procedure = at->procedure;
        procedures[i].interface = copy_text(&text, at->interface);
        procedures[i].name = copy_text(&text, at->name);
        read_calls(at, &procedures[i].calls, &ret_counters->calls);
    }
    return 0;
}

int dari_client_counters(dari_client *client, dari_counters *ret_counters)
{
    if (di_forked(&client->guard))
        return DARI_FORKED;
    int error = read_all(&client->counters, ret_counters);
    if (error < 0)
        return error;
    pthread_mutex_lock(&client->lock);
    ret_counters->bytes_in = client->reconnect.bytes_in + client->channel.shown;
    ret_counters->bytes_out = client->reconnect.bytes_out;
    if (client->channel.connection)
        ret_counters->bytes_out += di_channel_sent(&client->channel);
    ret_counters->dropped = client->pending.dropped;
    ret_counters->repeated = client->repeated;
    pthread_mutex_unlock(&client->lock);
    return 0;
}

int dari_server_counters(const dari_server *server, dari_counters *ret_counters)
{
    if (di_forked(&server->guard))
        return DARI_FORKED;
    int error = read_all(&server->counters, ret_counters);
    if (error < 0)
        return error;
    const di_traffic *traffic = &server->traffic;
    uint64_t closed = read_one(&traffic->closed);
    ret_counters->connections_accepted = read_one(&traffic->accepted);
    ret_counters->connections_open = ret_counters->connections_accepted - closed;
    ret_counters->connections_refused = read_one(&traffic->refused);
    ret_counters->bytes_in = read_one(&traffic->received);
    ret_counters->bytes_out = read_one(&traffic->sent) + read_one(&traffic->sent_by_others);
    ret_counters->dropped = read_one(&traffic->dropped);
    ret_counters->repeated = read_one(&traffic->repeated);
    return 0;
}

void dari_counters_end(dari_counters *counters)
{
    if (!counters)
        return;
    free(counters->procedures);
    *counters = (dari_counters){0};
}
