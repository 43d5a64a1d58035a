/* SPDX-License-Identifier: MIT */
/* The same bytes as rpcgen's code with libtirpc, and the same values in them: a random value is
 * encoded by dari, decoded by libtirpc, compared member by member by the names in both C types, and
 * encoded by libtirpc. CODEC_SEED chooses the values, CODEC_ROUNDS how many each type gets. */
#include "codec.h"
#include "tirpc_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_DEFAULT (getenv("DARI_LONG") ? 5000 : 200)

typedef struct codec_comparison {
    const codec_entry *codec;
    uint64_t seed;
    model_random random;
    model_rendering mine;
    model_rendering theirs;
} codec_comparison;

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void differ(const codec_comparison *comparison, const char *what)
{
    fprintf(stderr, "# %s: %s, seed %" PRIu64 ": %s\n", codec_under_test.name,
            comparison->codec->name, comparison->seed, what);
    fail();
}

/* Encodes a random value with dari. Returns memory that the caller frees. */
static uint8_t *encode(codec_comparison *comparison, size_t *ret_size)
{
    const codec_entry *codec = comparison->codec;
    void *value = model_random_take(&comparison->random, codec->size_in_memory);
    model_random_fill(&comparison->random, codec->type, value, MODEL_PARTS_DEFAULT);
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    int64_t size = codec->size(&encoder, value);
    if (size < 0)
        differ(comparison, dari_error_text((int)size));
    uint8_t *message = malloc(size ? (size_t)size : 1);
    assert_non_null(message);
    assert_ptr_equal(codec->encode(&encoder, message, value), message + size);
    if (!model_render(&comparison->mine, codec->type, value))
        differ(comparison, "the model finds its own value invalid");
    *ret_size = (size_t)size;
    return message;
}

static void compare_once(codec_comparison *comparison)
{
    size_t size;
    uint8_t *message = encode(comparison, &size);
    uint8_t *again = calloc(1, size ? size : 1);
    assert_non_null(again);
    const char *failure =
        tirpc_peer_run(comparison->codec->name, message, size, again, &comparison->theirs);
    if (failure)
        differ(comparison, failure);
    if (memcmp(again, message, size) != 0)
        differ(comparison, "libtirpc writes other bytes");
    if (comparison->mine.size != size || comparison->theirs.size != size ||
        memcmp(comparison->mine.bytes, comparison->theirs.bytes, size) != 0)
        differ(comparison, "the members' values differ");
    free(message);
    free(again);
}

static void values_and_bytes_are_those_of_libtirpc(void **state)
{
    (void)state;
    uint64_t first = setting("CODEC_SEED", 1);
    uint64_t rounds = setting("CODEC_ROUNDS", ROUNDS_DEFAULT);
    fprintf(stderr, "# %s: seed %" PRIu64 "\n", codec_under_test.name, first);
    for (size_t i = 0; i < codec_under_test.count; i++) {
        codec_comparison comparison = {.codec = &codec_under_test.codecs[i]};
        for (uint64_t round = 0; round < rounds; round++) {
            comparison.seed = first * 1000003u + round;
            model_random_seed(&comparison.random, comparison.seed);
            compare_once(&comparison);
            model_random_free(&comparison.random);
        }
        model_rendering_free(&comparison.mine);
        model_rendering_free(&comparison.theirs);
    }
}

static void no_type_is_left_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < codec_under_test.count; i++)
        if (!tirpc_peer_has(codec_under_test.codecs[i].name))
            fail_msg("rpcgen has no %s", codec_under_test.codecs[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_type_is_left_out),
        cmocka_unit_test(values_and_bytes_are_those_of_libtirpc),
    };
    return cmocka_run_group_tests_name(codec_under_test.name, tests, NULL, NULL);
}
