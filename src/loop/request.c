/* SPDX-License-Identifier: MIT */
/* One call at a server: from its message to the end of its handler.
 *
 * Arguments are decoded where they lie and may borrow from the message. A call that the loop
 * answers at once leaves its message in the connection's memory, since nothing is received before;
 * if the handler answers later instead, that memory is held from then on. A call for another thread
 * takes its message along: small ones are copied, large ones held. What else a call needs comes
 * from its own arena, which lasts until it is answered. */
#include "loop/reverse.h"

#include "base/clock.h"
#include "rpc/flavor.h"

#include <dari/interface.h>

#include <stdlib.h>
#include <string.h>

dari_decoder *dari_request_decoder(dari_request *request)
{
    return &request->decoder;
}

const uint8_t *dari_request_arguments(dari_request *request)
{
    return request->arguments;
}

void *dari_request_take(dari_request *request, size_t size)
{
    void *memory = dari_arena_take(&request->arena, size);
    return memory ? memset(memory, 0, size) : NULL;
}

static void free_request(dari_request *request)
{
    dari_arena_end(&request->arena);
    free(request->copy);
    free(request);
}

/* Takes a request from the pool, or makes one. */
static dari_request *take_request(dari_server *server)
{
    if (!server->free_requests) {
        server->free_requests = atomic_exchange(&server->returned, NULL);
        for (dari_request *at = server->free_requests; at; at = at->next) {
            server->free_count++;
            atomic_fetch_sub(&server->returned_count, 1);
        }
    }
    dari_request *request = server->free_requests;
    if (!request)
        return calloc(1, sizeof *request);
    server->free_requests = request->next;
    server->free_count--;
    return request;
}

/* Whether an arena has kept much over a reset: a small message may have needed it. */
static bool keeps_much(const dari_arena *arena)
{
    return arena->newest && (size_t)(arena->end - arena->at) >= DI_LARGE_MESSAGE;
}

/* The answer is over, or there was none. */
static void close_origin(dari_request *request)
{
    if (request->session->connectionless)
        di_answer_never(request->session, &request->origin);
    request->peer_text = NULL;
}

/* Puts a request back, of which no other thread has heard. */
static void put_request(dari_server *server, dari_request *request)
{
    close_origin(request);
    dari_arena_reset(&request->arena);
    if (request->size >= DI_LARGE_MESSAGE || request->message_size >= DI_LARGE_MESSAGE) {
        server->requests_used = true;
        di_server_trim_later(server);
    } else if (keeps_much(&request->arena)) {
        di_server_trim_later(server);
    }
    if (server->free_count >= DI_REQUESTS_KEPT) {
        free_request(request);
        return;
    }
    request->next = server->free_requests;
    server->free_requests = request;
    server->free_count++;
}

/* Puts a request back from any thread. */
static void return_request(dari_server *server, dari_request *request)
{
    dari_arena_reset(&request->arena);
    if (keeps_much(&request->arena))
        dari_arena_end(&request->arena);
    if (request->copy_room > DI_COPIED_MESSAGE) {
        free(request->copy);
        request->copy = NULL;
        request->copy_room = 0;
    }
    if (atomic_fetch_add(&server->returned_count, 1) >= DI_REQUESTS_KEPT) {
        atomic_fetch_sub(&server->returned_count, 1);
        free_request(request);
        return;
    }
    request->next = atomic_load(&server->returned);
    while (!atomic_compare_exchange_weak(&server->returned, &request->next, request)) {
    }
}

void di_request_end(dari_request *request)
{
    dari_server *server = request->server;
    di_session *session = request->session;
    di_hold_release(request->hold);
    request->hold = NULL;
    di_region_release(request->region);
    request->region = NULL;
    close_origin(request);
    return_request(server, request);
    atomic_fetch_sub(&session->in_flight, 1);
    atomic_fetch_sub(&server->in_flight, 1);
    if (atomic_load(&session->wants_word) || atomic_load(&server->starved))
        di_session_call_loop(session);
    di_session_reference_drop(session);
}

void di_requests_trim(dari_server *server)
{
    for (dari_request *at = server->free_requests; at; at = at->next)
        dari_arena_end(&at->arena);
}

void di_requests_free(dari_server *server)
{
    dari_request *lists[] = {server->free_requests, atomic_load(&server->returned)};
    for (int i = 0; i < 2; i++)
        for (dari_request *request = lists[i], *next; request; request = next) {
            next = request->next;
            free_request(request);
        }
}

