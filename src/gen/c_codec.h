/* SPDX-License-Identifier: MIT */
/* The three functions of a type: xdr_size_T, xdr_encode_T, xdr_decode_T. */
#ifndef DI_GEN_C_CODEC_H
#define DI_GEN_C_CODEC_H

#include "gen/c_writer.h"

/* What a codec is written for. */
typedef struct di_c_codec {
    const char *name;                  /* of the functions, behind the verb: "xdr_", "entry" */
    const char *storage;               /* "static ", or "" */
    const char *verb_prefix;           /* "xdr_", "inline_" or "plain_" */
    bool inlined;                      /* it is written into loops */
    const char *in;                    /* "const entry *value", "char *const *value" */
    const char *out;                   /* "entry *value", "char **value" */
    const char *field;                 /* how faults begin: "entry" */
    const di_type *type;               /* DI_ENUM, DI_STRUCT, DI_UNION or DI_TYPEDEF; or NULL */
    const di_declaration *declaration; /* where type is NULL: the value itself */
} di_c_codec;

/* "int64_t xdr_size_entry(dari_encoder *encoder, const entry *value)", without a semicolon. */
const char *di_c_size_signature(di_c_writer *writer, const di_c_codec *codec);
const char *di_c_encode_signature(di_c_writer *writer, const di_c_codec *codec);
const char *di_c_decode_signature(di_c_writer *writer, const di_c_codec *codec);

/* Write the functions. */
void di_c_size_function(di_c_writer *writer, const di_c_codec *codec);
void di_c_encode_function(di_c_writer *writer, const di_c_codec *codec);
void di_c_decode_function(di_c_writer *writer, const di_c_codec *codec);

#endif
