/* SPDX-License-Identifier: MIT */
/* The bytes of the measured calls (RFC 5531, sections 9 and 11), for the subject that has no
 * library to write them: a record mark in front, except in datagrams; AUTH_NONE; what ECHO carries
 * behind. */
#ifndef BENCH_RPC_WIRE_H
#define BENCH_RPC_WIRE_H

#include "codec.h"
#include "rpc.h"

#include <string.h>

#define WIRE_MARK 4u
#define WIRE_CALL 40u  /* the header of a call */
#define WIRE_REPLY 24u /* the header of a reply */
#define WIRE_LAST UINT32_C(0x80000000)

#define WIRE_PROGRAM UINT32_C(0x20000103)
#define WIRE_NOTHING 0u
#define WIRE_ECHO 1u

/* What ECHO carries: its length and its data. */
#define WIRE_ECHO_BODY (4u + RPC_ECHO_SIZE)

static inline void wire_write_mark(uint8_t *at, size_t size)
{
    codec_store_be32(at, WIRE_LAST | (uint32_t)size);
}

static inline void wire_write_call(uint8_t *at, uint32_t xid, uint32_t procedure)
{
    memset(at, 0, WIRE_CALL);
    codec_store_be32(at, xid);
    codec_store_be32(at + 8, 2);
    codec_store_be32(at + 12, WIRE_PROGRAM);
    codec_store_be32(at + 16, 1);
    codec_store_be32(at + 20, procedure);
}

/* Whether these bytes begin with a call of this program; then the procedure. */
static inline bool wire_read_call(const uint8_t *at, uint32_t *ret_procedure)
{
    *ret_procedure = codec_load_be32(at + 20);
    return codec_load_be32(at + 4) == 0 && codec_load_be32(at + 8) == 2 &&
           codec_load_be32(at + 12) == WIRE_PROGRAM && codec_load_be32(at + 16) == 1;
}

static inline void wire_write_reply(uint8_t *at, uint32_t xid)
{
    memset(at, 0, WIRE_REPLY);
    codec_store_be32(at, xid);
    codec_store_be32(at + 4, 1);
}

/* Whether these bytes begin with the reply of success to the call `xid`. */
static inline bool wire_read_reply(const uint8_t *at, uint32_t xid)
{
    static const uint8_t success[WIRE_REPLY - 4] = {0, 0, 0, 1};
    return codec_load_be32(at) == xid && memcmp(at + 4, success, sizeof success) == 0;
}

#endif
