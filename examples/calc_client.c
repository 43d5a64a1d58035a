/* SPDX-License-Identifier: MIT */
/* calc-client ADDRESS A B: has the server there add two numbers. "exec:calc-server pipe:0,1" starts
 * it. */
#include "calc.h"

#include <dari/dari.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    pair numbers;
    int32_t sum;
    if (argc != 4 || sscanf(argv[2], "%d", &numbers.a) != 1 ||
        sscanf(argv[3], "%d", &numbers.b) != 1) {
        fprintf(stderr, "Usage: calc-client ADDRESS A B\n");
        return 2;
    }

    dari_call call = DARI_CALL(.deadline_ns = 5 * DARI_S);
    dari_client *client = NULL;
    const dari_client_options options = {.call = &call, .exec.allowed = true};
    int status = dari_connect(argv[1], &options, &client);
    if (status == 0)
        status = add_1(client, &numbers, &sum, &call);
    if (status == 0)
        printf("%d + %d = %d\n", numbers.a, numbers.b, sum);
    else
        fprintf(stderr, "calc-client: %s\n", dari_call_message(&call));

    dari_call_end(&call);
    dari_client_close(client);
    return status < 0;
}
