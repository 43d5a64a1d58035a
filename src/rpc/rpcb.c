/* SPDX-License-Identifier: MIT */
#include "rpc/rpcb.h"

#include <string.h>

int64_t di_rpcb_size(dari_encoder *encoder, const di_rpcb *value)
{
    int64_t size = 8;
    if (dari_add_string(encoder, &size, value->netid, UINT32_MAX, "rpcb.r_netid") &&
        dari_add_string(encoder, &size, value->address, UINT32_MAX, "rpcb.r_addr"))
        dari_add_string(encoder, &size, value->owner, UINT32_MAX, "rpcb.r_owner");
    return size;
}

uint8_t *di_rpcb_encode(uint8_t *at, const di_rpcb *value)
{
    dari_put_u32(at, value->program);
    dari_put_u32(at + 4, value->version);
    at = dari_put_string(at + 8, value->netid);
    at = dari_put_string(at, value->address);
    return dari_put_string(at, value->owner);
}

/* Reads a string whose length word may not be there. */
static const uint8_t *get_string(dari_decoder *decoder, const uint8_t *at, uint32_t bound,
                                 const char **ret_text, const char *field)
{
    char *text;
    if (dari_left(decoder, at) < 4)
        return dari_truncated(decoder, at, 4, field);
    at = dari_get_string(decoder, at, bound, 0, &text, field);
    if (at)
        *ret_text = text;
    return at;
}

const uint8_t *di_rpcb_decode(dari_decoder *decoder, const uint8_t *at, di_rpcb *ret_value)
{
    if (dari_left(decoder, at) < 8)
        return dari_truncated(decoder, at, 8, "rpcb.r_prog");
    ret_value->program = dari_get_u32(at);
    ret_value->version = dari_get_u32(at + 4);
    at = get_string(decoder, at + 8, UINT32_MAX, &ret_value->netid, "rpcb.r_netid");
    if (at)
        at = get_string(decoder, at, UINT32_MAX, &ret_value->address, "rpcb.r_addr");
    if (at)
        at = get_string(decoder, at, UINT32_MAX, &ret_value->owner, "rpcb.r_owner");
    return at;
}

uint8_t *di_pmap_encode(uint8_t *at, const di_pmap *value)
{
    dari_put_u32(at, value->program);
    dari_put_u32(at + 4, value->version);
    dari_put_u32(at + 8, value->protocol);
    dari_put_u32(at + 12, value->port);
    return at + DI_PMAP_SIZE;
}

const uint8_t *di_rpcb_decode_address(dari_decoder *decoder, const uint8_t *at, char **ret_address)
{
    if (dari_left(decoder, at) < 4)
        return dari_truncated(decoder, at, 4, "the address");
    return dari_get_string(decoder, at, DI_RPCB_ADDRESS_MAX, 0, ret_address, "the address");
}

const uint8_t *di_rpcb_decode_port(dari_decoder *decoder, const uint8_t *at, uint32_t *ret_port)
{
    if (dari_left(decoder, at) < 4)
        return dari_truncated(decoder, at, 4, "the port");
    uint32_t port = dari_get_u32(at);
    if (port > 65535)
        return dari_decode_fault(decoder, at, DARI_RANGE, "the port", port, 65535);
    *ret_port = port;
    return at + 4;
}

const uint8_t *di_rpcb_decode_truth(dari_decoder *decoder, const uint8_t *at, bool *ret_truth)
{
    if (dari_left(decoder, at) < 4)
        return dari_truncated(decoder, at, 4, "the answer");
    uint32_t word = dari_get_u32(at);
    if (word > 1 && !dari_accepts_bool(decoder, at, "the answer"))
        return NULL;
    *ret_truth = word != 0;
    return at + 4;
}

const uint8_t *di_rpcb_decode_list(dari_decoder *decoder, const uint8_t *at, const di_rpcb *wanted,
                                   di_rpcb *ret_entry)
{
    di_rpcb found = {0};
    bool more;
    while ((at = di_rpcb_decode_truth(decoder, at, &more)) && more) {
        di_rpcb entry;
        at = di_rpcb_decode(decoder, at, &entry);
        if (!at)
            return NULL;
        if (!found.netid && entry.program == wanted->program && entry.version == wanted->version &&
            strcmp(entry.netid, wanted->netid) == 0)
            found = entry;
    }
    if (at)
        *ret_entry = found;
    return at;
}
