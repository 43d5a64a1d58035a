/* SPDX-License-Identifier: MIT */
/* A program outside of the tree: C11, the installed headers, library and compiler, and nothing
 * else. Its child serves, and it calls the child. */
#define _POSIX_C_SOURCE 200809L
#include "outside.h"

#include <dari/dari.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int length(dari_request *request, const name *arg, int32_t *ret)
{
    (void)request;
    *ret = (int32_t)strlen(arg->text);
    return 0;
}

static int twice(dari_request *request, const name *arg, name *ret)
{
    size_t size = strlen(arg->text);
    ret->text = (char *)dari_arena_take(dari_request_arena(request), 2 * size + 1);
    if (!ret->text)
        return DARI_NO_MEMORY;
    memcpy(ret->text, arg->text, size);
    memcpy(ret->text + size, arg->text, size + 1);
    return 0;
}

static const outside_1_handlers handlers = {.length = length, .twice = twice};

/* Serves for as long as the parent lives; says on `ready` where. */
static int serve(int ready)
{
    dari_server *server = NULL;
    if (dari_server_create(NULL, &server) < 0 || outside_1_serve(server, &handlers, NULL) < 0 ||
        dari_server_listen(server, "tcp://127.0.0.1:0") < 0)
        return 1;
    const char *address = dari_server_address(server, 0);
    if (write(ready, address, strlen(address) + 1) < 0)
        return 1;
    return dari_server_run(server) < 0;
}

static int call(const char *address)
{
    dari_client *client = NULL;
    if (dari_connect(address, NULL, &client) < 0)
        return 1;
    char text[] = "dari";
    name arg = {.text = text}, result;
    int32_t size = 0;
    dari_call context = DARI_CALL(.deadline_ns = 10 * DARI_S);
    int right = length_1(client, &arg, &size, NULL) == 0 && size == 4 &&
                twice_1(client, &arg, &result, &context) == 0 &&
                strcmp(result.text, "daridari") == 0;
    dari_call_end(&context);
    dari_client_close(client);
    return !right;
}

int main(void)
{
    int ends[2];
    if (pipe(ends) < 0)
        return 1;
    pid_t child = fork();
    if (child == 0)
        return serve(ends[1]);
    close(ends[1]);
    char address[64] = "";
    if (child < 0 || read(ends[0], address, sizeof(address) - 1) <= 0)
        return 1;
    int failed = call(address);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("%s\n", failed ? "wrong" : "right");
    return failed;
}
