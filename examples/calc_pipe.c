/* SPDX-License-Identifier: MIT */
/* calc-pipe A B: has a child add two numbers, over two pipes that are made before the fork. */
#include "calc.h"

#include <dari/dari.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    return __builtin_add_overflow(arg->a, arg->b, ret) ? DARI_RANGE : 0;
}

/* Serves until the parent closes its client, or dies. */
static int child(dari_pipes *pipes)
{
    static const calc_1_handlers handlers = {.add = add};
    dari_server *server = NULL;
    dari_pipe_keep(pipes, DARI_PIPE_SERVER);
    int status = dari_server_create(NULL, &server);
    if (status == 0)
        status = calc_1_serve(server, &handlers, NULL);
    if (status == 0)
        status = dari_server_listen(server, pipes->server);
    if (status == 0)
        status = dari_server_run(server);
    dari_server_destroy(server);
    return status < 0;
}

static int parent(dari_pipes *pipes, const pair *numbers)
{
    int32_t sum;
    dari_call call = DARI_CALL(.deadline_ns = 5 * DARI_S);
    dari_client *client = NULL;
    dari_pipe_keep(pipes, DARI_PIPE_CLIENT);
    int status = dari_connect(pipes->client, &(dari_client_options){.call = &call}, &client);
    if (status == 0)
        status = add_1(client, numbers, &sum, &call);
    if (status == 0)
        printf("%d + %d = %d\n", numbers->a, numbers->b, sum);
    else
        fprintf(stderr, "calc-pipe: %s\n", dari_call_message(&call));
    dari_call_end(&call);
    dari_client_close(client);
    return status < 0;
}

int main(int argc, char **argv)
{
    pair numbers;
    if (argc != 3 || sscanf(argv[1], "%d", &numbers.a) != 1 ||
        sscanf(argv[2], "%d", &numbers.b) != 1) {
        fprintf(stderr, "Usage: calc-pipe A B\n");
        return 2;
    }

    dari_pipes pipes;
    if (dari_pipe_pair(&pipes) < 0) {
        perror("calc-pipe");
        return 1;
    }
    pid_t process = fork();
    if (process == 0)
        _exit(child(&pipes));
    if (process < 0) {
        perror("calc-pipe");
        dari_pipe_close(&pipes);
        return 1;
    }
    int failed = parent(&pipes, &numbers), status;
    return waitpid(process, &status, 0) != process || status != 0 || failed;
}