/* Asks the interceptors. Returns 0 or what the call is answered with. */
static int enter(dari_request *request)
{
    dari_server *server = request->server;
    for (unsigned i = 0; i < server->interceptor_count; i++) {
        const dari_interceptor *one = &server->interceptors[i];
        int error = one->before ? one->before(request, one->user) : 0;
        if (error)
            return error == DARI_LATER ? DARI_SYSTEM_ERROR : error;
        request->entered++;
    }
    return 0;
}

int di_request_run(dari_request *request)
{
    dari_server *server = request->server;
    dari_decoder_init(&request->decoder, request->bytes, request->size, NULL);
    request->decoder.arena = &request->arena;
    request->decoder.accept = server->accept;
    if (request->region)
        dari_decoder_refer(&request->decoder, &request->elsewhere);
    dari_encoder_init(&request->encoder);
    dari_arena_allow(&request->arena, server->decode_budget);
    int error = enter(request);
    if (!error)
        error = request->target.procedure->serve(request, request->target.service.handlers);
    /* Then somebody else may have answered already, and this one is no longer ours. */
    if (error == DARI_LATER)
        return DARI_LATER;
    if (request->replied)
        return 0;
    return di_answer_failure(request, error ? error : DARI_SYSTEM_ERROR);
}

/* From now on the call goes on by itself. */
static void count(dari_request *request)
{
    atomic_fetch_add(&request->session->in_flight, 1);
    atomic_fetch_add(&request->session->references, 1);
    atomic_fetch_add(&request->server->in_flight, 1);
}

/* Copies the message into the request's own memory. */
static int copy_message(dari_request *request)
{
    if (request->copy_room < request->size) {
        size_t room = request->size < 512 ? 512 : request->size;
        uint8_t *copy = realloc(request->copy, room);
        if (!copy)
            return DARI_NO_MEMORY;
        request->copy = copy;
        request->copy_room = room;
    }
    memcpy(request->copy, request->bytes, request->size);
    request->arguments = request->copy + (request->arguments - request->bytes);
    if (request->credential.size)
        request->credential.body = request->copy + (request->credential.body - request->bytes);
    request->bytes = request->copy;
    return 0;
}

static void hold_region(dari_request *request)
{
    if (request->region)
        di_region_add(request->region);
}

static int run_in_loop(dari_request *request)
{
    dari_server *server = request->server;
    di_connection *connection = request->session->channel.connection;
    request->in_loop = true;
    int result = di_request_run(request);
    if (result != DARI_LATER) {
        request->region = NULL;
        put_request(server, request);
        return result;
    }
    if (connection->ops->hold)
        request->hold = connection->ops->hold(connection);
    hold_region(request);
    count(request);
    if (atomic_fetch_sub_explicit(&request->parties, 1, memory_order_acq_rel) == 1)
        di_request_end(request);
    return 0;
}

/* Runs the call here, or has it run. */
static int start(dari_request *request)
{
    di_connection *connection = request->session->channel.connection;
    bool can_hold = connection->ops->hold != NULL;
    bool elsewhere = request->server->workers != NULL;
    if (!can_hold || (elsewhere && request->size <= DI_COPIED_MESSAGE)) {
        int error = copy_message(request);
        if (error < 0) {
            request->in_loop = true;
            request->decoder.fault.error = request->encoder.fault.error = 0;
            error = di_answer_failure(request, error);
            put_request(request->server, request);
            return error;
        }
    } else if (elsewhere) {
        request->hold = connection->ops->hold(connection);
        hold_region(request);
    }
    atomic_store_explicit(&request->parties, 2, memory_order_relaxed);
    if (!elsewhere)
        return run_in_loop(request);
    request->in_loop = false;
    count(request);
    di_workers_put(request->server, request);
    return 0;
}

/* What the header of a call says against answering it: 0 or the error of its reply. */
static int check(dari_server *server, const di_message *message, int decoded,
                 const di_call_header *call, di_target *target, di_reply_header *reply)
{
    if (decoded < 0)
        return decoded;
    const di_flavor *flavor = di_flavor_find(call->credential.flavor);
    reply->auth_status = flavor ? flavor->check(&call->credential) : DI_AUTH_REJECTEDCRED;
    if (reply->auth_status != DI_AUTH_OK)
        return DARI_AUTH;
    int error =
        di_dispatch_find(&server->dispatch, call->program, call->version, call->procedure, target);
    reply->low = target->low;
    reply->high = target->high;
    return error == 0 && message->oversized ? DARI_GARBAGE_ARGUMENTS : error;
}

