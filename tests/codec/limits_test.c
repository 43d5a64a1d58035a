/* SPDX-License-Identifier: MIT */
/* Limits of decoding: depth, memory, elements without bytes; and lists, which have none but memory.
 */
#include "full.h"
#include "guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NODES 1000000u
#define STACK_SIZE (64u << 10)

/* Sanitizers keep a part of every stack for themselves. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* What a thread with a small stack does with the list; answers are checked outside. */
typedef struct list_work {
    uint8_t *message;
    size_t size;
    size_t budget;
    number_list decoded;
    dari_arena arena;
    int error;
    int64_t encoded_size;
    uint8_t *encoded;
    bool encoded_right;
} list_work;

static void *work_on_list(void *context)
{
    list_work *work = context;
    dari_decoder decoder;
    dari_decoder_init(&decoder, work->message, work->size, &work->arena);
    dari_arena_allow(&work->arena, work->budget);
    const uint8_t *at = xdr_decode_number_list(&decoder, work->message, &work->decoded);
    work->error = dari_decoder_finish(&decoder, at);
    if (work->error)
        return NULL;
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    work->encoded_size = xdr_size_number_list(&encoder, &work->decoded);
    if (work->encoded_size == (int64_t)work->size)
        work->encoded_right = xdr_encode_number_list(&encoder, work->encoded, &work->decoded) ==
                              work->encoded + work->size;
    return NULL;
}

/* 1, value, 1, value, …, 0 */
static void open_list(list_work *work, uint32_t nodes)
{
    memset(work, 0, sizeof *work);
    work->size = 8 * (size_t)nodes + 4;
    work->message = malloc(work->size);
    work->encoded = malloc(work->size);
    assert_true(work->message && work->encoded);
    for (uint32_t i = 0; i < nodes; i++) {
        dari_put_u32(work->message + 8 * (size_t)i, 1);
        dari_put_u32(work->message + 8 * (size_t)i + 4, i * 7);
    }
    dari_put_u32(work->message + 8 * (size_t)nodes, 0);
}

static void close_list(list_work *work)
{
    dari_arena_end(&work->arena);
    free(work->message);
    free(work->encoded);
}

