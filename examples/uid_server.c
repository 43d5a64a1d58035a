/* SPDX-License-Identifier: MIT */
/* uid-server ADDRESS UID...: serves calc.x at a unix: address to the users with these numbers, and
 * to nobody else. Ends on SIGINT or SIGTERM once the calls in progress are answered. */
#include "calc.h"

#include <dari/dari.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct allow_list {
    int count;
    char **uids;
} allow_list;

/* The kernel says who made the connection; a connection that it knows nothing of is refused. */
static int allow(dari_request *request, void *user)
{
    const allow_list *list = user;
    dari_peer peer;
    if (dari_request_peer(request, &peer) < 0)
        return DARI_AUTH;
    for (int i = 0; i < list->count; i++)
        if (strtoul(list->uids[i], NULL, 10) == peer.uid)
            return 0;
    return DARI_AUTH;
}

static int add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    return __builtin_add_overflow(arg->a, arg->b, ret) ? DARI_RANGE : 0;
}

static const calc_1_handlers handlers = {.add = add};

static dari_server *server; /* for the signal handler */

static void finish(int signal)
{
    (void)signal;
    dari_server_finish(server, 5 * DARI_S);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "Usage: uid-server ADDRESS UID...\n");
        return 2;
    }
    allow_list list = {argc - 2, argv + 2};
    dari_interceptor interceptor = {.before = allow, .user = &list};
    int status = dari_server_create(NULL, &server);
    if (status < 0) {
        fprintf(stderr, "uid-server: %s\n", dari_error_text(status));
        return 1;
    }
    status = dari_server_intercept(server, &interceptor);
    if (status == 0)
        status = calc_1_serve(server, &handlers, NULL);
    if (status == 0)
        status = dari_server_listen(server, argv[1]);
    if (status < 0) {
        fprintf(stderr, "uid-server: %s\n", dari_server_message(server));
    } else {
        struct sigaction action = {.sa_handler = finish};
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        printf("%s\n", dari_server_address(server, 0));
        fflush(stdout);
        status = dari_server_run(server);
    }
    dari_server_destroy(server);
    return status < 0;
}
