/* SPDX-License-Identifier: MIT */
/* calc-async ADDRESS N: adds up 1 to N by N calls of ADD, all of them in flight at once. */
#include "calc.h"

#include <dari/dari.h>

#include <stdio.h>
#include <stdlib.h>

/* A call, and its share of the total. */
typedef struct addition {
    dari_call call;
    int64_t *total;
} addition;

static void take_sum(void *user, const int32_t *sum, dari_call *call)
{
    addition *one = user;
    if (sum)
        *one->total += *sum;
    else
        fprintf(stderr, "calc-async: %s\n", dari_call_message(call));
    dari_call_end(call);
}

/* Starts all, then waits for all. A full output is no error: some progress makes room. */
static int add_up(dari_client *client, addition *all, int32_t count)
{
    int status = 0;
    for (int32_t i = 0; i < count && status == 0; i++) {
        while ((status = add_1_start(client, &(pair){i, 1}, &all[i].call, take_sum, &all[i])) ==
               DARI_FULL)
            dari_client_wait(client, DARI_MS);
        if (status < 0)
            fprintf(stderr, "calc-async: %s\n", dari_call_message(&all[i].call));
    }
    int waited = dari_client_wait(client, UINT64_MAX);
    return status < 0 ? status : waited;
}

int main(int argc, char **argv)
{
    int32_t count = argc == 3 ? atoi(argv[2]) : 0;
    if (count <= 0) {
        fprintf(stderr, "Usage: calc-async ADDRESS N\n");
        return 2;
    }

    dari_call call = {0};
    dari_client *client = NULL;
    if (dari_connect(argv[1], &(dari_client_options){.call = &call}, &client) < 0) {
        fprintf(stderr, "calc-async: %s\n", dari_call_message(&call));
        return 1;
    }

    int64_t total = 0;
    addition *all = calloc((size_t)count, sizeof *all);
    for (int32_t i = 0; all && i < count; i++)
        all[i].total = &total;
    int status = all ? add_up(client, all, count) : DARI_NO_MEMORY;
    if (status == 0)
        printf("1 + ... + %d = %lld\n", count, (long long)total);

    dari_client_close(client);
    free(all);
    return status < 0;
}
