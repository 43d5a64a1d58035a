/* SPDX-License-Identifier: MIT */
/* Runs the fuzzer of the front end without a fuzzing engine: the corpus of tests/golden, as it is
 * and damaged at random. IDL_SEED chooses the damages, DARI_LONG makes them many. With an engine:
 * clang -fsanitize=fuzzer on fuzz_idl.c, src/idl, src/gen and src/base, and tests/golden as the
 * first corpus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 512u
#define FILE_ROOM 32768u
#define ROUNDS 40u
#define ROUNDS_LONG 20000u
#define DAMAGES_MAX 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    uint8_t data[FILE_ROOM];
    size_t size;
} input;

typedef struct corpus {
    input *inputs;
    size_t count;
} corpus;

static uint32_t below(uint64_t *random, size_t limit)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*random >> 33) % (limit ? limit : 1));
}

/* Takes a piece out of one place of `from` and puts it into another of `into`. */
static void splice(uint64_t *random, input *into, const input *from)
{
    size_t at = below(random, into->size + 1), start = below(random, from->size + 1);
    size_t size = below(random, 100);
    if (size > from->size - start)
        size = from->size - start;
    if (size > FILE_ROOM - into->size)
        size = FILE_ROOM - into->size;
    memmove(into->data + at + size, into->data + at, into->size - at);
    memmove(into->data + at, from->data + start, size);
    into->size += size;
}

static void damage(uint64_t *random, input *into, const corpus *all)
{
    static const char marks[] = "{}()<>[]*,;:=#%\"'\\/\n\r -0x1\t$";
    size_t at = below(random, into->size);
    size_t size = below(random, 40);
    switch (below(random, 4)) {
    case 0:
        if (into->size)
            into->data[at] = (uint8_t)below(random, 256);
        break;
    case 1:
        if (into->size)
            into->data[at] = (uint8_t)marks[below(random, sizeof marks)];
        break;
    case 2:
        if (size > into->size - at)
            size = into->size - at;
        memmove(into->data + at, into->data + at + size, into->size - at - size);
        into->size -= size;
        break;
    default:
        splice(random, into, &all->inputs[below(random, all->count)]);
        break;
    }
}

static void read_folder(corpus *all, const char *kind)
{
    const char *top = getenv("DARI_SOURCE");
    char folder[1000], path[2000];
    snprintf(folder, sizeof folder, "%s/tests/golden/%s", top ? top : ".", kind);
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (const struct dirent *e; all->count < FILES_MAX && (e = readdir(directory));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        FILE *file = fopen(path, "rb");
        input *next = &all->inputs[all->count];
        if (file)
            next->size = fread(next->data, 1, sizeof next->data, file);
        if (file && next->size)
            all->count++;
        if (file)
            fclose(file);
    }
    closedir(directory);
}

static int read_corpus(void **state)
{
    corpus *all = calloc(1, sizeof *all);
    assert_non_null(all);
    all->inputs = calloc(FILES_MAX, sizeof *all->inputs);
    assert_non_null(all->inputs);
    read_folder(all, "bad");
    read_folder(all, "good");
    read_folder(all, "c");
    *state = all;
    return 0;
}

static int free_corpus(void **state)
{
    corpus *all = *state;
    free(all->inputs);
    free(all);
    return 0;
}

static void test_the_corpus(void **state)
{
    const corpus *all = *state;
    assert_true(all->count > 100);
    for (size_t i = 0; i < all->count; i++)
        LLVMFuzzerTestOneInput(all->inputs[i].data, all->inputs[i].size);
}

static void test_the_corpus_cut_off(void **state)
{
    const corpus *all = *state;
    for (size_t i = 0; i < all->count; i++) {
        size_t step = all->inputs[i].size / 40 + 1;
        for (size_t size = 0; size < all->inputs[i].size; size += step)
            LLVMFuzzerTestOneInput(all->inputs[i].data, size);
    }
}

static void test_the_corpus_damaged(void **state)
{
    const corpus *all = *state;
    const char *seed = getenv("IDL_SEED");
    uint64_t random = seed ? strtoull(seed, NULL, 0) : 1;
    unsigned rounds = getenv("DARI_LONG") ? ROUNDS_LONG : ROUNDS;
    input *damaged = malloc(sizeof *damaged);
    assert_non_null(damaged);
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t i = 0; i < all->count; i++) {
            *damaged = all->inputs[i];
            for (unsigned n = 1 + below(&random, DAMAGES_MAX); n > 0; n--)
                damage(&random, damaged, all);
            LLVMFuzzerTestOneInput(damaged->data, damaged->size);
        }
    }
    free(damaged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_corpus),
        cmocka_unit_test(test_the_corpus_cut_off),
        cmocka_unit_test(test_the_corpus_damaged),
    };
    return cmocka_run_group_tests_name("fuzz/idl", tests, read_corpus, free_corpus);
}
