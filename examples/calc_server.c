/* SPDX-License-Identifier: MIT */
/* calc-server ADDRESS...: serves calc.x at every address, until SIGINT or SIGTERM. Prints each
 * address as a client writes it, with the port that the system chose. "pipe:0,1" are its standard
 * input and output: it ends with them. */
#include "calc.h"

#include <dari/dari.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    if (__builtin_add_overflow(arg->a, arg->b, ret))
        return DARI_RANGE;
    return 0;
}

static int put(dari_request *request, const bytes *arg, uint32_t *ret)
{
    (void)request;
    *ret = arg->size;
    return 0;
}

static int echo(dari_request *request, const bytes *arg, bytes *ret)
{
    (void)request;
    *ret = *arg;
    return 0;
}

static const calc_1_handlers handlers = {.add = add, .put = put, .echo = echo};

static dari_server *server; /* for the signal handler */

static void stop(int signal)
{
    (void)signal;
    dari_server_stop(server);
}

static int serve(int count, char **addresses)
{
    if (calc_1_serve(server, &handlers, NULL) < 0) {
        fprintf(stderr, "calc-server: %s\n", dari_server_message(server));
        return 1;
    }
    for (int i = 0; i < count; i++) {
        if (dari_server_listen(server, addresses[i]) < 0) {
            fprintf(stderr, "calc-server: %s\n", dari_server_message(server));
            return 1;
        }
        if (strncmp(addresses[i], "pipe:", 5) != 0)
            printf("%s\n", dari_server_address(server, (size_t)i));
    }
    fflush(stdout);
    int status = dari_server_run(server);
    if (status < 0)
        fprintf(stderr, "calc-server: %s\n", dari_error_text(status));
    return status < 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "Usage: calc-server ADDRESS...\n");
        return 2;
    }
    int status = dari_server_create(NULL, &server);
    if (status < 0) {
        fprintf(stderr, "calc-server: %s\n", dari_error_text(status));
        return 1;
    }
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    int failed = serve(argc - 1, argv + 1);
    action.sa_handler = SIG_DFL; /* another one finds no server to stop */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    dari_server_destroy(server);
    return failed;
}
