/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target of whole connections without an engine: on streams of calls and replies, well
 * made, cut into fragments, and then damaged by a generator of fixed seed. FUZZ_SEED chooses
 * another one, DARI_LONG makes the rounds many. */
#include "fuzz/rpc_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 2500u
#define ROUNDS_LONG 200000u
#define HEAD 8
#define LAST 0x80000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t make_stream(uint8_t *input, uint32_t *random)
{
    uint8_t *at = input;
    for (int i = 0; i < HEAD; i++)
        *at++ = (uint8_t)(next_random(random) % (next_random(random) % 2 ? 4 : 256));
    return (size_t)(put_stream(at, random, next_random(random) % 2) - input);
}

static void damage(uint8_t *input, size_t *size, uint32_t *random)
{
    static const uint32_t words[] = {0, 1, 2, 3, 401, 0x7fffffff, LAST, UINT32_MAX, LAST | 40};
    for (uint32_t left = next_random(random) % 4; left; left--) {
        size_t at = HEAD + next_random(random) % (*size - HEAD);
        if (next_random(random) % 2)
            input[at] ^= (uint8_t)(1u << next_random(random) % 8);
        else if (at + 4 <= *size)
            put_word(input + at, words[next_random(random) % (sizeof words / sizeof *words)]);
    }
    if (next_random(random) % 4 == 0)
        *size = HEAD + next_random(random) % (*size - HEAD + 1);
}

static void damaged_streams_do_no_harm(void **state)
{
    (void)state;
    static uint8_t input[HEAD + STREAM_MAX];
    const char *text = getenv("FUZZ_SEED");
    uint32_t random = text && *text ? (uint32_t)strtoul(text, NULL, 0) : 2026;
    unsigned rounds = getenv("DARI_LONG") ? ROUNDS_LONG : ROUNDS;
    for (unsigned round = 0; round < rounds; round++) {
        size_t size = make_stream(input, &random);
        damage(input, &size, &random);
        /* Exactly as large as it is, so that a read beyond the end is seen. */
        uint8_t *exact = malloc(size);
        assert_non_null(exact);
        memcpy(exact, input, size);
        assert_int_equal(LLVMFuzzerTestOneInput(exact, size), 0);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_streams_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
