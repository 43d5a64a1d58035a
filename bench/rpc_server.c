/* SPDX-License-Identifier: MIT */
/* Starting servers and stopping them. */
#include "rpc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
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

/* Makes the pipes that both sides have before the fork. */
static bool make_pipes(rpc_place *place)
{
    int to_server[2], to_client[2];
    if (pipe2(to_server, O_CLOEXEC) < 0 || pipe2(to_client, O_CLOEXEC) < 0)
        return false;
    place->server_in = to_server[0];
    place->client_out = to_server[1];
    place->client_in = to_client[0];
    place->server_out = to_client[1];
    return true;
}

/* Closes what belongs to the other side. */
static void keep_side(const rpc_place *place, bool serves)
{
    if (place->scheme != RPC_PIPE)
        return;
    close(serves ? place->client_in : place->server_in);
    close(serves ? place->client_out : place->server_out);
}

bool rpc_server_start(rpc_server *server, const rpc_subject *subject, const rpc_place *wanted,
                      const char *folder)
{
    *server = (rpc_server){.place = *wanted};
    if (subject->scheme != RPC_ANY)
        server->place.scheme = subject->scheme;
    if (server->place.scheme == RPC_MQ)
        snprintf(server->place.path, sizeof server->place.path, "bench-%d-%s", (int)getpid(),
                 subject->name);
    else
        snprintf(server->place.path, sizeof server->place.path, "%.80s/%s", folder, subject->name);
    int ends[2];
    if (pipe(ends) < 0 || (server->place.scheme == RPC_PIPE && !make_pipes(&server->place)))
        return false;
    fflush(NULL);
    server->process = fork();
    if (server->process == 0) {
        close(ends[0]);
        keep_side(&server->place, true);
        serve(subject, &server->place, ends[1]);
    }
    close(ends[1]);
    keep_side(&server->place, false);
    bool ready = server->process > 0 && read(ends[0], &server->place, sizeof server->place) ==
                                            (ssize_t)sizeof server->place;
    close(ends[0]);
    if (!ready)
        rpc_server_stop(server);
    return ready;
}

/* A queue's name outlives those who have used it. */
static void remove_queue(const rpc_place *place)
{
    char name[sizeof place->path + 8];
    snprintf(name, sizeof name, "/dari.%s", place->path);
    mq_unlink(name);
}

void rpc_server_stop(rpc_server *server)
{
    if (server->process <= 0)
        return;
    kill(server->process, SIGKILL);
    while (waitpid(server->process, NULL, 0) < 0 && errno == EINTR)
        ;
    server->process = 0;
    static const char *const ends[] = {"", ".lock", ".s", ".c"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char path[sizeof server->place.path + 8];
        snprintf(path, sizeof path, "%s%s", server->place.path, ends[i]);
        unlink(path);
    }
    if (server->place.scheme == RPC_MQ)
        remove_queue(&server->place);
}