static void run_on_small_stack(list_work *work)
{
    pthread_attr_t attributes;
    pthread_t thread;
    size_t least = (size_t)PTHREAD_STACK_MIN;
    size_t size = STACK_SIZE > least ? STACK_SIZE : least;
    if (SANITIZED)
        size += 512u << 10;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, size), 0);
    assert_int_equal(pthread_create(&thread, &attributes, work_on_list, work), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

static void a_million_nodes_need_no_stack(void **state)
{
    (void)state;
    list_work work;
    open_list(&work, NODES);
    work.budget = (size_t)64 << 20;
    run_on_small_stack(&work);
    assert_int_equal(work.error, 0);
    uint32_t count = 0;
    for (const number_node *node = work.decoded; node; node = node->next)
        assert_int_equal(node->value, (int32_t)(count++ * 7));
    assert_int_equal(count, NODES);
    assert_true(work.encoded_right);
    assert_memory_equal(work.encoded, work.message, work.size);
    close_list(&work);
}

static void a_million_nodes_are_refused_by_the_budget(void **state)
{
    (void)state;
    list_work work;
    open_list(&work, NODES);
    work.budget = (size_t)1 << 20;
    run_on_small_stack(&work);
    assert_int_equal(work.error, DARI_BUDGET);
    close_list(&work);
}

static void the_default_budget_ends_lists(void **state)
{
    (void)state;
    list_work work;
    uint32_t nodes = (uint32_t)(DARI_DECODE_BUDGET_DEFAULT / sizeof(number_node));
    open_list(&work, nodes);
    work.budget = DARI_DECODE_BUDGET_DEFAULT;
    work_on_list(&work);
    assert_int_equal(work.error, 0);
    close_list(&work);
    open_list(&work, nodes + 1);
    work.budget = DARI_DECODE_BUDGET_DEFAULT;
    work_on_list(&work);
    assert_int_equal(work.error, DARI_BUDGET);
    close_list(&work);
}

/* Trees: `depth` groves inside one another. */
static size_t write_groves(uint8_t *at, uint32_t depth)
{
    uint8_t *start = at;
    for (uint32_t i = 1; i < depth; i++) {
        dari_put_u32(at, i);     /* height */
        dari_put_u32(at + 4, 1); /* left */
        at += 8;
    }
    dari_put_u32(at, depth);
    dari_put_u32(at + 4, 0);
    at += 8;
    for (uint32_t i = 0; i < depth; i++, at += 4)
        dari_put_u32(at, 0); /* right */
    return (size_t)(at - start);
}

static int decode_grove(const uint8_t *message, size_t size, uint32_t depth, grove *ret_value,
                        dari_arena *arena)
{
    dari_decoder decoder;
    dari_decoder_init(&decoder, message, size, arena);
    if (depth)
        decoder.depth = depth;
    return dari_decoder_finish(&decoder, xdr_decode_grove(&decoder, message, ret_value));
}

static void trees_are_decoded_to_the_limit_of_depth(void **state)
{
    (void)state;
    uint8_t message[16 * (DARI_DEPTH_DEFAULT + 2)];
    grove value;
    dari_arena arena = {0};
    size_t size = write_groves(message, DARI_DEPTH_DEFAULT);
    assert_int_equal(decode_grove(message, size, 0, &value, &arena), 0);
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    assert_int_equal(xdr_size_grove(&encoder, &value), size);
    encoder.depth = DARI_DEPTH_DEFAULT - 1;
    assert_int_equal(xdr_size_grove(&encoder, &value), DARI_DEPTH);
    size = write_groves(message, DARI_DEPTH_DEFAULT + 1);
    assert_int_equal(decode_grove(message, size, 0, &value, &arena), DARI_DEPTH);
    assert_int_equal(decode_grove(message, size, DARI_DEPTH_DEFAULT + 1, &value, &arena), 0);
    dari_arena_end(&arena);
}

static void hostile_depth_ends_early(void **state)
{
    (void)state;
    size_t size = 1 << 20;
    uint8_t *message = malloc(size);
    assert_non_null(message);
    for (size_t at = 0; at < size; at += 4)
        dari_put_u32(message + at, 1);
    grove value;
    dari_arena arena = {0};
    assert_int_equal(decode_grove(message, size, 0, &value, &arena), DARI_DEPTH);

    backwards first;
    dari_decoder decoder;
    dari_decoder_init(&decoder, message, size, &arena);
    const uint8_t *at = xdr_decode_backwards(&decoder, message, &first);
    assert_int_equal(dari_decoder_finish(&decoder, at), DARI_DEPTH);
    assert_true(decoder.fault.offset <= 4 * (DARI_DEPTH_DEFAULT + 1));

    /* An array of itself: a label without bytes, one branch, a label … */
    for (size_t i = 0; i < size; i += 8)
        dari_put_u32(message + i, 0);
    bush top;
    dari_decoder_init(&decoder, message, size, &arena);
    at = xdr_decode_bush(&decoder, message, &top);
    assert_int_equal(dari_decoder_finish(&decoder, at), DARI_DEPTH);
    dari_arena_end(&arena);
    free(message);
}

/* A list whose nodes hold trees: the list costs no depth, each tree its own. */
static void lists_of_trees_cost_the_depth_of_a_tree(void **state)
{
    (void)state;
    uint32_t nodes = 3 * DARI_DEPTH_DEFAULT;
    uint8_t tree[16 * 8];
    size_t tree_size = write_groves(tree, 8);
    size_t size = nodes * (4 + tree_size + 4 + 4);
    uint8_t *message = malloc(size);
    assert_non_null(message);
    uint8_t *to = message;
    for (uint32_t i = 0; i < nodes; i++) {
        dari_put_u32(to, 1);
        memcpy(to + 4, tree, tree_size);
        to += 4 + tree_size;
        dari_put_u32(to, 0); /* name */
        dari_put_u32(to + 4, i + 1 < nodes);
        to += 8;
    }
    list_of_trees value;
    dari_arena arena = {0};
    dari_decoder decoder;
    dari_decoder_init(&decoder, message, size, &arena);
    const uint8_t *at = xdr_decode_list_of_trees(&decoder, message, &value);
    assert_int_equal(dari_decoder_finish(&decoder, at), 0);
    assert_int_equal(decoder.depth, DARI_DEPTH_DEFAULT);
    uint32_t count = 0;
    for (const list_of_trees *node = &value; node; node = node->next)
        count++;
    assert_int_equal(count, nodes);
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    assert_int_equal(xdr_size_list_of_trees(&encoder, &value), size);
    assert_int_equal(encoder.depth, DARI_DEPTH_DEFAULT);
    dari_arena_end(&arena);
    free(message);
}

static int decode_nothings(uint32_t count, size_t *ret_count)
{
    uint8_t message[4];
    nothings value;
    dari_arena arena = {0};
    dari_decoder decoder;
    dari_put_u32(message, count);
    dari_decoder_init(&decoder, message, sizeof message, &arena);
    const uint8_t *at = xdr_decode_nothings(&decoder, message, &value);
    int error = dari_decoder_finish(&decoder, at);
    *ret_count = error ? 0 : value.count;
    dari_arena_end(&arena);
    return error;
}

static void elements_without_bytes_have_a_limit(void **state)
{
    (void)state;
    size_t count;
    assert_int_equal(decode_nothings(0, &count), 0);
    assert_int_equal(decode_nothings(DARI_ZERO_WIDTH_MAX, &count), 0);
    assert_int_equal(count, DARI_ZERO_WIDTH_MAX);
    assert_int_equal(decode_nothings(DARI_ZERO_WIDTH_MAX + 1, &count), DARI_LIMIT);
    assert_int_equal(decode_nothings(UINT32_MAX, &count), DARI_LIMIT);
}

static void small_messages_take_small_memory(void **state)
{
    (void)state;
    static const uint32_t counts[] = {7,          8,          0x02000000, 0x20000000,
                                      0x40000000, 0x80000000, 0xffffffff};
    guard memory;
    guard_open(&memory, 4096);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        uint8_t *message = guard_place(&memory, 32);
        memset(message, 0, 32);
        dari_put_u32(message, counts[i]);
        bush value;
        dari_arena arena = {0};
        dari_decoder decoder;
        /* As the elements of the array: each takes 8 bytes at least. */
        dari_put_u32(message, 0);
        dari_put_u32(message + 4, counts[i]);
        dari_decoder_init(&decoder, message, 32, &arena);
        dari_arena_allow(&arena, 32 * sizeof(bush) / 8);
        const uint8_t *at = xdr_decode_bush(&decoder, message, &value);
        assert_int_equal(dari_decoder_finish(&decoder, at), DARI_TRUNCATED);
        assert_string_equal(decoder.fault.field, "bush.branches");
        dari_arena_end(&arena);
    }
    guard_close(&memory);
}

