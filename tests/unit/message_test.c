/* SPDX-License-Identifier: MIT */
#include "rpc/message.h"

#include <dari/error.h>
#include <dari/xdr.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void put_words(uint8_t *at, const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dari_put_u32(at + 4 * i, words[i]);
}

static void a_call_goes_round(void **state)
{
    (void)state;
    uint8_t body[DI_AUTH_MAX];
    memset(body, 0xa5, sizeof body);
    for (uint32_t size = 0; size <= DI_AUTH_MAX; size++) {
        di_call_header in = {.xid = 1 + size,
                             .rpc_version = 2,
                             .program = 100003,
                             .version = 3,
                             .procedure = 16,
                             .credential = {1, size, body},
                             .verifier = {0, DI_AUTH_MAX - size, body}};
        uint8_t bytes[DI_CALL_HEADER_MAX];
        size_t length = di_call_header_size(&in);
        assert_ptr_equal(di_call_header_encode(bytes, &in), bytes + length);
        di_call_header out;
        const uint8_t *arguments;
        uint32_t status = 77;
        assert_int_equal(di_call_header_decode(bytes, length, &out, &arguments, &status), 0);
        assert_ptr_equal(arguments, bytes + length);
        assert_int_equal(out.xid, in.xid);
        assert_int_equal(out.program, 100003);
        assert_int_equal(out.version, 3);
        assert_int_equal(out.procedure, 16);
        assert_int_equal(out.credential.flavor, 1);
        assert_int_equal(out.credential.size, size);
        assert_memory_equal(out.credential.body, body, size);
        assert_int_equal(out.verifier.size, DI_AUTH_MAX - size);
        assert_int_equal(status, 77);
    }
}

static void the_bytes_of_a_call(void **state)
{
    (void)state;
    static const uint32_t expected[] = {7, 0, 2, 0x20000101, 1, 5, 0, 0, 0, 0};
    di_call_header header = {
        .xid = 7, .rpc_version = 2, .program = 0x20000101, .version = 1, .procedure = 5};
    uint8_t bytes[40], words[40];
    put_words(words, expected, 10);
    assert_int_equal(di_call_header_size(&header), 40);
    di_call_header_encode(bytes, &header);
    assert_memory_equal(bytes, words, 40);
}

static void every_truncation_of_a_call(void **state)
{
    (void)state;
    uint8_t body[20] = {0};
    di_call_header in = {.xid = 1, .rpc_version = 2, .credential = {1, 20, body}};
    uint8_t bytes[DI_CALL_HEADER_MAX];
    size_t length = di_call_header_size(&in);
    di_call_header_encode(bytes, &in);
    for (size_t size = 0; size < length; size++) {
        uint8_t *cut = malloc(size + 1);
        di_call_header out;
        const uint8_t *arguments;
        uint32_t status;
        memcpy(cut, bytes, size);
        assert_int_equal(di_call_header_decode(cut, size, &out, &arguments, &status),
                         DARI_BAD_REPLY);
        free(cut);
    }
}

static void calls_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t words[12];
        size_t count;
        int error;
        uint32_t status;
    } cases[] = {
        {{1, 1, 2, 0, 0, 0, 0, 0, 0, 0}, 10, DARI_BAD_REPLY, 0},
        {{1, 2, 2, 0, 0, 0, 0, 0, 0, 0}, 10, DARI_BAD_REPLY, 0},
        {{1, 0, 3}, 3, DARI_RPC_MISMATCH, 0},
        {{1, 0, 0}, 3, DARI_RPC_MISMATCH, 0},
        {{1, 0, 2, 0, 0, 0, 0, 401, 0, 0}, 10, DARI_AUTH, DI_AUTH_BADCRED},
        {{1, 0, 2, 0, 0, 0, 0, UINT32_MAX, 0, 0}, 10, DARI_AUTH, DI_AUTH_BADCRED},
        {{1, 0, 2, 0, 0, 0, 0, 0, 0, 401}, 10, DARI_AUTH, DI_AUTH_BADVERF},
        {{1, 0, 2, 0, 0, 0, 0, 12, 0, 0}, 10, DARI_BAD_REPLY, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[64];
        di_call_header header;
        const uint8_t *arguments;
        uint32_t status = 0;
        put_words(bytes, cases[i].words, cases[i].count);
        assert_int_equal(
            di_call_header_decode(bytes, 4 * cases[i].count, &header, &arguments, &status),
            cases[i].error);
        assert_int_equal(status, cases[i].status);
    }
}

static void every_reply_goes_round(void **state)
{
    (void)state;
    static const struct {
        int error, seen;
        size_t size;
    } cases[] = {
        {0, 0, 24},
        {DARI_PROGRAM_UNAVAILABLE, DARI_PROGRAM_UNAVAILABLE, 24},
        {DARI_PROGRAM_MISMATCH, DARI_PROGRAM_MISMATCH, 32},
        {DARI_PROCEDURE_UNAVAILABLE, DARI_PROCEDURE_UNAVAILABLE, 24},
        {DARI_GARBAGE_ARGUMENTS, DARI_GARBAGE_ARGUMENTS, 24},
        {DARI_SYSTEM_ERROR, DARI_SYSTEM_ERROR, 24},
        {DARI_RPC_MISMATCH, DARI_RPC_MISMATCH, 24},
        {DARI_AUTH, DARI_AUTH, 20},
        {DARI_NO_MEMORY, DARI_SYSTEM_ERROR, 24},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        di_reply_header in = {
            .xid = 9, .error = cases[i].error, .low = 2, .high = 5, .auth_status = 3};
        di_reply_header out;
        uint8_t bytes[DI_REPLY_HEADER_MAX];
        const uint8_t *results;
        size_t size = di_reply_header_size(&in);
        assert_int_equal(size, cases[i].size);
        assert_ptr_equal(di_reply_header_encode(bytes, &in), bytes + size);
        assert_int_equal(di_reply_header_decode(bytes, size, &out, &results), 0);
        assert_int_equal(out.xid, 9);
        assert_int_equal(out.error, cases[i].seen);
        assert_ptr_equal(results, bytes + size);
        if (out.error == DARI_RPC_MISMATCH || out.error == DARI_PROGRAM_MISMATCH) {
            assert_int_equal(out.low, 2);
            assert_int_equal(out.high, 5);
        }
        if (out.error == DARI_AUTH)
            assert_int_equal(out.auth_status, 3);
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *less = malloc(cut + 1);
            memcpy(less, bytes, cut);
            assert_int_equal(di_reply_header_decode(less, cut, &out, &results), DARI_BAD_REPLY);
            free(less);
        }
    }
}

static void the_first_words(void **state)
{
    (void)state;
    uint8_t bytes[8];
    uint32_t xid = 1, type = 2;
    put_words(bytes, (const uint32_t[]){0x01020304, 1}, 2);
    for (size_t size = 0; size < 8; size++)
        assert_int_equal(di_message_peek(bytes, size, &xid, &type), DARI_TRUNCATED);
    assert_int_equal(xid, 1);
    assert_int_equal(di_message_peek(bytes, 8, &xid, &type), 0);
    assert_int_equal(xid, 0x01020304);
    assert_int_equal(type, DI_REPLY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_goes_round),          cmocka_unit_test(the_bytes_of_a_call),
        cmocka_unit_test(every_truncation_of_a_call), cmocka_unit_test(calls_that_are_refused),
        cmocka_unit_test(every_reply_goes_round),     cmocka_unit_test(the_first_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
