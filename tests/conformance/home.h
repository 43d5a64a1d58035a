/* SPDX-License-Identifier: MIT */
/* What cases of calls both ways share: the client's side, with a server of its own that has no
 * address and answers what comes to the client; and the other side, which calls its caller. */
#ifndef DARI_TEST_HOME_H
#define DARI_TEST_HOME_H

#include "conformance/cases.h"

#include <stdatomic.h>

/* A zeroed one is ready for go_home. */
typedef struct test_home {
    dari_server_options options;
    dari_client_options client_options;
    test_fixture fixture; /* its server, the thread of that, and how many calls came; its handlers,
                             NULL: the other side's add gives a sum, this one a product */
    dari_client *client;
} test_home;

/* Connects the client, whose server does not run yet; starts that too; ends both. */
void go_home(test_home *home, test_fixture *fixture);
void stay_home(test_home *home, test_fixture *fixture);
void leave_home(test_home *home);

/* Serves with `workers`, and returns a client by which the server calls home. */
dari_client *subscribe(test_fixture *fixture, uint32_t workers, test_home *home);

/* Handlers whose add asks the caller for the product, and returns that and the sum: workers wait
 * for it, the loop answers later. */
extern const echo_1_handlers callers, relayers;
/* Serves by them, and stays home. */
void serve_callers(test_fixture *fixture, uint32_t workers, test_home *home);
/* What comes of that. */
void check_both(dari_client *client);

/* How a call of add in flight ends. */
typedef struct test_ending {
    dari_call call;
    atomic_int error; /* 1: not yet */
} test_ending;

void start_ending(test_ending *ending, dari_client *client);
void await_ending(test_ending *ending, int error);

#endif
