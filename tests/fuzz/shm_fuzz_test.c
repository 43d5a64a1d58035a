/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target of shm: without an engine: on crafted scripts (shm_hostile.h), which are the
 * seeds for one too; and on random ones, whose honest parts are streams of calls and replies, by a
 * generator of fixed seed. FUZZ_SEED chooses another one, DARI_LONG makes the rounds many,
 * FUZZ_SEEDS names a folder that the crafted scripts are written to. */
#include "fuzz/rpc_stream.h"
#include "fuzz/shm_hostile.h"

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
/* One after the other: more than the rings have room for. */
#define STREAMS_MAX 4u
#define STEPS_MAX 60u
/* A byte takes four as a WRITE of its own; another step has at most 8 of operands. */
#define SCRIPT_MAX (HOSTILE_HEAD + 4 * STREAMS_MAX * STREAM_MAX + STEPS_MAX * 9)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- Crafted scripts. --- */

#define LOW_FIRST(value)                                                           \
    (uint8_t)(value), (uint8_t)((value) >> 8), (uint8_t)((uint32_t)(value) >> 16), \
        (uint8_t)((uint32_t)(value) >> 24)
/* A word of the ring that it writes to as a client (0) or as a server (1) becomes a value, or is
 * increased by one. */
enum { TAIL, HEAD, LEFT, SLEEPS, WAITS };
#define SET(ring, word, value) STEP_WORD, ring, 8 * word + 5, LOW_FIRST(value)
#define ADD(ring, word, value) STEP_WORD, ring, 8 * word, LOW_FIRST(value)
#define BOTH(word, value) SET(0, word, value), SET(1, word, value)
/* NULL called, in one record; as a reply it is dropped. */
#define NULL_CALL                                                                                  \
    STEP_WRITE, 44, 0, 0x80, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0, 1, 2, 0, 0, 0, \
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define NULL_REPLY                                                                                 \
    STEP_WRITE, 28, 0, 0x80, 0, 0, 24, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
        0, 0, 0, 0
#define TURN STEP_TURN
#define FROM_HERE(...)                                                         \
    {                                                                          \
        (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}) \
    }
/* Three calls in flight, where it is a server. */
#define HONEST 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 5
#define HONEST_TO_MANY 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 5
/* Loans, which a server reads where they lie if the second number is 3, and copies if it is 1. */
#define LENDING(how) 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, how, 0x45
/* ECHO_DATA called with so many bytes, which follow. */
#define ECHO_CALL(size)                                                                            \
    STEP_WRITE, 48, 0, 0x80, (uint8_t)((size + 44) >> 16), (uint8_t)((size + 44) >> 8),            \
        (uint8_t)(size + 44), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0, 1, 2, 0, 0, 0, 1, 0, 0, \
        0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)((size) >> 16),          \
        (uint8_t)((size) >> 8), (uint8_t)(size)
#define LEND(size, offset) STEP_LEND, LOW_FIRST(size), LOW_FIRST(offset)
#define SLOT(index, word, value) STEP_SLOT, 4 * index + word, 0, LOW_FIRST(value)
enum { FILLED, PLACE, OFFSET, SIZE };
/* Says something else first; operands as in shm_hostile.h. */
#define SAYING(place, way, value, first, copies, kind) \
    255, place, way, LOW_FIRST(value), first, copies, kind, 3, 5

