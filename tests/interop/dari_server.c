/* SPDX-License-Identifier: MIT */
/* A server that dari makes of interop.x: listens at the address it is given and prints it. */
#include "interop.h"

#include <dari/dari.h>

#include <signal.h>
#include <stdio.h>

static int add(dari_request *request, const operands *arg, int32_t *ret)
{
    (void)request;
    *ret = arg->a + arg->b;
    return 0;
}

static int reflect(dari_request *request, const everything *arg, everything *ret)
{
    (void)request;
    *ret = *arg;
    return 0;
}

static int reflect_blob(dari_request *request, const blob *arg, blob *ret)
{
    (void)request;
    *ret = *arg;
    return 0;
}

static const interop_1_handlers handlers = {
    .add = add, .reflect = reflect, .reflect_blob = reflect_blob};

static dari_server *server;

static void stop(int signal)
{
    (void)signal;
    dari_server_stop(server);
}

int main(int argc, char **argv)
{
    if (argc != 2 || dari_server_create(NULL, &server) < 0)
        return 2;
    int status = interop_1_serve(server, &handlers, NULL);
    if (status == 0)
        status = dari_server_listen(server, argv[1]);
    if (status == 0) {
        signal(SIGTERM, stop);
        printf("%s\n", dari_server_address(server, 0));
        fflush(stdout);
        status = dari_server_run(server);
    }
    if (status < 0)
        fprintf(stderr, "%s\n", dari_server_message(server));
    dari_server_destroy(server);
    return status < 0;
}
