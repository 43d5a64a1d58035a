/* SPDX-License-Identifier: MIT */
/* Arrays of numbers, through the public functions and through each variant that this processor can
 * run: the file under test is part of this one so that its variants can be called. */
#include "xdr/swap.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define ALIGNMENTS 17u
#define COUNT_MAX 200u
#define RED 0xc3

typedef struct swap_variant {
    const char *name;
    bool available;
    /* Shuffles bytes and returns how many; NULL: the public functions. */
    size_t (*shuffle)(uint8_t *out, const uint8_t *in, size_t size, const uint8_t *order);
} swap_variant;

static size_t shuffle_nothing(uint8_t *out, const uint8_t *in, size_t size, const uint8_t *order)
{
    (void)out, (void)in, (void)size, (void)order;
    return 0;
}

#define VARIANTS_MAX 8

static size_t list_variants(swap_variant *variants)
{
    size_t count = 0;
    variants[count++] = (swap_variant){"public", true, NULL};
    variants[count++] = (swap_variant){"plain", true, shuffle_nothing};
#if defined(__x86_64__) || defined(__i386__)
    variants[count++] = (swap_variant){"ssse3", __builtin_cpu_supports("ssse3"), shuffle_ssse3};
    variants[count++] = (swap_variant){"avx2", __builtin_cpu_supports("avx2"), shuffle_avx2};
    variants[count++] =
        (swap_variant){"avx512", __builtin_cpu_supports("avx512bw"), shuffle_avx512};
#endif
    return count;
}

/* The reference: the bytes of each element turned round where they must be. */
static void swap_slowly(uint8_t *out, const uint8_t *in, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++)
        for (size_t b = 0; b < width; b++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            out[i * width + b] = in[i * width + width - 1 - b];
#else
            out[i * width + b] = in[i * width + b];
#endif
}

static void swap(const swap_variant *variant, uint8_t *out, const uint8_t *in, size_t count,
                 size_t width)
{
    static const uint8_t orders[2][16] = {
        {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12},
        {7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8},
    };
    size_t done = 0;
    if (variant->shuffle)
        done = variant->shuffle(out, in, count * width, orders[width == 8]);
    else if (width == 4)
        dari_swap_array_u32(out, in, count);
    else
        dari_swap_array_u64(out, in, count);
    if (!variant->shuffle)
        return;
    assert_int_equal(done % 16, 0);
    if (width == 4)
        swap_u32(out + done, in + done, count - done / 4);
    else
        swap_u64(out + done, in + done, count - done / 8);
}

static void check_swap(const swap_variant *variant, size_t width)
{
    size_t room = COUNT_MAX * width + 2 * ALIGNMENTS;
    uint8_t *in = malloc(room), *out = malloc(room), *expected = malloc(room);
    assert_true(in && out && expected);
    for (size_t i = 0; i < room; i++)
        in[i] = (uint8_t)(i * 37 + i / 256);
    for (size_t count = 0; count <= COUNT_MAX; count++)
        for (size_t from = 0; from < ALIGNMENTS; from++) {
            size_t to = (from * 5 + count) % ALIGNMENTS;
            memset(out, RED, room);
            memset(expected, RED, room);
            swap(variant, out + to, in + from, count, width);
            swap_slowly(expected + to, in + from, count, width);
            assert_memory_equal(out, expected, room);
        }
    free(in);
    free(out);
    free(expected);
}

static void check_in_place(const swap_variant *variant, size_t width)
{
    for (size_t count = 0; count <= COUNT_MAX; count++) {
        /* Exactly as large as it must be, so that a sanitizer sees who goes beyond. */
        size_t size = count * width;
        uint8_t *at = malloc(size + 1), *expected = malloc(size + 1);
        assert_true(at && expected);
        uint8_t *odd = at + 1;
        for (size_t i = 0; i < size; i++)
            odd[i] = (uint8_t)(i * 29);
        swap_slowly(expected, odd, count, width);
        swap(variant, odd, odd, count, width);
        assert_memory_equal(odd, expected, size);
        free(at);
        free(expected);
    }
}

#define PAGE 4096u
#define DISTANCE_MAX 600u

/* Output and input at every small distance modulo the size of a page, where the order of the blocks
 * may be another. */
static void check_distances(const swap_variant *variant, size_t width)
{
    size_t count = 3 * PAGE / width + 5;
    size_t room = count * width + 2 * PAGE;
    uint8_t *in = malloc(room), *out = malloc(room + PAGE), *expected = malloc(room);
    assert_true(in && out && expected);
    for (size_t i = 0; i < room; i++)
        in[i] = (uint8_t)(i * 41 + i / 256);
    swap_slowly(expected, in, count, width);
    for (size_t distance = 0; distance <= DISTANCE_MAX; distance += distance < 40 ? 1 : 7) {
        size_t shift = ((uintptr_t)in + distance - (uintptr_t)out) % PAGE;
        memset(out, RED, room);
        swap(variant, out + shift, in, count, width);
        assert_memory_equal(out + shift, expected, count * width);
        assert_int_equal(out[shift + count * width], RED);
        if (shift)
            assert_int_equal(out[shift - 1], RED);
    }
    free(in);
    free(out);
    free(expected);
}

static void for_each_variant(void (*check)(const swap_variant *, size_t))
{
    swap_variant variants[VARIANTS_MAX];
    size_t count = list_variants(variants);
    for (size_t i = 0; i < count; i++) {
        if (!variants[i].available) {
            print_message("# this processor has no %s\n", variants[i].name);
            continue;
        }
        check(&variants[i], 4);
        check(&variants[i], 8);
    }
}

static void every_size_and_alignment_is_swapped(void **state)
{
    (void)state;
    for_each_variant(check_swap);
}

static void every_distance_of_pages_is_swapped(void **state)
{
    (void)state;
    for_each_variant(check_distances);
}

static void arrays_are_swapped_in_place(void **state)
{
    (void)state;
    for_each_variant(check_in_place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_and_alignment_is_swapped),
        cmocka_unit_test(every_distance_of_pages_is_swapped),
        cmocka_unit_test(arrays_are_swapped_in_place),
    };
    return cmocka_run_group_tests_name("swap", tests, NULL, NULL);
}
