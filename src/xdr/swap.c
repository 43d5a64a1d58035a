/* SPDX-License-Identifier: MIT */
/* Arrays of numbers between host order and big-endian.
 *
 * The bytes of every number are reversed by one shuffle of a vector, of the widest kind that the
 * processor has, which is asked at run time. On big-endian machines both orders are the same. */
#include <dari/xdr.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

static void swap_u32(uint8_t *out, const uint8_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t value;
        memcpy(&value, in + 4 * i, 4);
        dari_put_u32(out + 4 * i, value);
    }
}

static void swap_u64(uint8_t *out, const uint8_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, in + 8 * i, 8);
        dari_put_u64(out + 8 * i, value);
    }
}

#if defined(__x86_64__) || defined(__i386__)

/* Where the output lies a little behind the input modulo this many bytes, the processor takes a
 * load for one of what was just stored, and waits. Going backwards avoids it. */
#define ALIAS_SIZE 4096u
#define ALIAS_NEAR 512u

static bool goes_backwards(const uint8_t *out, const uint8_t *in)
{
    return ((uintptr_t)out - (uintptr_t)in) % ALIAS_SIZE < ALIAS_NEAR;
}

/* Output that the nearest cache cannot hold is brought there line by line, so many bytes ahead: on
 * its own the processor foresees what is read next, but waits for what is written. */
#define LINE_SIZE 64u
#define FETCH_AHEAD 512u
#define FETCH_MIN ((size_t)16 << 10)

/* Shuffles whole blocks of four vectors, then single vectors, and returns the bytes done. */
#define DEFINE_SHUFFLE(name, unit, vector, load, store, shuffle, widen)                            \
    __attribute__((target(unit))) static size_t name(uint8_t *out, const uint8_t *in, size_t size, \
                                                     const uint8_t *order)                         \
    {                                                                                              \
        const vector mask = widen(_mm_loadu_si128((const __m128i *)(const void *)order));          \
        const size_t width = sizeof(vector);                                                       \
        size_t blocks = size / (4 * width);                                                        \
        bool fetch = size >= FETCH_MIN;                                                            \
        bool backwards = goes_backwards(out, in);                                                  \
        uintptr_t ahead = (uintptr_t)out + (backwards ? -(uintptr_t)FETCH_AHEAD : FETCH_AHEAD);    \
        for (size_t i = 0; i < blocks; i++) {                                                      \
            size_t at = 4 * width * (backwards ? blocks - 1 - i : i);                              \
            for (size_t line = 0; fetch && line < 4 * width; line += LINE_SIZE)                    \
                __builtin_prefetch((const void *)(ahead + at + line), 1);                          \
            vector a = load((const void *)(in + at));                                              \
            vector b = load((const void *)(in + at + width));                                      \
            vector c = load((const void *)(in + at + 2 * width));                                  \
            vector d = load((const void *)(in + at + 3 * width));                                  \
            store((void *)(out + at), shuffle(a, mask));                                           \
            store((void *)(out + at + width), shuffle(b, mask));                                   \
            store((void *)(out + at + 2 * width), shuffle(c, mask));                               \
            store((void *)(out + at + 3 * width), shuffle(d, mask));                               \
        }                                                                                          \
        size_t done = 4 * width * blocks;                                                          \
        for (; size - done >= width; done += width)                                                \
            store((void *)(out + done), shuffle(load((const void *)(in + done)), mask));           \
        return done;                                                                               \
    }

#define SAME(vector) (vector)

DEFINE_SHUFFLE(shuffle_avx512, "avx512bw", __m512i, _mm512_loadu_si512, _mm512_storeu_si512,
               _mm512_shuffle_epi8, _mm512_broadcast_i32x4)
DEFINE_SHUFFLE(shuffle_avx2, "avx2", __m256i, _mm256_loadu_si256, _mm256_storeu_si256,
               _mm256_shuffle_epi8, _mm256_broadcastsi128_si256)
DEFINE_SHUFFLE(shuffle_ssse3, "ssse3", __m128i, _mm_loadu_si128, _mm_storeu_si128, _mm_shuffle_epi8,
               SAME)

/* Shuffles what can be shuffled and returns the bytes done. */
static size_t shuffle(uint8_t *out, const uint8_t *in, size_t size, const uint8_t *order)
{
    size_t done = 0;
    if (__builtin_cpu_supports("avx512bw"))
        done = shuffle_avx512(out, in, size, order);
    else if (__builtin_cpu_supports("avx2"))
        done = shuffle_avx2(out, in, size, order);
    if (__builtin_cpu_supports("ssse3"))
        done += shuffle_ssse3(out + done, in + done, size - done, order);
    return done;
}

#else

static size_t shuffle(uint8_t *out, const uint8_t *in, size_t size, const uint8_t *order)
{
    (void)out;
    (void)in;
    (void)size;
    (void)order;
    return 0;
}

#endif

void dari_swap_array_u32(void *out, const void *in, size_t count)
{
    static const uint8_t order[16] = {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12};
    if (!count)
        return;
    size_t done = shuffle(out, in, 4 * count, order);
    swap_u32((uint8_t *)out + done, (const uint8_t *)in + done, count - done / 4);
}

void dari_swap_array_u64(void *out, const void *in, size_t count)
{
    static const uint8_t order[16] = {7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8};
    if (!count)
        return;
    size_t done = shuffle(out, in, 8 * count, order);
    swap_u64((uint8_t *)out + done, (const uint8_t *)in + done, count - done / 8);
}
