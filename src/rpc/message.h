/* SPDX-License-Identifier: MIT */
/* The headers of calls and replies (RFC 5531, section 9), on bytes in memory.
 *
 * Sizes are known before anything is written, so that a header is put right before its argument or
 * result. Decoders take bytes of a hostile sender. Nothing here waits, allocates or keeps state;
 * any thread may use it. */
#ifndef DI_RPC_MESSAGE_H
#define DI_RPC_MESSAGE_H

#include <dari/error.h>
#include <dari/xdr.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum di_message_type { DI_CALL = 0, DI_REPLY = 1 };
enum di_reply_stat { DI_MSG_ACCEPTED = 0, DI_MSG_DENIED = 1 };
enum di_accept_stat {
    DI_SUCCESS = 0,
    DI_PROG_UNAVAIL = 1,
    DI_PROG_MISMATCH = 2,
    DI_PROC_UNAVAIL = 3,
    DI_GARBAGE_ARGS = 4,
    DI_SYSTEM_ERR = 5
};
enum di_reject_stat { DI_RPC_MISMATCH = 0, DI_AUTH_ERROR = 1 };
enum di_auth_stat {
    DI_AUTH_OK = 0,
    DI_AUTH_BADCRED = 1,
    DI_AUTH_REJECTEDCRED = 2,
    DI_AUTH_BADVERF = 3,
    DI_AUTH_REJECTEDVERF = 4,
    DI_AUTH_TOOWEAK = 5,
    DI_AUTH_INVALIDRESP = 6,
    DI_AUTH_FAILED = 7
};
enum di_auth_flavor { DI_AUTH_NONE = 0, DI_AUTH_SYS = 1, DI_AUTH_SHORT = 2 };

/* The version of RPC itself. */
#define DI_RPC_VERSION 2u
/* The most bytes that a credential or a verifier may have (RFC 5531, section 8.2). */
#define DI_AUTH_MAX 400u
/* The largest header of a call: what must be seen of a record that is too large to be read. */
#define DI_CALL_HEADER_MAX (24u + 2 * (8u + DI_AUTH_MAX))
/* The largest header of a reply: xid to verifier, status and a range of versions. */
#define DI_REPLY_HEADER_MAX (12u + 8u + DI_AUTH_MAX + 12u)

/* A credential or verifier. The body lies in the message. */
typedef struct di_auth {
    uint32_t flavor;
    uint32_t size;
    const uint8_t *body;
} di_auth;

typedef struct di_call_header {
    uint32_t xid;
    uint32_t rpc_version;
    uint32_t program;
    uint32_t version;
    uint32_t procedure;
    di_auth credential;
    di_auth verifier;
} di_call_header;

/* What a reply says. Its `error` is 0 or one of the codes "What a server answered" (error.h). */
typedef struct di_reply_header {
    uint32_t xid;
    int error;
    uint32_t low, high;   /* DARI_RPC_MISMATCH, DARI_PROGRAM_MISMATCH */
    uint32_t auth_status; /* DARI_AUTH: enum di_auth_stat */
    di_auth verifier;
} di_reply_header;

/* The first two words of any message. Returns 0, or DARI_TRUNCATED where there are fewer. */
static inline int di_message_peek(const uint8_t *bytes, size_t size, uint32_t *ret_xid,
                                  uint32_t *ret_type)
{
    if (size < 8)
        return DARI_TRUNCATED;
    *ret_xid = dari_get_u32(bytes);
    *ret_type = dari_get_u32(bytes + 4);
    return 0;
}

/* The bytes of a call's header with an empty credential and verifier. */
#define DI_CALL_PLAIN_SIZE 40u

/* The exact bytes of a call's header; credential and verifier are within DI_AUTH_MAX. */
static inline size_t di_call_header_size(const di_call_header *header)
{
    return DI_CALL_PLAIN_SIZE + (size_t)dari_padded(header->credential.size) +
           (size_t)dari_padded(header->verifier.size);
}

static inline uint8_t *di_auth_encode(uint8_t *at, const di_auth *auth)
{
    dari_put_u32(at, auth->flavor);
    dari_put_u32(at + 4, auth->size);
    return auth->size ? dari_put_bytes(at + 8, auth->body, auth->size) : at + 8;
}

/* Writes it and returns its end. */
static inline uint8_t *di_call_header_encode(uint8_t *at, const di_call_header *header)
{
    dari_put_u32(at, header->xid);
    dari_put_u32(at + 4, DI_CALL);
    dari_put_u32(at + 8, header->rpc_version);
    dari_put_u32(at + 12, header->program);
    dari_put_u32(at + 16, header->version);
    dari_put_u32(at + 20, header->procedure);
    at = di_auth_encode(at + 24, &header->credential);
    return di_auth_encode(at, &header->verifier);
}

/* Reads a call's header. Returns 0 and where the arguments begin, or
 *   DARI_RPC_MISMATCH  another version of RPC: only xid and rpc_version were read
 *   DARI_AUTH          a credential or verifier that may not be; `ret_auth_status` says which
 *   DARI_BAD_REPLY     no call at all: nothing can be answered
 * The header is written to as far as it could be read. */
int di_call_header_decode(const uint8_t *bytes, size_t size, di_call_header *header,
                          const uint8_t **ret_arguments, uint32_t *ret_auth_status);

/* The exact bytes of a reply's header with an empty verifier, for what `reply->error` says. */
size_t di_reply_header_size(const di_reply_header *reply);
/* Writes it and returns its end. An error that no reply can carry is sent as SYSTEM_ERR. */
uint8_t *di_reply_header_encode(uint8_t *at, const di_reply_header *reply);

/* The bytes of the header of a successful reply with an empty verifier. */
#define DI_REPLY_SUCCESS_SIZE 24u

/* What follows the xid in it. */
static const uint8_t di_reply_success[DI_REPLY_SUCCESS_SIZE - 4] = {0, 0, 0, DI_REPLY};

/* Writes it. */
static inline void di_reply_success_encode(uint8_t *at, uint32_t xid)
{
    dari_put_u32(at, xid);
    memcpy(at + 4, di_reply_success, sizeof di_reply_success);
}

/* Whether a reply begins with it, whatever its xid. Others may be successful, too. */
static inline bool di_reply_is_success(const uint8_t *bytes, size_t size)
{
    return size >= DI_REPLY_SUCCESS_SIZE &&
           memcmp(bytes + 4, di_reply_success, sizeof di_reply_success) == 0;
}

/* Reads a reply's header. Returns 0 and where the results begin, whatever the reply says, or
 * DARI_BAD_REPLY for what is no reply. */
int di_reply_header_decode(const uint8_t *bytes, size_t size, di_reply_header *header,
                           const uint8_t **ret_results);

#endif
