/* SPDX-License-Identifier: MIT */
/* The codecs written by hand for rpcbind against those that `dari gen` writes. */
#include "rpc/rpcb.h"

#include "portmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const texts[] = {"", "a", "tcp", "tcp6", "127.0.0.1.8.1", "superuser"};
#define TEXTS (sizeof texts / sizeof *texts)

static void places_are_the_same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < TEXTS * TEXTS * TEXTS; i++) {
        const char *netid = texts[i % TEXTS], *address = texts[i / TEXTS % TEXTS],
                   *owner = texts[i / TEXTS / TEXTS];
        const di_rpcb ours = {UINT32_MAX, (uint32_t)i, netid, address, owner};
        const portmap_place theirs = {UINT32_MAX, (uint32_t)i, (char *)(uintptr_t)netid,
                                      (char *)(uintptr_t)address, (char *)(uintptr_t)owner};
        dari_encoder encoder;
        uint8_t bytes[2][80];
        dari_encoder_init(&encoder);
        int64_t size = di_rpcb_size(&encoder, &ours);
        assert_int_equal(size, xdr_size_portmap_place(&encoder, &theirs));
        assert_ptr_equal(di_rpcb_encode(bytes[0], &ours), bytes[0] + size);
        assert_ptr_equal(xdr_encode_portmap_place(&encoder, bytes[1], &theirs), bytes[1] + size);
        assert_memory_equal(bytes[0], bytes[1], (size_t)size);

        dari_arena arena = {0};
        dari_decoder decoder;
        di_rpcb read;
        dari_decoder_init(&decoder, bytes[1], (size_t)size, &arena);
        assert_int_equal(dari_decoder_finish(&decoder, di_rpcb_decode(&decoder, bytes[1], &read)),
                         0);
        assert_int_equal(read.program, ours.program);
        assert_int_equal(read.version, ours.version);
        assert_string_equal(read.netid, netid);
        assert_string_equal(read.address, address);
        assert_string_equal(read.owner, owner);
        dari_arena_end(&arena);
    }
}

static void a_missing_string_is_an_error(void **state)
{
    (void)state;
    dari_encoder encoder;
    const di_rpcb values[] = {{1, 1, NULL, "", ""}, {1, 1, "", NULL, ""}, {1, 1, "", "", NULL}};
    for (size_t i = 0; i < 3; i++) {
        dari_encoder_init(&encoder);
        assert_int_equal(di_rpcb_size(&encoder, &values[i]), DARI_MISSING);
    }
}

static void mappings_are_the_same_bytes(void **state)
{
    (void)state;
    const di_pmap ours = {100003, 3, 6, 2049};
    const portmap_mapping theirs = {100003, 3, 6, 2049};
    dari_encoder encoder;
    uint8_t bytes[2][DI_PMAP_SIZE];
    dari_encoder_init(&encoder);
    assert_int_equal(xdr_size_portmap_mapping(&encoder, &theirs), DI_PMAP_SIZE);
    assert_ptr_equal(di_pmap_encode(bytes[0], &ours), bytes[0] + DI_PMAP_SIZE);
    xdr_encode_portmap_mapping(&encoder, bytes[1], &theirs);
    assert_memory_equal(bytes[0], bytes[1], DI_PMAP_SIZE);
}

/* A table of three, and its size on the wire. */
static size_t encode_table(uint8_t bytes[256])
{
    portmap_entry third = {{7, 2, "tcp", "::1.1.3", "c"}, NULL};
    portmap_entry second = {{7, 1, "tcp6", "::1.1.2", "b"}, &third};
    portmap_entry first = {{7, 1, "tcp", "1.2.3.4.1.1", "a"}, &second};
    portmap_table table = &first;
    dari_encoder encoder;
    dari_encoder_init(&encoder);
    int64_t size = xdr_size_portmap_table(&encoder, &table);
    assert_in_range(size, 1, 256);
    xdr_encode_portmap_table(&encoder, bytes, &table);
    return (size_t)size;
}

/* Decodes a copy that ends where its memory does. */
static int decode_table(const uint8_t *bytes, size_t size, const di_rpcb *wanted, char address[32])
{
    uint8_t *copy = malloc(size ? size : 1);
    dari_arena arena = {0};
    dari_decoder decoder;
    di_rpcb found = {0};
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    dari_decoder_init(&decoder, copy, size, &arena);
    int error = dari_decoder_finish(&decoder, di_rpcb_decode_list(&decoder, copy, wanted, &found));
    strcpy(address, found.address ? found.address : "");
    dari_arena_end(&arena);
    free(copy);
    return error;
}