static const struct {
    const uint8_t *bytes;
    size_t size;
} seeds[] = {
    FROM_HERE(HONEST, NULL_CALL, TURN, STEP_TAKE, NULL_REPLY, TURN, STEP_SLEEP, TURN, NULL_CALL),
    FROM_HERE(HONEST, BOTH(TAIL, 4097), STEP_WAKE, 1, TURN),
    FROM_HERE(HONEST, BOTH(TAIL, UINT32_MAX), STEP_WAKE, 1, TURN),
    FROM_HERE(HONEST, BOTH(TAIL, 4096), STEP_WAKE, 1, TURN, BOTH(TAIL, 0), TURN),
    FROM_HERE(HONEST, BOTH(HEAD, 1), NULL_CALL, TURN, NULL_CALL, TURN),
    FROM_HERE(HONEST, NULL_CALL, TURN, BOTH(HEAD, UINT32_MAX), NULL_CALL, TURN, NULL_CALL),
    FROM_HERE(HONEST_TO_MANY, TURN, BOTH(HEAD, 8000), STEP_WAKE, 1, TURN),
    FROM_HERE(HONEST_TO_MANY, TURN, BOTH(HEAD, 1u << 31), STEP_WAKE, 1, TURN),
    FROM_HERE(HONEST_TO_MANY, TURN, STEP_TAKE, TURN, STEP_SLEEP, TURN, STEP_TAKE, TURN),
    FROM_HERE(HONEST, BOTH(SLEEPS, 1), BOTH(WAITS, 1), NULL_CALL, TURN, NULL_REPLY, TURN),
    FROM_HERE(HONEST, BOTH(LEFT, 1), NULL_CALL, TURN, STEP_HANG, 0, TURN),
    FROM_HERE(HONEST, STEP_FLOOD, TURN, STEP_FLOOD, TURN),
    FROM_HERE(HONEST, STEP_WAKE, 255, TURN, NULL_CALL, TURN, STEP_WAKE, 255, TURN),
    FROM_HERE(HONEST, NULL_CALL, STEP_HOLE, 0, STEP_HOLE, 1, STEP_HOLE, 2, TURN, TURN),
    FROM_HERE(HONEST, STEP_PASS, 1, TURN, STEP_PASS, 19, TURN, NULL_CALL, TURN),
    /* Data that changes within a turn, and a hang-up there. */
    FROM_HERE(HONEST, NULL_CALL, STEP_LATER, 0, ADD(0, TAIL, 5000), TURN),
    FROM_HERE(HONEST, NULL_CALL, STEP_LATER, 0, ADD(1, TAIL, 5000), TURN),
    FROM_HERE(HONEST, STEP_WAKE, 1, STEP_LATER, 0, NULL_CALL, TURN, STEP_LATER, 1, NULL_REPLY),
    FROM_HERE(HONEST, STEP_WAKE, 1, STEP_LATER, 0, STEP_HANG, 1, TURN),
    /* References: honest, in parts, to what is not there, changed, without end. */
    FROM_HERE(LENDING(3), ECHO_CALL(65536), LEND(65536, 4096), TURN, STEP_TAKE, TURN, NULL_CALL),
    FROM_HERE(LENDING(1), ECHO_CALL(65536), LEND(65536, 4096), TURN, STEP_TAKE, TURN, NULL_CALL),
    FROM_HERE(LENDING(3), ECHO_CALL(65536), LEND(65535, 0), LEND(1, 7), TURN, NULL_CALL, TURN),
    FROM_HERE(LENDING(1), ECHO_CALL(4), LEND(4, 131068), TURN, LEND(1, 131072), TURN),
    FROM_HERE(LENDING(3), ECHO_CALL(4), LEND(UINT32_MAX, 8), TURN),
    FROM_HERE(LENDING(3), ECHO_CALL(4), LEND(0, 8), TURN),
    FROM_HERE(LENDING(3), LEND(131072, 0), TURN, LEND(131072, 0), TURN),
    FROM_HERE(LENDING(3), ECHO_CALL(65536), LEND(65536, 0), SLOT(0, OFFSET, 70000), TURN, TURN),
    FROM_HERE(LENDING(3), ECHO_CALL(65536), LEND(65536, 0), SLOT(0, PLACE, 3), TURN, NULL_CALL),
    FROM_HERE(LENDING(1), ECHO_CALL(65536), LEND(65536, 0), SLOT(0, SIZE, 65537), TURN, NULL_CALL),
    FROM_HERE(LENDING(3), SLOT(0, FILLED, 65), NULL_CALL, TURN),
    FROM_HERE(LENDING(3), SLOT(0, FILLED, 64), NULL_CALL, TURN, SLOT(0, SIZE, 9), NULL_CALL, TURN),
    FROM_HERE(LENDING(3), STEP_WORD, 0, 0, LOW_FIRST(70000), LEND(65536, 0), TURN),
    /* The first message: a word, in pieces, with wrong descriptors, with wrong memory. */
    FROM_HERE(SAYING(0, 0, 0, 255, 1, 0), TURN),
    FROM_HERE(SAYING(1, 1, 1, 255, 1, 0), TURN),
    FROM_HERE(SAYING(4, 0, 1, 255, 1, 0), TURN),
    FROM_HERE(SAYING(4, 0, 9, 255, 1, 0), TURN),
    FROM_HERE(SAYING(5, 2, 0, 255, 1, 0), TURN),
    FROM_HERE(SAYING(6, 0, UINT32_MAX, 255, 1, 0), TURN),
    FROM_HERE(SAYING(0, 3, 0, 7, 1, 0), TURN, NULL_CALL, TURN),
    FROM_HERE(SAYING(0, 3, 0, 12, 1, 0), TURN, NULL_CALL, TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 0, 0), TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 8, 0), TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 76, 0), TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 1, 0x80), TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 1, 0x81), TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 1, 0x82), TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 1, 0x83), TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 1, 0x84), TURN, NULL_REPLY, TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 1, 0x94), TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 1, 0xa4), TURN),
    FROM_HERE(SAYING(0, 3, 0, 255, 1, 0xc4), TURN),
};

