/* SPDX-License-Identifier: MIT */
/* Which procedures a client takes for idempotent: those that it was told, and no others. */
#include "loop/idempotent.h"

#include "loop/client.h"

#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PROCEDURES = 12 };
static dari_procedure procedures[PROCEDURES];

static dari_interface interface_of(uint32_t program, uint32_t version)
{
    for (uint32_t i = 0; i < PROCEDURES; i++)
        procedures[i] = (dari_procedure){.number = 100 * i, .name = "P"};
    return (dari_interface){.program = program,
                            .version = version,
                            .procedure_count = PROCEDURES,
                            .procedures = procedures};
}

static bool is_known(const dari_client *client, const dari_interface *interface, uint32_t number)
{
    const dari_procedure procedure = {.number = number};
    const dari_exchange exchange = {.interface = interface, .procedure = &procedure};
    return di_idempotents_have(&client->idempotents, &exchange);
}

/* In whatever order they are told. */
static void only_what_was_told(void **state)
{
    static const uint32_t told[] = {5, 0, 11, 3, 7, 3, 5};
    (void)state;
    dari_interface one = interface_of(0x20000001, 2), next = interface_of(0x20000001, 3);
    dari_interface other = interface_of(0x20000002, 2);
    dari_client *client = NULL;
    /* Nobody is asked before the first call. */
    assert_int_equal(dari_connect("udp://127.0.0.1:9", NULL, &client), 0);
    assert_false(is_known(client, &one, 500));
    for (unsigned i = 0; i < sizeof told / sizeof *told; i++)
        assert_int_equal(dari_client_idempotent(client, &one, 100 * told[i]), 0);
    assert_int_equal(dari_client_idempotent(client, &next, 200), 0);
    assert_int_equal(dari_client_idempotent(client, &one, 1), DARI_INVALID);
    assert_int_equal(client->idempotents.count, 6);
    for (uint32_t i = 0; i < PROCEDURES; i++) {
        bool known = i == 0 || i == 3 || i == 5 || i == 7 || i == 11;
        assert_int_equal(is_known(client, &one, 100 * i), known);
        assert_int_equal(is_known(client, &next, 100 * i), i == 2);
        assert_false(is_known(client, &other, 100 * i));
    }
    dari_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_told),
    };
    return cmocka_run_group_tests_name("unit/idempotent", tests, NULL, NULL);
}
