/* SPDX-License-Identifier: MIT */
/* The table that emit-model --tirpc writes: the types of an interface file as rpcgen declares them,
 * with libtirpc's codecs. */
#ifndef TEST_TIRPC_CODEC_H
#define TEST_TIRPC_CODEC_H

#include "model.h"

#include <rpc/rpc.h>

typedef struct tirpc_codec_entry {
    const char *name;
    const model_type *type;
    bool_t (*code)(XDR *stream, void *value);
} tirpc_codec_entry;

typedef struct tirpc_codec_file {
    const char *name;
    const tirpc_codec_entry *codecs;
    size_t count;
} tirpc_codec_file;

extern const tirpc_codec_file tirpc_codec_under_test;

#endif
