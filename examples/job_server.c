/* SPDX-License-Identifier: MIT */
/* job-server ADDRESS: does jobs of job.x, until SIGINT or SIGTERM. While it is at one, it tells the
 * caller how far it is, over the connection that the call came by, and asks whether to go on. */
#include "job.h"

#include <dari/dari.h>

#include <signal.h>
#include <stdio.h>

/* Runs in a worker thread, which may wait for the caller's answers. */
static int sum(dari_request *request, const uint32_t *arg, uint64_t *ret)
{
    dari_client *caller;
    int error = dari_request_client(request, &caller);
    if (error < 0)
        return error;
    uint64_t next = 1;
    bool goes_on = true;
    for (uint32_t percent = 10; percent <= 100 && goes_on && error == 0; percent += 10) {
        while (next <= (uint64_t)*arg * percent / 100)
            *ret += next++;
        error = reached_1(caller, &percent, &goes_on, NULL);
    }
    dari_client_close(caller);
    return goes_on ? error : DARI_CANCELLED;
}

static const job_1_handlers handlers = {.sum = sum};

static dari_server *server; /* for the signal handler */

static void stop(int signal)
{
    (void)signal;
    dari_server_stop(server);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: job-server ADDRESS\n");
        return 2;
    }
    int status = dari_server_create(&(dari_server_options){.workers = 4}, &server);
    if (status < 0) {
        fprintf(stderr, "job-server: %s\n", dari_error_text(status));
        return 1;
    }
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = job_1_serve(server, &handlers, NULL);
    if (status == 0)
        status = dari_server_listen(server, argv[1]);
    if (status < 0) {
        fprintf(stderr, "job-server: %s\n", dari_server_message(server));
    } else {
        printf("%s\n", dari_server_address(server, 0));
        fflush(stdout);
        status = dari_server_run(server);
    }
    dari_server_destroy(server);
    return status < 0;
}