/* Exactly as large as it is, so that a read beyond the end is seen. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size);
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    assert_int_equal(LLVMFuzzerTestOneInput(exact, size), 0);
    free(exact);
}

static void write_seed(const char *folder, size_t index)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%02zu", folder, index);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(seeds[index].bytes, 1, seeds[index].size, file), seeds[index].size);
    assert_int_equal(fclose(file), 0);
}

static void crafted_scripts_do_no_harm(void **state)
{
    (void)state;
    const char *folder = getenv("FUZZ_SEEDS");
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        if (folder)
            write_seed(folder, i);
        run(seeds[i].bytes, seeds[i].size);
    }
}

/* --- Random ones. --- */

static uint8_t *put_bytes(uint8_t *at, uint32_t *random, unsigned count)
{
    while (count-- > 0)
        *at++ = (uint8_t)next_random(random);
    return at;
}

/* Mostly honest; seldom one that spins. */
static uint8_t *put_head(uint8_t *at, uint32_t *random)
{
    uint8_t *end = put_bytes(at, random, HOSTILE_HEAD);
    if (next_random(random) % 4)
        *at = 0;
    else
        *at |= HOSTILE_HONEST;
    return end;
}

/* Mostly of bytes that are there. */
static uint8_t *put_loan(uint8_t *at, uint32_t *random)
{
    uint32_t size = next_random(random) % (next_random(random) % 2 ? 64 : 100000);
    uint32_t offset = next_random(random) % (next_random(random) % 8 ? 40000 : 200000);
    const uint8_t bytes[] = {LOW_FIRST(size), LOW_FIRST(offset)};
    memcpy(at, bytes, sizeof bytes);
    return at + sizeof bytes;
}

/* A step that an honest side could take, or any. */
static uint8_t *put_step(uint8_t *at, uint32_t *random, bool honest)
{
    static const uint8_t operands[STEP_COUNT] = {
        [STEP_WAKE] = 1, [STEP_WORD] = 6,  [STEP_BYTE] = 5, [STEP_HOLE] = 1,
        [STEP_PASS] = 1, [STEP_LATER] = 1, [STEP_HANG] = 1, [STEP_SLOT] = 6};
    uint32_t step = 1 + next_random(random) % (honest ? STEP_SLEEP : STEP_COUNT - 1);
    /* These end the connection. */
    if ((step == STEP_FLOOD || step == STEP_HANG) && next_random(random) % 8)
        step = STEP_TURN;
    *at++ = (uint8_t)step;
    if (step == STEP_WAKE) {
        *at++ = (uint8_t)(next_random(random) % (next_random(random) % 4 ? 3 : 256));
        return at;
    }
    if (step == STEP_LEND)
        return put_loan(at, random);
    return put_bytes(at, random, operands[step]);
}

/* Writes a stream in portions, with other steps between them. */
static size_t make_script(uint8_t *script, uint32_t *random)
{
    static uint8_t stream[STREAMS_MAX * STREAM_MAX];
    int calls = next_random(random) % 2;
    uint8_t *end = put_stream(stream, random, calls);
    if (next_random(random) % 4 == 0)
        for (unsigned more = 1; more < STREAMS_MAX; more++)
            end = put_stream(end, random, calls);
    size_t size = (size_t)(end - stream), done = 0;
    unsigned steps = next_random(random) % STEPS_MAX;
    bool honest = next_random(random) % 3 == 0;
    uint8_t *at = put_head(script, random);
    while (done < size) {
        size_t part = 1 + next_random(random) % (next_random(random) % 4 ? 600 : 10);
        if (part > size - done)
            part = size - done;
        *at++ = STEP_WRITE;
        *at++ = (uint8_t)part;
        *at++ = (uint8_t)(part >> 8);
        memcpy(at, stream + done, part);
        at += part;
        done += part;
        for (uint32_t more = next_random(random) % 4; more > 0 && steps > 0; more--, steps--)
            at = put_step(at, random, honest);
    }
    return (size_t)(at - script);
}

static void damage(uint8_t *script, size_t *size, uint32_t *random)
{
    for (uint32_t left = next_random(random) % 4; left > 0; left--)
        script[HOSTILE_HEAD + next_random(random) % (*size - HOSTILE_HEAD)] ^=
            (uint8_t)(1u << next_random(random) % 8);
    if (next_random(random) % 4 == 0)
        *size = HOSTILE_HEAD + next_random(random) % (*size - HOSTILE_HEAD + 1);
}

static void random_scripts_do_no_harm(void **state)
{
    (void)state;
    static uint8_t script[SCRIPT_MAX];
    const char *text = getenv("FUZZ_SEED");
    uint32_t random = text && *text ? (uint32_t)strtoul(text, NULL, 0) : 2026;
    unsigned rounds = getenv("DARI_LONG") ? ROUNDS_LONG : ROUNDS;
    for (unsigned round = 0; round < rounds; round++) {
        size_t size = make_script(script, &random);
        damage(script, &size, &random);
        run(script, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(crafted_scripts_do_no_harm),
                                       cmocka_unit_test(random_scripts_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
