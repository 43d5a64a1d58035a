/* SPDX-License-Identifier: MIT */
/* Where clients look up their server: an rpcbind of the tests' own that knows it, and one client.
 */
#ifndef DARI_TEST_LOOKUP_H
#define DARI_TEST_LOOKUP_H

#include "conformance/fake_rpcbind.h"
#include "conformance/harness.h"

/* The address of the host, without a port. */
#define HOST "tcp://127.0.0.1"

typedef struct lookup {
    fake_rpcbind rpcbind;
    test_fixture server; /* over tcp4 */
    dari_client *client; /* of try_connect; closed by the end of the case at the latest */
    dari_call call;      /* of try_connect and try_add */
    uint32_t program, version;
} lookup;

extern lookup with;

int lookup_set_up(void **state);
int lookup_tear_down(void **state);
#define LOOKUP_CASE(name) cmocka_unit_test_setup_teardown(name, lookup_set_up, lookup_tear_down)

/* The universal address of the server's port at `host`. */
const char *universal(const char *host);

int try_connect(const char *address, const dari_interface *interface);
void close_client(void);
/* Calls, and returns the error. */
int try_add(void);
/* The last of them says this. */
void says(const char *words);

#endif
