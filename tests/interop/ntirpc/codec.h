/* SPDX-License-Identifier: MIT */
/* What rpcgen's codecs need to be compiled for ntirpc: its inline functions, and names that it has
 * not. */
#ifndef INTEROP_NTIRPC_CODEC_H
#define INTEROP_NTIRPC_CODEC_H

#include <rpc/rpc.h>
#include <rpc/xdr_inline.h>

#define bool_t bool
#define xdr_quad_t xdr_int64_t
#define xdr_u_quad_t xdr_u_int64_t
/* There is no buffer to write through; then the codecs go number by number. */
#define XDR_INLINE(xdr, size) NULL

#endif
