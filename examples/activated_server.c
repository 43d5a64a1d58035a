/* SPDX-License-Identifier: MIT */
/* activated-server: serves calc.x at the sockets that systemd has started it with, until SIGTERM.
 * Its unit has a socket unit beside it:
 *
 *   [Socket]                          [Service]
 *   ListenStream=/run/calc            ExecStart=/usr/local/bin/activated-server
 *
 * and is started by the first who calls. */
#include "calc.h"

#include <dari/dari.h>

#include <signal.h>
#include <stdio.h>

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

int main(void)
{
    int status = dari_server_create(NULL, &server);
    if (status < 0) {
        fprintf(stderr, "activated-server: %s\n", dari_error_text(status));
        return 1;
    }
    struct sigaction action = {.sa_handler = finish};
    sigaction(SIGTERM, &action, NULL);
    status = calc_1_serve(server, &handlers, NULL);
    int sockets = status < 0 ? status : dari_server_listen_inherited(server, true);
    if (sockets < 0)
        fprintf(stderr, "activated-server: %s\n", dari_server_message(server));
    else if (sockets == 0)
        fprintf(stderr, "activated-server: there are no sockets, as systemd hands them in\n");
    else
        status = dari_server_run(server);
    action.sa_handler = SIG_DFL; /* another one finds no server to finish */
    sigaction(SIGTERM, &action, NULL);
    dari_server_destroy(server);
    return sockets <= 0 || status < 0;
}
