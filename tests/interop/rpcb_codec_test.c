/* SPDX-License-Identifier: MIT */
/* The codecs written by hand for rpcbind against Debian's rpcb_prot.x. */
#include "rpcb_prot.h"

#include "rpc/rpcb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void entries_are_the_same_bytes(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "tcp", "tcp6", "127.0.0.1.8.1", "superuser"};
    for (size_t i = 0; i < 5; i++) {
        const char *netid = texts[i], *address = texts[(i + 1) % 5], *owner = texts[(i + 2) % 5];
        const di_rpcb ours = {100003, 4, netid, address, owner};
        const rpcb theirs = {100003, 4, (char *)(uintptr_t)netid, (char *)(uintptr_t)address,
                             (char *)(uintptr_t)owner};
        dari_encoder encoder;
        uint8_t bytes[2][80];
        dari_encoder_init(&encoder);
        int64_t size = di_rpcb_size(&encoder, &ours);
        assert_int_equal(size, xdr_size_rpcb(&encoder, &theirs));
        di_rpcb_encode(bytes[0], &ours);
        xdr_encode_rpcb(&encoder, bytes[1], &theirs);
        assert_memory_equal(bytes[0], bytes[1], (size_t)size);
    }
}

static void a_table_is_read(void **state)
{
    (void)state;
    struct rp__list last = {{7, 2, "tcp6", "::1.1.2", "b"}, NULL};
    struct rp__list first = {{7, 1, "tcp", "1.2.3.4.1.1", "a"}, &last};
    rpcblist_ptr table = &first;
    dari_encoder encoder;
    dari_decoder decoder;
    dari_arena arena = {0};
    uint8_t bytes[200];
    dari_encoder_init(&encoder);
    int64_t size = xdr_size_rpcblist_ptr(&encoder, &table);
    assert_in_range(size, 1, sizeof bytes);
    xdr_encode_rpcblist_ptr(&encoder, bytes, &table);
    di_rpcb found;
    dari_decoder_init(&decoder, bytes, (size_t)size, &arena);
    const uint8_t *end =
        di_rpcb_decode_list(&decoder, bytes, &(di_rpcb){7, 2, "tcp6", "", ""}, &found);
    assert_int_equal(dari_decoder_finish(&decoder, end), 0);
    assert_string_equal(found.address, "::1.1.2");
    assert_string_equal(found.owner, "b");
    dari_arena_end(&arena);
}

static void the_numbers_are_the_same(void **state)
{
    (void)state;
    assert_int_equal(DI_RPCB_PROGRAM, RPCBPROG);
    assert_int_equal(DI_RPCB_NEWEST, RPCBVERS4);
    assert_int_equal(DI_RPCB_SET, RPCBPROC_SET);
    assert_int_equal(DI_RPCB_UNSET, RPCBPROC_UNSET);
    assert_int_equal(DI_RPCB_GETADDR, RPCBPROC_GETADDR);
    assert_int_equal(DI_RPCB_DUMP, RPCBPROC_DUMP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_the_same_bytes),
        cmocka_unit_test(a_table_is_read),
        cmocka_unit_test(the_numbers_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
