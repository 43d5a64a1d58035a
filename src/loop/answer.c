/* SPDX-License-Identifier: MIT */
/* The reply of a call, from whichever thread answers.
 *
 * A reply is sized first; then the session's lock is taken, room is lent in the connection's
 * output, the reply is written there and committed, and the lock is given back. Replies of several
 * threads take turns on that, not on calls. What the loop itself answers it sends later, with the
 * other replies of the turn; other threads send at once. */
#include "base/clock.h"
#include "loop/server.h"

#include <dari/interface.h>

#include <string.h>
#include <sys/epoll.h>

dari_encoder *dari_request_encoder(dari_request *request)
{
    return &request->encoder;
}

/* Lends room for a message in the session's output and keeps that, by its lock if `ret_locked`; on
 * failure it does not. */
static int begin_message(di_session *session, const di_origin *origin, size_t size,
                         bool *ret_locked, uint8_t **ret_room)
{
    bool here = di_server_is_here(session->server);
    bool locked = *ret_locked = di_session_take_output(session, here);
    int error = DARI_CLOSED;
    if (session->channel.connection && !session->broken)
        error = di_channel_reserve(&session->channel, size, ret_room);
    if (error < 0)
        di_session_give_output(session, locked);
    else if (session->connectionless)
        di_channel_direct(&session->channel, &origin->route);
    return error;
}

void di_request_count(dari_server *server, di_procedure_counters *counters, uint64_t began,
                      int error, bool in_loop)
{
    if (error) {
        di_count_error(counters, error);
        return;
    }
    uint64_t now = di_now();
    if (in_loop)
        server->now = server->clock = now;
    di_count_ok(counters, now - began);
}

/* Ends what begin_message began, `locked` or not. `references`: what was not written; it is sent
 * before this returns. `flush` says whether the whole message is. */
static void end_message(di_session *session, di_origin *origin, uint8_t *room, size_t size,
                        const dari_references *references, bool locked, bool flush)
{
    bool call_loop = false;
    if (session->connectionless && origin->cached) {
        /* The loop knows the time well enough: it has just counted the call. */
        uint64_t now = flush ? di_now() : session->server->now;
        di_reply_cache_answer(&session->replies, origin->cached, room, size, now);
        origin->cached = NULL;
    }
    di_traffic *traffic = &session->server->traffic;
    uint64_t before = session->channel.committed;
    di_channel_commit_references(&session->channel, room, size, references);
    size_t added = (size_t)(session->channel.committed - before);
    if (flush) {
        atomic_fetch_add_explicit(&traffic->sent_by_others, added, memory_order_relaxed);
        int flushed = di_channel_flush(&session->channel);
        if (flushed < 0)
            session->broken = flushed;
        call_loop = flushed < 0 || (flushed == DI_BLOCKED && !(session->wants & DI_WANTS_SEND));
    } else {
        di_count(&traffic->sent, added);
        di_channel_advance(&session->channel);
    }
    di_session_give_output(session, locked);
    if (call_loop)
        di_session_call_loop(session);
}

/* The interceptors that let the call pass are told, the last one first. */
static void leave(dari_request *request, int error)
{
    const dari_interceptor *interceptors = request->server->interceptors;
    while (request->entered > 0) {
        const dari_interceptor *one = &interceptors[--request->entered];
        if (one->after)
            one->after(request, error, one->user);
    }
}

uint8_t *dari_request_reserve(dari_request *request, int64_t size)
{
    if (size < 0 || request->replied) {
        request->error = size < 0 ? (int)size : DARI_INVALID;
        return NULL;
    }
    uint64_t whole = (uint64_t)size + DI_REPLY_SUCCESS_SIZE;
    request->message_size = whole < SIZE_MAX ? (size_t)whole : SIZE_MAX;
    request->error = begin_message(request->session, &request->origin, request->message_size,
                                   &request->locked, &request->message);
    request->references.count = 0;
    if (request->error == 0 &&
        di_channel_takes_references(&request->session->channel, request->message_size))
        request->encoder.references = &request->references;
    /* Nobody is there any more: this is the answer. */
    if (request->error == DARI_CLOSED)
        request->replied = true;
    if (request->error == DARI_LIMIT)
        dari_encode_fault(&request->encoder, DARI_LIMIT, "the reply", (int64_t)whole,
                          (int64_t)request->session->channel.message_max);
    return request->error ? NULL : request->message + DI_REPLY_SUCCESS_SIZE;
}

