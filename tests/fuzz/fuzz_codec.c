/* SPDX-License-Identifier: MIT */
/* Fuzzes the codecs of one interface file. The first byte of the input chooses the type, the second
 * what is tolerated; the rest is the message. Whatever it is, decoding answers with an error or a
 * value; a value that was accepted strictly encodes to the same bytes; and the verdict is that of
 * the model's judge, but for limits that it does not know. */
#include "codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input at work, to be shown where something does not hold. */
static const uint8_t *current;
static size_t current_size;

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s: %s: ", codec_under_test.name, what);
    for (size_t i = 0; i < current_size; i++)
        fprintf(stderr, "%02x", current[i]);
    fprintf(stderr, "\n");
    abort();
}

#define CHECK(holds) check(holds, #holds)

/* Encodes a decoded value again. Values that were tolerated may be ones that cannot be sent. */
static void encode(const codec_entry *codec, const void *value, const uint8_t *message, size_t size,
                   bool strict)
{
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    int64_t needed = codec->size(&encoder, value);
    if (needed < 0) {
        CHECK(!strict);
        return;
    }
    uint8_t *again = malloc(needed ? (size_t)needed : 1);
    CHECK(again != NULL);
    CHECK(codec->encode(&encoder, again, value) == again + needed);
    if (strict)
        CHECK((size_t)needed == size && (!size || memcmp(again, message, size) == 0));
    free(again);
}

static void decode(const codec_entry *codec, const uint8_t *message, size_t size, uint8_t choice)
{
    dari_arena arena = {0};
    dari_decoder decoder;
    void *value = malloc(codec->size_in_memory);
    CHECK(value != NULL);
    dari_decoder_init(&decoder, message, size, &arena);
    size_t stated = (size_t)(codec->ratio * (double)size) + 4096;
    dari_arena_allow(&arena, stated < BUDGET ? stated : BUDGET);
    decoder.accept = choice & 31;
    decoder.borrow = choice & 32;
    int error = dari_decoder_finish(&decoder, codec->decode(&decoder, message, value));
    if (stated < BUDGET)
        CHECK(error != DARI_BUDGET);
    if (error == 0)
        encode(codec, value, message, size, !decoder.accept);
    if (!decoder.accept && error != DARI_LIMIT && error != DARI_DEPTH && error != DARI_BUDGET)
        CHECK((model_judge(codec->type, message, size) == (int64_t)size) == (error == 0));
    free(value);
    dari_arena_end(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    current = data;
    current_size = size;
    if (size < 2)
        return 0;
    /* Memory of exactly its size, so that the sanitizer sees who reads beyond. */
    uint8_t *message = malloc(size - 2 ? size - 2 : 1);
    CHECK(message != NULL);
    memcpy(message, data + 2, size - 2);
    decode(&codec_under_test.codecs[data[0] % codec_under_test.count], message, size - 2, data[1]);
    free(message);
    return 0;
}
