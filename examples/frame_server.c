/* SPDX-License-Identifier: MIT */
/* frame-server ADDRESS...: serves frame.x, until SIGINT or SIGTERM. Prints each address as a client
 * writes it. Over shm: it reads frames where its clients have put them: it trusts them to leave
 * them alone until they have their answer. */
#include "frame.h"

#include <dari/dari.h>

#include <signal.h>
#include <stdio.h>

static int find(dari_request *request, const frame *arg, spot *ret)
{
    (void)request;
    const uint8_t *points = arg->points.data;
    uint32_t brightest = 0;
    if (arg->points.size == 0 || (uint64_t)arg->width * arg->height != arg->points.size)
        return DARI_GARBAGE_ARGUMENTS;
    for (uint32_t i = 1; i < arg->points.size; i++)
        if (points[i] > points[brightest])
            brightest = i;
    *ret = (spot){.x = brightest % arg->width, .y = brightest / arg->width};
    return 0;
}

static const watch_1_handlers handlers = {.find = find};

static dari_server *server; /* for the signal handler */

static void stop(int signal)
{
    (void)signal;
    dari_server_stop(server);
}

static int serve(int count, char **addresses)
{
    int status = watch_1_serve(server, &handlers, NULL);
    for (int i = 0; i < count && status == 0; i++) {
        status = dari_server_listen(server, addresses[i]);
        if (status == 0)
            printf("%s\n", dari_server_address(server, (size_t)i));
    }
    fflush(stdout);
    return status < 0 ? status : dari_server_run(server);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "Usage: frame-server ADDRESS...\n");
        return 2;
    }
    const dari_server_options options = {.shm_loan_max = (size_t)64 << 20, .shm_read_loans = true};
    if (dari_server_create(&options, &server) < 0) {
        fprintf(stderr, "frame-server: no server can be made\n");
        return 1;
    }
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int status = serve(argc - 1, argv + 1);
    if (status < 0)
        fprintf(stderr, "frame-server: %s\n", dari_server_message(server));
    dari_server_destroy(server);
    return status < 0;
}
