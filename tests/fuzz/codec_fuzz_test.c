/* SPDX-License-Identifier: MIT */
/* Runs the codec fuzzer without a fuzzing engine: valid messages, damaged at random. CODEC_SEED
 * chooses them, DARI_LONG makes them many. With an engine: clang -fsanitize=fuzzer on fuzz_codec.c,
 * the tables of an interface file and the library. */
#include "codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 4000u
#define ROUNDS_LONG 1000000u
#define PARTS 60
#define HEAD 2 /* type and what is tolerated, before the message */
#define GROWTH 64
#define DAMAGES_MAX 6u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void damage(model_random *random, uint8_t *message, size_t room, size_t *size)
{
    static const uint32_t words[] = {
        0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0x40000000, 0xfffffffc, 255, 256, 4096, 4097};
    size_t at = *size ? model_random_below(random, (uint32_t)*size) : 0;
    uint32_t word = words[model_random_below(random, sizeof words / sizeof *words)];
    size_t more = 4 * model_random_below(random, GROWTH / 4);
    switch (model_random_below(random, 6)) {
    case 0:
        if (*size)
            message[at] ^= (uint8_t)(1u << model_random_below(random, 8));
        break;
    case 1:
        if (*size)
            message[at] = (uint8_t)model_random_next(random);
        break;
    case 2:
        at &= ~(size_t)3;
        for (size_t i = 0; i < 4 && at + i < *size; i++)
            message[at + i] = (uint8_t)(word >> (24 - 8 * i));
        break;
    case 3:
        *size = at;
        break;
    case 4: /* repeats what stands before the end */
        if (more <= *size && *size + more <= room) {
            memcpy(message + *size, message + *size - more, more);
            *size += more;
        }
        break;
    default: /* cuts something out */
        at &= ~(size_t)3;
        more = more < *size - at ? more : *size - at;
        memmove(message + at, message + at + more, *size - at - more);
        *size -= more;
    }
}

static void run_once(uint64_t seed)
{
    model_random random;
    model_rendering rendering = {0};
    model_random_seed(&random, seed);
    uint32_t which = model_random_below(&random, (uint32_t)codec_under_test.count);
    const codec_entry *codec = &codec_under_test.codecs[which];
    void *value = model_random_take(&random, codec->size_in_memory);
    model_random_fill(&random, codec->type, value, PARTS);
    model_render(&rendering, codec->type, value);

    size_t size = rendering.size;
    size_t room = size + GROWTH * DAMAGES_MAX;
    uint8_t *input = model_random_take(&random, HEAD + room);
    if (size)
        memcpy(input + HEAD, rendering.bytes, size);
    for (uint32_t damages = model_random_below(&random, DAMAGES_MAX); damages; damages--)
        damage(&random, input + HEAD, room, &size);
    input[0] = (uint8_t)which;
    input[1] = model_random_below(&random, 2) ? 32 : (uint8_t)model_random_next(&random);
    LLVMFuzzerTestOneInput(input, HEAD + size);
    model_rendering_free(&rendering);
    model_random_free(&random);
}

static void damaged_messages_do_no_harm(void **state)
{
    (void)state;
    const char *text = getenv("CODEC_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 0) : 1;
    uint64_t rounds = getenv("DARI_LONG") ? ROUNDS_LONG : ROUNDS;
    fprintf(stderr, "# %s: seed %" PRIu64 "\n", codec_under_test.name, seed);
    for (uint64_t round = 0; round < rounds; round++)
        run_once(seed * 1000003u + round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_messages_do_no_harm),
    };
    return cmocka_run_group_tests_name(codec_under_test.name, tests, NULL, NULL);
}
