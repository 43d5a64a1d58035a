/* SPDX-License-Identifier: MIT */
/* Credentials: the limits of AUTH_SYS, and flavours that nobody knows. */
#include "rpc/flavor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* A body with a name of `length` bytes and `count` groups, exactly as large as it must be, so that
 * a sanitizer sees what is read beyond. */
static di_auth make(uint32_t length, uint32_t count)
{
    size_t padded = (size_t)dari_padded(length), size = 20 + padded + 4 * (size_t)count;
    uint8_t *body = calloc(1, size), *after = body + 8 + padded;
    assert_non_null(body);
    dari_put_u32(body, 7);
    dari_put_u32(body + 4, length);
    memset(body + 8, 'm', length);
    dari_put_u32(after, 1000);
    dari_put_u32(after + 4, 100);
    dari_put_u32(after + 8, count);
    for (uint32_t i = 0; i < count; i++)
        dari_put_u32(after + 12 + 4 * i, 500 + i);
    return (di_auth){DI_AUTH_SYS, (uint32_t)size, body};
}

static void check(uint32_t length, uint32_t count, int expected)
{
    dari_auth_sys auth;
    di_auth credential = make(length, count);
    assert_int_equal(di_auth_sys_decode(&credential, &auth), expected);
    assert_int_equal(di_flavor_find(DI_AUTH_SYS)->check(&credential),
                     expected ? DI_AUTH_BADCRED : DI_AUTH_OK);
    if (expected == 0) {
        assert_int_equal(auth.stamp, 7);
        assert_int_equal(auth.uid, 1000);
        assert_int_equal(auth.gid, 100);
        assert_int_equal(strlen(auth.machine), length);
        assert_int_equal(auth.group_count, count);
        assert_true(count == 0 || auth.groups[count - 1] == 499 + count);
    }
    free((void *)credential.body);
}

static void the_limits_of_auth_sys(void **state)
{
    (void)state;
    check(0, 0, 0);
    check(5, 3, 0);
    check(255, 16, 0);
    check(256, 0, DARI_AUTH);
    check(0, 17, DARI_AUTH);
    check(255, 17, DARI_AUTH);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    di_auth whole = make(10, 4);
    for (uint32_t size = 0; size < whole.size; size++) {
        dari_auth_sys auth;
        uint8_t *body = malloc(size ? size : 1);
        memcpy(body, whole.body, size);
        di_auth part = {DI_AUTH_SYS, size, body};
        assert_int_equal(di_auth_sys_decode(&part, &auth), DARI_AUTH);
        free(body);
    }
    free((void *)whole.body);
}

static void lengths_that_overflow_are_refused(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0xffffffff, 0xfffffffc, 0x80000000, 300};
    for (size_t i = 0; i < 4; i++) {
        dari_auth_sys auth;
        di_auth credential = make(8, 2);
        dari_put_u32((uint8_t *)credential.body + 4, lengths[i]);
        assert_int_equal(di_auth_sys_decode(&credential, &auth), DARI_AUTH);
        dari_put_u32((uint8_t *)credential.body + 4, 8);
        dari_put_u32((uint8_t *)credential.body + 24, lengths[i]);
        assert_int_equal(di_auth_sys_decode(&credential, &auth), DARI_AUTH);
        free((void *)credential.body);
    }
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{0, 0}, {1, 1}, {6, 3}, {255, 0}, {255, 16}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        dari_auth_sys in, out;
        uint8_t body[DI_AUTH_SYS_MAX];
        di_auth expected = make(sizes[i][0], sizes[i][1]), found;
        memset(&in, 0, sizeof in);
        assert_int_equal(di_auth_sys_decode(&expected, &in), 0);
        assert_int_equal(di_auth_sys_encode(&in, body, &found), 0);
        assert_int_equal(found.flavor, DI_AUTH_SYS);
        assert_int_equal(found.size, expected.size);
        assert_memory_equal(found.body, expected.body, expected.size);
        assert_int_equal(di_auth_sys_decode(&found, &out), 0);
        free((void *)expected.body);
    }
}

static void too_much_is_not_encoded(void **state)
{
    (void)state;
    uint8_t body[DI_AUTH_SYS_MAX];
    di_auth found = {0};
    dari_auth_sys auth = {.group_count = DARI_AUTH_SYS_GROUPS_MAX + 1};
    assert_int_equal(di_auth_sys_encode(&auth, body, &found), DARI_INVALID);
    auth.group_count = 0;
    memset(auth.machine, 'm', sizeof auth.machine);
    assert_int_equal(di_auth_sys_encode(&auth, body, &found), DARI_INVALID);
    assert_null(found.body);
}

static void flavors_are_known_or_not(void **state)
{
    (void)state;
    dari_auth_sys auth;
    di_auth none = {DI_AUTH_NONE, 0, NULL};
    assert_int_equal(di_flavor_find(DI_AUTH_NONE)->check(&none), DI_AUTH_OK);
    assert_int_equal(di_auth_sys_decode(&none, &auth), DARI_AUTH);
    assert_null(di_flavor_find(6));
    assert_null(di_flavor_find(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limits_of_auth_sys),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(lengths_that_overflow_are_refused),
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(too_much_is_not_encoded),
        cmocka_unit_test(flavors_are_known_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