/* Where the call is counted, which begins. Procedures were made known when they were added. */
static di_procedure_counters *count_start(dari_server *server, const di_target *target, int error)
{
    di_procedure_counters *found = &server->counters.rest;
    if (server->clock == 0)
        server->clock = di_now();
    if (target->procedure)
        found = di_counters_find(&server->counters, target->service.interface,
                                 target->procedure->number, target->procedure->name);
    else if (error == 0)
        found = di_counters_find(&server->counters, target->service.interface, 0, "NULL");
    di_count(&found->started, 1);
    return found;
}

/* Answers a call that no handler is asked for; not by more than was asked, where nobody has shown
 * that he gets what is sent to his address. */
static int answer_without(dari_server *server, di_session *session, di_origin *origin, size_t asked,
                          const di_target *target, const di_reply_header *reply)
{
    if (session->connectionless && di_reply_header_size(reply) > asked) {
        di_count(&server->traffic.dropped, 1);
        return 0;
    }
    di_procedure_counters *counters = count_start(server, target, reply->error);
    di_request_count(server, counters, server->clock, reply->error, true);
    return di_answer_header(session, origin, reply, false);
}

/* The bytes of a message from its beginning on that are there. */
static size_t sure_size(const di_message *message)
{
    return message->elsewhere
               ? (size_t)(message->elsewhere->references.items[0].at - message->bytes)
               : message->size;
}

/* Whether there are far more calls in progress than may be. */
static bool is_beyond(dari_server *server, di_session *session)
{
    return atomic_load(&session->in_flight) / DI_CALLS_BEYOND >= server->calls_per_connection_max ||
           atomic_load(&server->in_flight) / DI_CALLS_BEYOND >= server->calls_max;
}

int di_request_serve(dari_server *server, di_session *session, const di_message *message)
{
    uint32_t xid, type;
    if (di_message_peek(message->bytes, message->size, &xid, &type) < 0)
        return DARI_BAD_REPLY;
    if (type == DI_REPLY) {
        di_caller_take(session, message);
        return 0;
    }
    if (server->finishing) {
        di_count(&server->traffic.dropped, 1);
        return 0;
    }
    const uint8_t *arguments;
    di_target target = {0};
    di_origin origin = {0};
    if (session->connectionless)
        di_channel_sender(&session->channel, &origin.route);
    di_reply_header reply = {.xid = xid};
    di_call_header call;
    int decoded = di_call_header_decode(message->bytes, sure_size(message), &call, &arguments,
                                        &reply.auth_status);
    if (decoded == DARI_BAD_REPLY)
        return decoded;
    reply.error = check(server, message, decoded, &call, &target, &reply);
    if (reply.error == DARI_RPC_MISMATCH)
        reply.low = reply.high = DI_RPC_VERSION;
    if (!reply.error && atomic_load(&session->called_over) && is_beyond(server, session))
        reply.error = DARI_SYSTEM_ERROR;
    if (reply.error || !target.procedure || !target.procedure->serve)
        return answer_without(server, session, &origin, message->size, &target, &reply);
    int known = session->connectionless ? di_answer_again(session, &origin, message) : DI_CALL_NEW;
    if (known != DI_CALL_NEW) {
        di_count(known < 0 ? &server->traffic.dropped : &server->traffic.repeated, 1);
        return 0;
    }
    di_procedure_counters *counters = count_start(server, &target, 0);
    dari_request *request = take_request(server);
    if (!request) {
        reply.error = DARI_SYSTEM_ERROR;
        di_request_count(server, counters, 0, reply.error, true);
        return di_answer_header(session, &origin, &reply, false);
    }
    request->server = server;
    request->session = session;
    request->target = target;
    request->xid = xid;
    if (session->connectionless)
        request->origin = origin;
    request->began = server->clock;
    request->counters = counters;
    request->credential = call.credential;
    request->arguments = arguments;
    request->bytes = message->bytes;
    request->size = message->size;
    request->region = NULL;
    if (message->elsewhere) {
        request->elsewhere = message->elsewhere->references;
        request->region = message->elsewhere->region;
    }
    request->message = NULL;
    request->message_size = 0;
    request->error = 0;
    request->replied = false;
    request->entered = 0;
    return start(request);
}