static void a_default_arm_keeps_any_discriminant(void **state)
{
    (void)state;
    static const uint32_t values[] = {2, 77, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint8_t message[4], again[4];
        u value;
        dari_arena arena = {0};
        dari_decoder decoder;
        dari_put_u32(message, values[i]);
        dari_decoder_init(&decoder, message, 4, &arena);
        const uint8_t *at = xdr_decode_u(&decoder, message, &value);
        assert_int_equal(dari_decoder_finish(&decoder, at), 0);
        dari_encoder encoder;
        dari_encoder_init(&encoder);
        assert_int_equal(xdr_size_u(&encoder, &value), 4);
        xdr_encode_u(&encoder, again, &value);
        assert_memory_equal(again, message, 4);
        dari_arena_end(&arena);
    }
}

static void faults_say_where(void **state)
{
    (void)state;
    uint8_t message[12] = {0};
    char text[160];
    keywords value;
    dari_arena arena = {0};
    dari_decoder decoder;
    dari_put_u32(message + 8, 5);
    dari_decoder_init(&decoder, message, sizeof message, &arena);
    const uint8_t *at = xdr_decode_keywords(&decoder, message, &value);
    assert_int_equal(dari_decoder_finish(&decoder, at), DARI_TRUNCATED);
    dari_fault_text(&decoder.fault, text, sizeof text);
    assert_true(strstr(text, "byte 12: keywords.namespace: ") == text);
    dari_arena_end(&arena);

    dari_encoder encoder;
    dari_encoder_init(&encoder);
    memset(&value, 0, sizeof value);
    assert_int_equal(xdr_size_keywords(&encoder, &value), DARI_MISSING);
    dari_fault_text(&encoder.fault, text, sizeof text);
    assert_true(strstr(text, "keywords.namespace: ") == text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_nodes_need_no_stack),
        cmocka_unit_test(a_million_nodes_are_refused_by_the_budget),
        cmocka_unit_test(the_default_budget_ends_lists),
        cmocka_unit_test(trees_are_decoded_to_the_limit_of_depth),
        cmocka_unit_test(hostile_depth_ends_early),
        cmocka_unit_test(lists_of_trees_cost_the_depth_of_a_tree),
        cmocka_unit_test(elements_without_bytes_have_a_limit),
        cmocka_unit_test(small_messages_take_small_memory),
        cmocka_unit_test(a_default_arm_keeps_any_discriminant),
        cmocka_unit_test(faults_say_where),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
