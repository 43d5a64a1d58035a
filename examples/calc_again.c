/* SPDX-License-Identifier: MIT */
/* calc-again ADDRESS: has the server there add the two numbers of each line that it reads, however
 * often that server ends and comes back. Adding twice does no harm, so the client is told that ADD
 * is idempotent: a call that was lost with its connection is sent again. */
#include "calc.h"

#include <dari/dari.h>

#include <stdio.h>

static int add_each(dari_client *client, dari_call *call)
{
    pair numbers;
    int32_t sum;
    int status = dari_client_idempotent(client, &calc_1_interface, ADD);
    while (status == 0 && scanf("%d %d", &numbers.a, &numbers.b) == 2) {
        status = add_1(client, &numbers, &sum, call);
        if (status == 0)
            printf("%d + %d = %d\n", numbers.a, numbers.b, sum);
        fflush(stdout);
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: calc-again ADDRESS\n");
        return 2;
    }
    /* A server that is away has until then to come back. */
    dari_call call = DARI_CALL(.deadline_ns = 30 * DARI_S);
    const dari_client_options options = {
        .call = &call, .backoff_first_ns = 10 * DARI_MS, .backoff_max_ns = DARI_S};
    dari_client *client = NULL;
    int status = dari_connect(argv[1], &options, &client);
    if (status == 0)
        status = add_each(client, &call);
    if (status < 0)
        fprintf(stderr, "calc-again: %s\n", dari_call_message(&call));
    dari_client_close(client);
    dari_call_end(&call);
    return status < 0;
}
