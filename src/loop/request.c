/* SPDX-License-Identifier: MIT */
/* One call at a server: from its message to its reply.
 *
 * Arguments are decoded where they lie in the connection's memory and may borrow from it, since the
 * handler returns before the next message is looked at. The reply is encoded in the connection's
 * memory. What else the call needs comes from the server's arena. */
#include "loop/server.h"

#include <dari/interface.h>

#include <string.h>

dari_decoder *dari_request_decoder(dari_request *request)
{
    return &request->decoder;
}

dari_encoder *dari_request_encoder(dari_request *request)
{
    return &request->encoder;
}

const uint8_t *dari_request_arguments(dari_request *request)
{
    return request->arguments;
}

dari_arena *dari_request_arena(dari_request *request)
{
    return &request->server->arena;
}

void *dari_request_user(const dari_request *request)
{
    return request->target.service.user;
}

void *dari_request_take(dari_request *request, size_t size)
{
    void *memory = dari_arena_take(dari_request_arena(request), size);
    return memory ? memset(memory, 0, size) : NULL;
}

uint8_t *dari_request_reserve(dari_request *request, int64_t size)
{
    di_channel *channel = &request->session->channel;
    if (size < 0) {
        request->error = (int)size;
        return NULL;
    }
    uint64_t whole = (uint64_t)size + DI_REPLY_SUCCESS_SIZE;
    request->message_size = whole < SIZE_MAX ? (size_t)whole : SIZE_MAX;
    request->error = di_channel_reserve(channel, request->message_size, &request->message);
    if (request->error == DARI_LIMIT)
        dari_encode_fault(&request->encoder, DARI_LIMIT, "the reply", (int64_t)whole,
                          (int64_t)channel->message_max);
    return request->error ? NULL : request->message + DI_REPLY_SUCCESS_SIZE;
}

int dari_request_reply(dari_request *request)
{
    if (request->error)
        return request->error;
    di_reply_header header = {.xid = request->xid};
    di_reply_header_encode(request->message, &header);
    di_channel_commit(&request->session->channel, request->message, request->message_size);
    request->replied = true;
    return 0;
}

/* Sends a reply without results. */
static int send_header(di_session *session, const di_reply_header *header)
{
    uint8_t *room;
    size_t size = di_reply_header_size(header);
    int error = di_channel_reserve(&session->channel, size, &room);
    if (error < 0)
        return error;
    di_reply_header_encode(room, header);
    di_channel_commit(&session->channel, room, size);
    return 0;
}

/* Tells the log why a call is answered with SYSTEM_ERR, or its arguments called garbage. */
static void tell(dari_request *request, int error, const char *what)
{
    char text[256];
    const dari_fault *fault =
        request->encoder.fault.error ? &request->encoder.fault : &request->decoder.fault;
    const char *words = fault->error ? dari_fault_text(fault, text, sizeof text)
                        : error < 0  ? dari_error_text(error)
                                     : "the handler failed";
    di_server_log(request->server, error, "%s: %s: %s%s", request->session->address,
                  request->target.procedure->name, what, words);
}

/* The reply for a handler or codec that has failed with `error`. */
static void describe_failure(dari_request *request, int error, di_reply_header *ret_header)
{
    di_target *target = &request->target;
    if (request->decoder.fault.error && error != DARI_NO_MEMORY) {
        tell(request, error, "arguments refused: ");
        ret_header->error = DARI_GARBAGE_ARGUMENTS;
        return;
    }
    ret_header->error = error;
    switch (error) {
    case DARI_PROGRAM_UNAVAILABLE:
    case DARI_GARBAGE_ARGUMENTS:
    case DARI_SYSTEM_ERROR:
        return;
    case DARI_PROCEDURE_UNAVAILABLE:
        if (target->procedure->number == 0)
            ret_header->error = 0;
        return;
    case DARI_PROGRAM_MISMATCH:
        di_dispatch_range(&request->server->dispatch, target->service.interface->program, target);
        ret_header->low = target->low;
        ret_header->high = target->high;
        return;
    case DARI_AUTH:
        ret_header->auth_status = DI_AUTH_TOOWEAK;
        return;
    default:
        tell(request, error, "");
        ret_header->error = DARI_SYSTEM_ERROR;
    }
}

/* The bytes that an arena has kept over a reset: a small message may have needed many. */
static size_t arena_kept(const dari_arena *arena)
{
    return arena->newest ? (size_t)(arena->end - arena->at) : 0;
}

/* Lets the generated code answer, and answers for it where it fails. */
static int call_procedure(dari_request *request, const di_message *message, di_reply_header *header)
{
    dari_server *server = request->server;
    dari_decoder_init(&request->decoder, message->bytes, message->size, &server->arena);
    request->decoder.accept = server->accept;
    request->decoder.borrow = true;
    dari_encoder_init(&request->encoder);
    dari_arena_allow(&server->arena, server->decode_budget);
    int error = request->target.procedure->serve(request, request->target.service.handlers);
    if (!error && !request->replied)
        error = DARI_SYSTEM_ERROR;
    int result = 0;
    if (!request->replied) {
        describe_failure(request, error, header);
        if (request->message)
            di_channel_release(&request->session->channel);
        result = send_header(request->session, header);
    }
    dari_arena_reset(&server->arena);
    if (message->size >= DI_LARGE_MESSAGE || request->message_size >= DI_LARGE_MESSAGE) {
        server->arena_used = true;
        di_server_trim_later(server);
    } else if (arena_kept(&server->arena) >= DI_LARGE_MESSAGE) {
        di_server_trim_later(server);
    }
    return result;
}

/* What the header of a call says against answering it: 0 or the error of its reply. */
static int check(const dari_server *server, const di_message *message, int decoded,
                 const di_call_header *call, di_target *target, di_reply_header *reply)
{
    if (decoded < 0)
        return decoded;
    if (call->credential.flavor != DI_AUTH_NONE && call->credential.flavor != DI_AUTH_SYS) {
        reply->auth_status = DI_AUTH_REJECTEDCRED;
        return DARI_AUTH;
    }
    int error =
        di_dispatch_find(&server->dispatch, call->program, call->version, call->procedure, target);
    reply->low = target->low;
    reply->high = target->high;
    return error == 0 && message->oversized ? DARI_GARBAGE_ARGUMENTS : error;
}

int di_request_serve(dari_server *server, di_session *session, const di_message *message)
{
    uint32_t xid, type;
    if (di_message_peek(message->bytes, message->size, &xid, &type) < 0)
        return DARI_BAD_REPLY;
    /* Nothing was called, so nobody waits for it. */
    if (type == DI_REPLY)
        return 0;
    dari_request request = {.server = server, .session = session, .xid = xid};
    di_reply_header reply = {.xid = xid};
    di_call_header call;
    int decoded = di_call_header_decode(message->bytes, message->size, &call, &request.arguments,
                                        &reply.auth_status);
    if (decoded == DARI_BAD_REPLY)
        return decoded;
    reply.error = check(server, message, decoded, &call, &request.target, &reply);
    if (reply.error == DARI_RPC_MISMATCH)
        reply.low = reply.high = DI_RPC_VERSION;
    if (reply.error == 0 && request.target.procedure && request.target.procedure->serve)
        return call_procedure(&request, message, &reply);
    return send_header(session, &reply);
}
