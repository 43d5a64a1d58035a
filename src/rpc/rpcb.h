/* SPDX-License-Identifier: MIT */
/* What is said to rpcbind (RFC 1833), in bytes.
 *
 * Written by hand: the library can't be made of code that its own compiler writes, since a cross
 * build would then have to build the compiler, and what that needs, before the library. A test
 * compares these with generated code.
 *
 * From any thread. Strings of what is decoded lie in the decoder's arena. */
#ifndef DI_RPC_RPCB_H
#define DI_RPC_RPCB_H

#include <dari/xdr.h>

#define DI_RPCB_PROGRAM 100000u
#define DI_RPCB_OLDEST 2u
#define DI_RPCB_NEWEST 4u
/* The procedures of versions 3 and 4, and of version 2, which says port for address. */
enum di_rpcb_procedure { DI_RPCB_SET = 1, DI_RPCB_UNSET, DI_RPCB_GETADDR, DI_RPCB_DUMP };
/* The longest universal address that an answer may have. */
#define DI_RPCB_ADDRESS_MAX 255u

/* Versions 3 and 4. */
typedef struct di_rpcb {
    uint32_t program;
    uint32_t version;
    const char *netid;   /* "tcp" */
    const char *address; /* universal */
    const char *owner;
} di_rpcb;

/* Version 2. */
typedef struct di_pmap {
    uint32_t program;
    uint32_t version;
    uint32_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
    uint32_t port;
} di_pmap;
#define DI_PMAP_SIZE 16u

int64_t di_rpcb_size(dari_encoder *encoder, const di_rpcb *value);
uint8_t *di_rpcb_encode(uint8_t *at, const di_rpcb *value);
const uint8_t *di_rpcb_decode(dari_decoder *decoder, const uint8_t *at, di_rpcb *ret_value);

uint8_t *di_pmap_encode(uint8_t *at, const di_pmap *value);

/* The answers. */
const uint8_t *di_rpcb_decode_address(dari_decoder *decoder, const uint8_t *at, char **ret_address);
const uint8_t *di_rpcb_decode_port(dari_decoder *decoder, const uint8_t *at, uint32_t *ret_port);
const uint8_t *di_rpcb_decode_truth(dari_decoder *decoder, const uint8_t *at, bool *ret_truth);

/* Reads a whole list, and out of it the first entry that has the program, version and netid of
 * `wanted`, or, where there is none, one without strings. */
const uint8_t *di_rpcb_decode_list(dari_decoder *decoder, const uint8_t *at, const di_rpcb *wanted,
                                   di_rpcb *ret_entry);

#endif
