/* SPDX-License-Identifier: MIT */
/* job-client ADDRESS NUMBER [PERCENT]: has the sum of all numbers up to NUMBER made, and shows how
 * far that is; past PERCENT it has enough. One thread: its server answers what comes to the client,
 * and its loop takes the result too. */
#include "job.h"

#include <dari/dari.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int reached(dari_request *request, const uint32_t *arg, bool *ret)
{
    const uint32_t *most = dari_request_user(request);
    printf("%u %%\n", *arg);
    *ret = *arg < *most;
    return 0;
}

static const progress_1_handlers handlers = {.reached = reached};

/* The job is over: so is the loop. */
static void finish(void *user, const uint64_t *ret, dari_call *call)
{
    if (call->error == 0)
        printf("%" PRIu64 "\n", *ret);
    dari_server_stop(user);
}

static int start(dari_server *server, dari_client *client, uint32_t number, dari_call *call)
{
    int status = dari_server_serve_client(server, client);
    if (status < 0) {
        fprintf(stderr, "job-client: %s\n", dari_server_message(server));
        return status;
    }
    status = sum_1_start(client, &number, call, finish, server);
    return status < 0 ? status : dari_server_run(server);
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "Usage: job-client ADDRESS NUMBER [PERCENT]\n");
        return 2;
    }
    uint32_t most = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 101;
    dari_call call = DARI_CALL(.deadline_ns = 60 * DARI_S);
    dari_client *client = NULL;
    dari_server *server = NULL;
    int status = dari_connect(argv[1], &(dari_client_options){.call = &call}, &client);
    if (status == 0)
        status = dari_server_create(NULL, &server);
    if (status == 0)
        status = progress_1_serve(server, &handlers, &most);
    if (status == 0)
        status = start(server, client, (uint32_t)strtoul(argv[2], NULL, 10), &call);
    if (call.error < 0)
        fprintf(stderr, "job-client: %s\n", dari_call_message(&call));
    dari_server_destroy(server);
    dari_client_close(client);
    bool failed = status < 0 || call.error < 0;
    dari_call_end(&call);
    return failed;
}
