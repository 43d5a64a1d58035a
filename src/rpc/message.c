/* SPDX-License-Identifier: MIT */
#include "rpc/message.h"

/* Returns the end, or NULL and DARI_TRUNCATED or DARI_BOUND. */
static const uint8_t *auth_decode(const uint8_t *at, const uint8_t *end, di_auth *auth,
                                  int *ret_error)
{
    *ret_error = DARI_TRUNCATED;
    if (end - at < 8)
        return NULL;
    auth->flavor = dari_get_u32(at);
    auth->size = dari_get_u32(at + 4);
    auth->body = at + 8;
    if (auth->size > DI_AUTH_MAX)
        *ret_error = DARI_BOUND;
    else if ((uint64_t)(end - auth->body) >= dari_padded(auth->size))
        return auth->body + dari_padded(auth->size);
    return NULL;
}

/* What becomes of a call whose credential or verifier could not be read. */
static int auth_failure(int error, uint32_t status, uint32_t *ret_auth_status)
{
    if (error != DARI_BOUND)
        return DARI_BAD_REPLY;
    *ret_auth_status = status;
    return DARI_AUTH;
}

/* Whether the credential and the verifier of a call, which is at least DI_CALL_PLAIN_SIZE bytes
 * long, are empty. */
static bool is_plain(const uint8_t *bytes)
{
    static const uint8_t empty[DI_CALL_PLAIN_SIZE - 24];
    return memcmp(bytes + 24, empty, sizeof empty) == 0;
}

/* Member by member: a copy would wait for what was just written. */
static void set_empty(di_auth *auth, const uint8_t *body)
{
    auth->flavor = DI_AUTH_NONE;
    auth->size = 0;
    auth->body = body;
}

int di_call_header_decode(const uint8_t *bytes, size_t size, di_call_header *header,
                          const uint8_t **ret_arguments, uint32_t *ret_auth_status)
{
    const uint8_t *end = bytes + size;
    if (size < 12 || dari_get_u32(bytes + 4) != DI_CALL)
        return DARI_BAD_REPLY;
    header->xid = dari_get_u32(bytes);
    header->rpc_version = dari_get_u32(bytes + 8);
    if (header->rpc_version != DI_RPC_VERSION)
        return DARI_RPC_MISMATCH;
    if (size < 24)
        return DARI_BAD_REPLY;
    header->program = dari_get_u32(bytes + 12);
    header->version = dari_get_u32(bytes + 16);
    header->procedure = dari_get_u32(bytes + 20);
    if (size >= DI_CALL_PLAIN_SIZE && is_plain(bytes)) {
        set_empty(&header->credential, bytes + DI_CALL_PLAIN_SIZE);
        set_empty(&header->verifier, bytes + DI_CALL_PLAIN_SIZE);
        *ret_arguments = bytes + DI_CALL_PLAIN_SIZE;
        return 0;
    }
    int error;
    const uint8_t *at = auth_decode(bytes + 24, end, &header->credential, &error);
    if (!at)
        return auth_failure(error, DI_AUTH_BADCRED, ret_auth_status);
    at = auth_decode(at, end, &header->verifier, &error);
    if (!at)
        return auth_failure(error, DI_AUTH_BADVERF, ret_auth_status);
    *ret_arguments = at;
    return 0;
}

static uint32_t accept_stat(int error)
{
    switch (error) {
    case 0:
        return DI_SUCCESS;
    case DARI_PROGRAM_UNAVAILABLE:
        return DI_PROG_UNAVAIL;
    case DARI_PROGRAM_MISMATCH:
        return DI_PROG_MISMATCH;
    case DARI_PROCEDURE_UNAVAILABLE:
        return DI_PROC_UNAVAIL;
    case DARI_GARBAGE_ARGUMENTS:
        return DI_GARBAGE_ARGS;
    default:
        return DI_SYSTEM_ERR;
    }
}

size_t di_reply_header_size(const di_reply_header *reply)
{
    switch (reply->error) {
    case DARI_RPC_MISMATCH:
        return 24;
    case DARI_AUTH:
        return 20;
    case DARI_PROGRAM_MISMATCH:
        return 32;
    default:
        return DI_REPLY_SUCCESS_SIZE;
    }
}