static void send_success(dari_request *request)
{
    /* Before anything is written: a locked instruction waits for the memory of all writes. */
    di_request_count(request->server, request->counters, request->began, 0, request->in_loop);
    di_reply_success_encode(request->message, request->xid);
    request->replied = true;
    end_message(request->session, &request->origin, request->message, request->message_size,
                &request->references, request->locked, !request->in_loop);
    leave(request, 0);
}

int dari_request_reply(dari_request *request)
{
    if (!request->error)
        send_success(request);
    else if (request->error == DARI_CLOSED) {
        di_request_count(request->server, request->counters, 0, DARI_CLOSED, false);
        leave(request, DARI_CLOSED);
    }
    return request->error;
}

int di_answer_header(di_session *session, di_origin *origin, const di_reply_header *header,
                     bool flush)
{
    bool locked;
    uint8_t *room;
    size_t size = di_reply_header_size(header);
    int error = begin_message(session, origin, size, &locked, &room);
    if (error < 0)
        return error;
    di_reply_header_encode(room, header);
    end_message(session, origin, room, size, &(dari_references){0}, locked, flush);
    return 0;
}

int di_answer_again(di_session *session, di_origin *origin, const di_message *message)
{
    uint8_t *room;
    size_t size;
    bool locked = di_session_take_output(session, di_server_is_here(session->server));
    int known =
        di_reply_cache_find(&session->replies, &origin->route, sizeof origin->route, message->bytes,
                            message->size, session->server->now, &origin->cached);
    if (known == DI_CALL_ANSWERED) {
        const uint8_t *reply = di_cached_reply(origin->cached, &size);
        if (di_channel_reserve(&session->channel, size, &room) == 0) {
            memcpy(room, reply, size);
            di_channel_direct(&session->channel, &origin->route);
            di_channel_commit(&session->channel, room, size);
            di_count(&session->server->traffic.sent, size);
        }
    }
    if (known != DI_CALL_NEW)
        origin->cached = NULL;
    di_session_give_output(session, locked);
    return known;
}

void di_answer_never(di_session *session, di_origin *origin)
{
    bool locked = di_session_take_output(session, di_server_is_here(session->server));
    if (origin->cached)
        di_reply_cache_forget(&session->replies, origin->cached);
    origin->cached = NULL;
    di_session_give_output(session, locked);
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
    di_server_log_peer(request->server, error, "%s: %s: %s%s", request->session->address,
                       request->target.procedure->name, what, words);
}

/* The reply for a handler or codec that has failed with `error`. */
static void describe_failure(dari_request *request, int error, di_reply_header *ret_header)
{
    dari_server *server = request->server;
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
        pthread_mutex_lock(&server->lock);
        di_dispatch_range(&server->dispatch, target->service.interface->program, target);
        pthread_mutex_unlock(&server->lock);
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

int di_answer_failure(dari_request *request, int error)
{
    di_session *session = request->session;
    di_reply_header header = {.xid = request->xid};
    describe_failure(request, error, &header);
    request->replied = true;
    di_request_count(request->server, request->counters, request->began, header.error,
                     request->in_loop);
    int result = di_answer_header(session, &request->origin, &header, !request->in_loop);
    leave(request, header.error);
    if (result < 0 && result != DARI_CLOSED && !request->in_loop && !session->connectionless) {
        /* A call without an answer: the caller is to know, by the end of the connection. */
        pthread_mutex_lock(&session->lock);
        session->broken = result;
        pthread_mutex_unlock(&session->lock);
        di_session_call_loop(session);
    }
    return result;
}

/* One of the two that a later answer has to do with is done. */
static void part(dari_request *request)
{
    if (atomic_fetch_sub_explicit(&request->parties, 1, memory_order_acq_rel) == 1)
        di_request_end(request);
}

int dari_request_reply_later(dari_request *request)
{
    int error = request->error;
    request->in_loop = false;
    if (error && error != DARI_CLOSED)
        di_answer_failure(request, error);
    else
        dari_request_reply(request);
    part(request);
    return error;
}

int dari_request_fail(dari_request *request, int error)
{
    request->in_loop = false;
    int result = di_answer_failure(request, error ? error : DARI_SYSTEM_ERROR);
    part(request);
    return result;
}
