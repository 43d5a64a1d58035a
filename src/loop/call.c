/* SPDX-License-Identifier: MIT */
/* The call context: what became of a call, in words, and the memory of its result. */
#include "base/text.h"
#include "loop/client.h"
#include "rpc/message.h"

#include <dari/call.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void di_call_peer(const char *address, char ret_peer[DARI_CALL_PEER_SIZE])
{
    size_t size = strnlen(address, DARI_CALL_PEER_SIZE - 1);
    memset(ret_peer, 0, DARI_CALL_PEER_SIZE);
    memcpy(ret_peer, address, size);
}

void di_call_begin(dari_call *call, const char peer[DARI_CALL_PEER_SIZE], const char *procedure,
                   uint64_t allowed_ns)
{
    call->error = call->system_error = 0;
    call->may_have_run = false;
    call->low = call->high = call->auth_status = 0;
    call->fault = (dari_fault){0};
    call->allowed_ns = allowed_ns;
    call->procedure = procedure;
    memcpy(call->peer, peer, sizeof call->peer);
    call->text[0] = '\0';
}

/* Appends within `room`; a longer text is cut. */
static __attribute__((format(printf, 3, 4))) void append(char *text, size_t room,
                                                         const char *format, ...)
{
    size_t size = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + size, room - size, format, arguments);
    va_end(arguments);
}

/* "50 ms": the largest unit in which the duration is a whole number. */
static void append_duration(char *text, size_t room, uint64_t duration)
{
    static const struct {
        uint64_t size;
        const char *name;
    } units[] = {{DARI_S, "s"}, {DARI_MS, "ms"}, {DARI_US, "us"}, {1, "ns"}};
    size_t unit = 0;
    while (duration % units[unit].size)
        unit++;
    append(text, room, "deadline of %" PRIu64 " %s passed", duration / units[unit].size,
           units[unit].name);
}

static const char *auth_text(uint32_t status)
{
    static const char *const texts[] = {
        [DI_AUTH_OK] = "AUTH_OK",
        [DI_AUTH_BADCRED] = "AUTH_BADCRED",
        [DI_AUTH_REJECTEDCRED] = "AUTH_REJECTEDCRED",
        [DI_AUTH_BADVERF] = "AUTH_BADVERF",
        [DI_AUTH_REJECTEDVERF] = "AUTH_REJECTEDVERF",
        [DI_AUTH_TOOWEAK] = "AUTH_TOOWEAK",
        [DI_AUTH_INVALIDRESP] = "AUTH_INVALIDRESP",
        [DI_AUTH_FAILED] = "AUTH_FAILED",
    };
    return status < sizeof texts / sizeof *texts ? texts[status] : NULL;
}

static void append_fault(char *text, size_t room, const dari_fault *fault)
{
    size_t size = strlen(text);
    dari_fault_text(fault, text + size, room - size);
}

/* What connecting found: its own words, or those of the code. */
static void append_place(char *text, size_t room, const dari_call *call)
{
    const dari_fault *fault = &call->fault;
    append(text, room, "%s", fault->field ? fault->field : dari_error_text(call->error));
    if (fault->allowed)
        append(text, room, " (%" PRId64 ", at most %" PRId64 ")", fault->found, fault->allowed);
}

/* Why there was no connection before the deadline. */
static void append_unconnected(char *text, size_t room, const dari_fault *fault)
{
    append(text, room, ", not connected: %s",
           fault->field ? fault->field : dari_error_text(fault->error));
}

static void append_outcome(char *text, size_t room, const dari_call *call)
{
    switch (call->error) {
    case 0:
        append(text, room, "done");
        return;
    case DARI_DEADLINE:
        append_duration(text, room, call->allowed_ns);
        if (call->fault.error && call->fault.error != DARI_DEADLINE)
            append_unconnected(text, room, &call->fault);
        else if (call->fault.field)
            append(text, room, " (%s)", call->fault.field);
        return;
    case DARI_PROGRAM_MISMATCH:
    case DARI_RPC_MISMATCH:
        append(text, room, "%s: the server has versions %" PRIu32 " to %" PRIu32,
               dari_error_name(call->error) + strlen("DARI_"), call->low, call->high);
        return;
    case DARI_AUTH:
        append(text, room, "%s: ", dari_error_text(DARI_AUTH));
        if (auth_text(call->auth_status))
            append(text, room, "%s", auth_text(call->auth_status));
        else
            append(text, room, "status %" PRIu32, call->auth_status);
        return;
    case DARI_NOT_REGISTERED:
        append(text, room, "rpcbind does not know program %" PRIu32 ", version %" PRIu32,
               (uint32_t)call->fault.found, (uint32_t)call->fault.allowed);
        return;
    case DARI_RPCBIND:
    case DARI_ADDRESS:
    case DARI_REFUSED:
    case DARI_IN_USE:
    case DARI_PERMISSION:
        append_place(text, room, call);
        return;
    case DARI_ERRNO:
        if (call->fault.field)
            append(text, room, "%s", call->fault.field);
        return;
    default:
        /* A limit of the system has no figures, only a name. */
        if (call->error == DARI_LIMIT && call->fault.field && !call->fault.allowed)
            append_place(text, room, call);
        else if (call->fault.error)
            append_fault(text, room, &call->fault);
        else
            append(text, room, "%s", dari_error_text(call->error));
    }
}

/* Appends the words for an errno, by themselves where nothing else was said before. */
static void append_cause(char *text, size_t room, const dari_call *call)
{
    char buffer[96];
    const char *words;
    if (!call->system_error)
        return;
    words = strerror_r(call->system_error, buffer, sizeof buffer);
    append(text, room, call->error == DARI_ERRNO && !call->fault.field ? "%s" : " (%s)", words);
}

const char *dari_call_message(dari_call *call)
{
    char *text = call->text;
    size_t room = sizeof call->text;
    text[0] = '\0';
    if (!call->procedure)
        return text;
    append(text, room, "%s: %s: ", call->peer, call->procedure);
    append_outcome(text, room, call);
    append_cause(text, room, call);
    if (call->error && call->may_have_run)
        append(text, room, ", may have run");
    return text;
}

void di_call_give_back(dari_call *call)
{
    dari_arena_reset(&call->arena);
    for (di_hold *hold = call->held, *next; hold; hold = next) {
        next = hold->next;
        hold->next = call->spare;
        call->spare = hold;
    }
    call->held = NULL;
}

di_hold *di_call_trade(dari_call *call, di_hold *reply)
{
    di_hold *spare = call->spare;
    if (spare)
        call->spare = spare->next;
    reply->next = call->held;
    call->held = reply;
    if (!spare || di_hold_is_single(spare))
        return spare;
    /* Its connection has not left it yet. */
    di_hold_release(spare);
    return NULL;
}

void dari_call_reset(dari_call *call)
{
    di_call_give_back(call);
    static const char nobody[DARI_CALL_PEER_SIZE];
    di_call_begin(call, nobody, NULL, 0);
}

void dari_call_end(dari_call *call)
{
    if (!call)
        return;
    dari_call_reset(call);
    dari_arena_end(&call->arena);
    for (di_hold *hold = call->spare, *next; hold; hold = next) {
        next = hold->next;
        di_hold_release(hold);
    }
    call->spare = NULL;
}