static uint8_t *range_encode(uint8_t *at, const di_reply_header *reply)
{
    dari_put_u32(at, reply->low);
    dari_put_u32(at + 4, reply->high);
    return at + 8;
}

uint8_t *di_reply_header_encode(uint8_t *at, const di_reply_header *reply)
{
    dari_put_u32(at, reply->xid);
    dari_put_u32(at + 4, DI_REPLY);
    if (reply->error == DARI_RPC_MISMATCH || reply->error == DARI_AUTH) {
        dari_put_u32(at + 8, DI_MSG_DENIED);
        if (reply->error == DARI_RPC_MISMATCH) {
            dari_put_u32(at + 12, DI_RPC_MISMATCH);
            return range_encode(at + 16, reply);
        }
        dari_put_u32(at + 12, DI_AUTH_ERROR);
        dari_put_u32(at + 16, reply->auth_status);
        return at + 20;
    }
    dari_put_u32(at + 8, DI_MSG_ACCEPTED);
    dari_put_u32(at + 12, DI_AUTH_NONE);
    dari_put_u32(at + 16, 0);
    dari_put_u32(at + 20, accept_stat(reply->error));
    at += DI_REPLY_SUCCESS_SIZE;
    return reply->error == DARI_PROGRAM_MISMATCH ? range_encode(at, reply) : at;
}

static int range_decode(const uint8_t *at, const uint8_t *end, di_reply_header *header, int error)
{
    if (end - at < 8)
        return DARI_BAD_REPLY;
    header->low = dari_get_u32(at);
    header->high = dari_get_u32(at + 4);
    header->error = error;
    return 0;
}

static int denied_decode(const uint8_t *at, const uint8_t *end, di_reply_header *header)
{
    if (end - at < 8)
        return DARI_BAD_REPLY;
    uint32_t status = dari_get_u32(at);
    if (status == DI_RPC_MISMATCH)
        return range_decode(at + 4, end, header, DARI_RPC_MISMATCH);
    if (status != DI_AUTH_ERROR)
        return DARI_BAD_REPLY;
    header->auth_status = dari_get_u32(at + 4);
    header->error = DARI_AUTH;
    return 0;
}

static int accepted_decode(const uint8_t *at, const uint8_t *end, di_reply_header *header,
                           const uint8_t **ret_results)
{
    static const int errors[] = {
        [DI_SUCCESS] = 0,
        [DI_PROG_UNAVAIL] = DARI_PROGRAM_UNAVAILABLE,
        [DI_PROG_MISMATCH] = DARI_PROGRAM_MISMATCH,
        [DI_PROC_UNAVAIL] = DARI_PROCEDURE_UNAVAILABLE,
        [DI_GARBAGE_ARGS] = DARI_GARBAGE_ARGUMENTS,
        [DI_SYSTEM_ERR] = DARI_SYSTEM_ERROR,
    };
    int error;
    at = auth_decode(at, end, &header->verifier, &error);
    if (!at || end - at < 4)
        return DARI_BAD_REPLY;
    uint32_t status = dari_get_u32(at);
    if (status > DI_SYSTEM_ERR)
        return DARI_BAD_REPLY;
    if (status == DI_PROG_MISMATCH)
        return range_decode(at + 4, end, header, DARI_PROGRAM_MISMATCH);
    header->error = errors[status];
    *ret_results = at + 4;
    return 0;
}

int di_reply_header_decode(const uint8_t *bytes, size_t size, di_reply_header *header,
                           const uint8_t **ret_results)
{
    memset(header, 0, sizeof *header);
    if (size < 12 || dari_get_u32(bytes + 4) != DI_REPLY)
        return DARI_BAD_REPLY;
    header->xid = dari_get_u32(bytes);
    *ret_results = bytes + size;
    uint32_t status = dari_get_u32(bytes + 8);
    if (status == DI_MSG_ACCEPTED)
        return accepted_decode(bytes + 12, bytes + size, header, ret_results);
    return status == DI_MSG_DENIED ? denied_decode(bytes + 12, bytes + size, header)
                                   : DARI_BAD_REPLY;
}
