/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target of the RPC core without an engine: on valid messages and streams that are
 * damaged by a generator of fixed seed. FUZZ_SEED chooses another one, DARI_LONG makes the rounds
 * many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 30000u
#define ROUNDS_LONG 20000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* A call with a credential and a verifier, one where they are padded and one with AUTH_SYS, and
 * replies of several kinds, as
 * words. */
static const uint32_t call[] = {1, 0, 2, 3, 4, 5, 1, 8, 0, 0, 0, 4, 0, 6, 7};
static const uint32_t call_padded[] = {1, 0,          2, 3, 4,          5,         0,
                                       3, 0x61626300, 0, 5, 0x61626364, 0x65000000};
static const uint32_t call_sys[] = {1,          0,          2,    3,   4, 5, 1,  36, 9, 5,
                                    0x686f7374, 0x31000000, 1000, 100, 2, 4, 24, 0,  0, 7};
static const uint32_t accepted[] = {1, 1, 0, 0, 4, 0, 2, 1, 9};
static const uint32_t denied[] = {1, 1, 1, 0, 2, 2};

static size_t put_words(uint8_t *at, const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (int byte = 0; byte < 4; byte++)
            at[4 * i + (size_t)byte] = (uint8_t)(words[i] >> (24 - 8 * byte));
    return 4 * count;
}

/* Eight bytes that say how a stream arrives, and fragments of random sizes. */
static size_t put_stream(uint8_t *at, uint32_t *random)
{
    uint8_t *begin = at;
    for (int i = 0; i < 8; i++)
        *at++ = (uint8_t)next_random(random);
    for (int i = 0; i < 12; i++) {
        uint32_t size =
            next_random(random) % 4 ? next_random(random) % 8 : next_random(random) % 200;
        uint32_t last = next_random(random) % 3 ? 0 : 0x80000000u;
        at += put_words(at, &(uint32_t){size | last}, 1);
        memset(at, i, size);
        at += size;
    }
    return (size_t)(at - begin);
}

static void damaged_input(void **state)
{
    (void)state;
    const char *text = getenv("FUZZ_SEED");
    uint32_t random = text && *text ? (uint32_t)strtoul(text, NULL, 0) : 2026;
    unsigned rounds = getenv("DARI_LONG") ? ROUNDS_LONG : ROUNDS;
    for (unsigned round = 0; round < rounds; round++) {
        uint8_t bytes[4096];
        size_t size = 0;
        switch (round % 6) {
        case 0:
            size = put_words(bytes, call, sizeof call / sizeof *call);
            break;
        case 1:
            size = put_words(bytes, accepted, sizeof accepted / sizeof *accepted);
            break;
        case 2:
            size = put_words(bytes, denied, sizeof denied / sizeof *denied);
            break;
        case 3:
            size = put_words(bytes, call_padded, sizeof call_padded / sizeof *call_padded);
            break;
        case 4:
            size = put_words(bytes, call_sys, sizeof call_sys / sizeof *call_sys);
            break;
        default:
            size = put_stream(bytes, &random);
        }
        for (uint32_t flips = next_random(&random) % 4; flips; flips--)
            bytes[next_random(&random) % size] ^= (uint8_t)next_random(&random);
        if (next_random(&random) % 3 == 0)
            size = next_random(&random) % (size + 1);
        /* Exactly as large as it is, so that a read beyond the end is seen. */
        uint8_t *exact = malloc(size ? size : 1);
        assert_non_null(exact);
        memcpy(exact, bytes, size);
        assert_int_equal(LLVMFuzzerTestOneInput(exact, size), 0);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