static void an_entry_is_found_in_a_table(void **state)
{
    (void)state;
    static const struct {
        di_rpcb wanted;
        const char *address;
    } cases[] = {
        {{7, 1, "tcp", "", ""}, "1.2.3.4.1.1"},
        {{7, 1, "tcp6", "", ""}, "::1.1.2"},
        {{7, 2, "tcp", "", ""}, "::1.1.3"},
        {{7, 2, "tcp6", "", ""}, ""},
        {{7, 3, "tcp", "", ""}, ""},
        {{8, 1, "tcp", "", ""}, ""},
    };
    uint8_t bytes[256];
    char address[32];
    size_t size = encode_table(bytes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(decode_table(bytes, size, &cases[i].wanted, address), 0);
        assert_string_equal(address, cases[i].address);
    }
    dari_put_u32(bytes, 0);
    assert_int_equal(decode_table(bytes, 4, &cases[0].wanted, address), 0);
    assert_string_equal(address, "");
}

static void a_table_that_ends_early(void **state)
{
    (void)state;
    uint8_t bytes[256];
    char address[32];
    size_t size = encode_table(bytes);
    for (size_t shorter = 0; shorter < size; shorter++)
        assert_int_equal(decode_table(bytes, shorter, &(di_rpcb){7, 1, "tcp", "", ""}, address),
                         DARI_TRUNCATED);
    dari_put_u32(bytes, 2);
    assert_int_equal(decode_table(bytes, size, &(di_rpcb){7, 1, "tcp", "", ""}, address),
                     DARI_BOOL);
}

static int decode_answer(const uint8_t *bytes, size_t size, bool *ret_truth, uint32_t *ret_port,
                         char **ret_address, dari_arena *arena)
{
    dari_decoder decoder;
    const uint8_t *end;
    dari_decoder_init(&decoder, bytes, size, arena);
    decoder.borrow = false;
    if (ret_truth)
        end = di_rpcb_decode_truth(&decoder, bytes, ret_truth);
    else if (ret_port)
        end = di_rpcb_decode_port(&decoder, bytes, ret_port);
    else
        end = di_rpcb_decode_address(&decoder, bytes, ret_address);
    return dari_decoder_finish(&decoder, end);
}

static void the_other_answers(void **state)
{
    (void)state;
    uint8_t bytes[4 + DI_RPCB_ADDRESS_MAX + 1];
    bool truth = false;
    uint32_t port = 0;
    char *address = NULL;
    dari_arena arena = {0};
    for (size_t size = 0; size < 4; size++) {
        assert_int_equal(decode_answer(bytes, size, &truth, NULL, NULL, &arena), DARI_TRUNCATED);
        assert_int_equal(decode_answer(bytes, size, NULL, &port, NULL, &arena), DARI_TRUNCATED);
        assert_int_equal(decode_answer(bytes, size, NULL, NULL, &address, &arena), DARI_TRUNCATED);
    }
    dari_put_u32(bytes, 65535);
    assert_int_equal(decode_answer(bytes, 4, NULL, &port, NULL, &arena), 0);
    assert_int_equal(port, 65535);
    dari_put_u32(bytes, 65536);
    assert_int_equal(decode_answer(bytes, 4, NULL, &port, NULL, &arena), DARI_RANGE);
    dari_put_u32(bytes, 1);
    assert_int_equal(decode_answer(bytes, 4, &truth, NULL, NULL, &arena), 0);
    assert_true(truth);
    assert_int_equal(decode_answer(bytes, 8, &truth, NULL, NULL, &arena), DARI_TRAILING);
    dari_put_u32(bytes, 2);
    assert_int_equal(decode_answer(bytes, 4, &truth, NULL, NULL, &arena), DARI_BOOL);
    memset(bytes, 'a', sizeof bytes);
    dari_put_u32(bytes, DI_RPCB_ADDRESS_MAX);
    bytes[sizeof bytes - 1] = 0;
    assert_int_equal(decode_answer(bytes, sizeof bytes, NULL, NULL, &address, &arena), 0);
    assert_int_equal(strlen(address), DI_RPCB_ADDRESS_MAX);
    dari_put_u32(bytes, DI_RPCB_ADDRESS_MAX + 1);
    assert_int_equal(decode_answer(bytes, sizeof bytes, NULL, NULL, &address, &arena), DARI_BOUND);
    dari_arena_end(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_the_same_bytes),
        cmocka_unit_test(a_missing_string_is_an_error),
        cmocka_unit_test(mappings_are_the_same_bytes),
        cmocka_unit_test(an_entry_is_found_in_a_table),
        cmocka_unit_test(a_table_that_ends_early),
        cmocka_unit_test(the_other_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
