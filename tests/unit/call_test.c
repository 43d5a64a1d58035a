/* SPDX-License-Identifier: MIT */
/* The call context: what its message says for each outcome, and its memory. */
#include "loop/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void outcomes_in_words(void **state)
{
    (void)state;
    static const struct {
        dari_call call;
        const char *message;
    } cases[] = {
        {{.error = 0}, "done"},
        {{.error = DARI_DEADLINE, .allowed_ns = 50 * DARI_MS, .may_have_run = true},
         "deadline of 50 ms passed, may have run"},
        {{.error = DARI_DEADLINE, .allowed_ns = 25 * DARI_S}, "deadline of 25 s passed"},
        {{.error = DARI_DEADLINE, .allowed_ns = 1500 * DARI_MS}, "deadline of 1500 ms passed"},
        {{.error = DARI_DEADLINE, .allowed_ns = 10 * DARI_US}, "deadline of 10 us passed"},
        {{.error = DARI_DEADLINE, .allowed_ns = 7}, "deadline of 7 ns passed"},
        {{.error = DARI_REFUSED, .system_error = ENOENT},
         "nobody listens there (No such file or directory)"},
        {{.error = DARI_PROGRAM_MISMATCH, .low = 2, .high = 4},
         "PROGRAM_MISMATCH: the server has versions 2 to 4"},
        {{.error = DARI_RPC_MISMATCH, .low = 3, .high = 3},
         "RPC_MISMATCH: the server has versions 3 to 3"},
        {{.error = DARI_ERRNO, .system_error = EMFILE}, "Too many open files"},
        {{.error = DARI_ADDRESS, .fault = {DARI_ADDRESS, "the path is too long", 0, 200, 107}},
         "the path is too long (200, at most 107)"},
        {{.error = DARI_ADDRESS, .fault = {DARI_ADDRESS, "the port is missing", 0, 0, 0}},
         "the port is missing"},
        {{.error = DARI_ERRNO, .system_error = EIO, .fault = {DARI_ERRNO, "no option", 0, 0, 0}},
         "no option (Input/output error)"},
        {{.error = DARI_DEADLINE,
          .allowed_ns = DARI_S,
          .fault = {DARI_DEADLINE, "rpcbind does not answer", 0, 0, 0}},
         "deadline of 1 s passed (rpcbind does not answer)"},
        {{.error = DARI_NOT_REGISTERED, .fault = {DARI_NOT_REGISTERED, "", 0, 0xffffffff, 3}},
         "rpcbind does not know program 4294967295, version 3"},
        {{.error = DARI_RPCBIND, .fault = {DARI_RPCBIND, "rpcbind refuses to answer", 0, 0, 0}},
         "rpcbind refuses to answer"},
        {{.error = DARI_RPCBIND}, "rpcbind does not do what it was asked"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dari_call call = cases[i].call;
        char expected[256] = "tcp://db:2049: READDIR: ";
        call.procedure = "READDIR";
        strcpy(call.peer, "tcp://db:2049");
        strcat(expected, cases[i].message);
        assert_string_equal(dari_call_message(&call), expected);
    }
}

static void faults_in_words(void **state)
{
    (void)state;
    dari_call call = {.error = DARI_BOUND,
                      .procedure = "P",
                      .peer = "unix:/x",
                      .may_have_run = true,
                      .fault = {DARI_BOUND, "entry.name", 24, 300, 255}};
    char fault[256];
    char expected[400];
    dari_fault_text(&call.fault, fault, sizeof fault);
    strcpy(expected, "unix:/x: P: ");
    strcat(expected, fault);
    strcat(expected, ", may have run");
    assert_string_equal(dari_call_message(&call), expected);
}

static void refusals_in_words(void **state)
{
    (void)state;
    dari_call call = {.error = DARI_AUTH, .procedure = "P", .auth_status = 5};
    assert_non_null(strstr(dari_call_message(&call), "AUTH_TOOWEAK"));
    call.auth_status = 4000000000u;
    assert_non_null(strstr(dari_call_message(&call), "status 4000000000"));
}

static void a_context_that_was_not_used(void **state)
{
    (void)state;
    dari_call call = {0};
    assert_string_equal(dari_call_message(&call), "");
    dari_call_reset(&call);
    dari_call_end(&call);
    dari_call_end(&call);
    dari_call_end(NULL);
}

static void long_addresses_are_cut(void **state)
{
    (void)state;
    dari_call call = {0};
    char address[1000];
    memset(address, 'a', sizeof address - 1);
    address[sizeof address - 1] = '\0';
    char peer[DARI_CALL_PEER_SIZE];
    di_call_peer(address, peer);
    di_call_begin(&call, peer, address, 1);
    assert_int_equal(strlen(call.peer), DARI_CALL_PEER_SIZE - 1);
    call.error = DARI_CLOSED;
    call.may_have_run = true;
    assert_int_equal(strlen(dari_call_message(&call)), DARI_CALL_TEXT_SIZE - 1);
}

static void reset_keeps_what_goes_in(void **state)
{
    (void)state;
    dari_call call = DARI_CALL(.deadline_ns = 5);
    di_call_begin(&call, (char[DARI_CALL_PEER_SIZE]){"unix:/x"}, "P", 5);
    call.error = DARI_CLOSED;
    call.system_error = EPIPE;
    call.may_have_run = true;
    call.fault.error = DARI_NUL;
    assert_non_null(dari_arena_take(&call.arena, 100000));
    dari_call_reset(&call);
    assert_int_equal(call.deadline_ns, 5);
    assert_int_equal(call.error, 0);
    assert_int_equal(call.system_error, 0);
    assert_false(call.may_have_run);
    assert_int_equal(call.fault.error, 0);
    assert_string_equal(dari_call_message(&call), "");
    dari_call_end(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes_in_words),      cmocka_unit_test(faults_in_words),
        cmocka_unit_test(refusals_in_words),      cmocka_unit_test(a_context_that_was_not_used),
        cmocka_unit_test(long_addresses_are_cut), cmocka_unit_test(reset_keeps_what_goes_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
