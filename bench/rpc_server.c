/* SPDX-License-Identifier: MIT */
/* Starting servers and stopping them. */
#include "rpc_server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void rpc_server_ready(const rpc_place *place, int ready)
{
    /* Less than PIPE_BUF: written whole. A pipe that is broken ends this process. */
    if (write(ready, place, sizeof *place) != (ssize_t)sizeof *place)
        _exit(1);
    close(ready);
}

static _Noreturn void serve(const rpc_subject *subject, rpc_place *place, int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    subject->serve(place, ready);
    fprintf(stderr, "bench: the server of %s failed\n", subject->name);
    _exit(1);
}

bool rpc_server_start(rpc_server *server, const rpc_subject *subject, enum rpc_scheme scheme,
                      const char *folder)
{
    *server = (rpc_server){.place.scheme = scheme};
    snprintf(server->place.path, sizeof server->place.path, "%.80s/%s", folder, subject->name);
    int ends[2];
    if (pipe(ends) < 0)
        return false;
    fflush(NULL);
    server->process = fork();
    if (server->process == 0) {
        close(ends[0]);
        serve(subject, &server->place, ends[1]);
    }
    close(ends[1]);
    bool ready = server->process > 0 && read(ends[0], &server->place, sizeof server->place) ==
                                            (ssize_t)sizeof server->place;
    close(ends[0]);
    if (!ready)
        rpc_server_stop(server);
    return ready;
}

void rpc_server_stop(rpc_server *server)
{
    if (server->process <= 0)
        return;
    kill(server->process, SIGKILL);
    while (waitpid(server->process, NULL, 0) < 0 && errno == EINTR)
        ;
    server->process = 0;
    if (server->place.scheme == RPC_UNIX)
        unlink(server->place.path);
}
