/* SPDX-License-Identifier: MIT */
/* The table that emit-model writes for an interface file: every type with its model and the codec
 * under test. Each test program has one such file. */
#ifndef TEST_CODEC_H
#define TEST_CODEC_H

#include "model.h"

#include <dari/xdr.h>

typedef struct codec_entry {
    const char *name;
    const model_type *type;
    int64_t (*size)(dari_encoder *, const void *);
    uint8_t *(*encode)(dari_encoder *, uint8_t *, const void *);
    const uint8_t *(*decode)(dari_decoder *, const uint8_t *, void *);
    size_t size_in_memory;
    double ratio; /* memory for each byte of a message, as `dari gen --sizes` states it */
} codec_entry;

typedef struct codec_file {
    const char *name;
    const codec_entry *codecs;
    size_t count;
} codec_file;

extern const codec_file codec_under_test;

#endif
