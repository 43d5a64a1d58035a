/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void become(const char *program, const char *address, int output)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, STDOUT_FILENO);
    execl(program, program, address, (char *)NULL);
    perror(program);
    _exit(127);
}

/* A path for a socket that is nobody else's: in a new folder. */
static void make_path(char path[static 64])
{
    strcpy(path, "/tmp/dari-interop-XXXXXX");
    assert_non_null(mkdtemp(path));
    strcat(path, "/socket");
}

static void remove_path(char *path)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
    *path = '\0';
}

void peer_start(peer *server, const char *program, const char *scheme)
{
    int ends[2];
    char address[80];
    *server = (peer){0};
    if (strcmp(scheme, "unix") == 0)
        make_path(server->path);
    snprintf(address, sizeof(address), *server->path ? "%s:%s" : "%s://127.0.0.1:0", scheme,
             server->path);
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    server->process = fork();
    assert_true(server->process >= 0);
    if (server->process == 0)
        become(program, address, ends[1]);
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    assert_non_null(lines);
    bool told = fgets(server->address, sizeof(server->address), lines) != NULL;
    fclose(lines);
    assert_true(told);
    server->address[strcspn(server->address, "\n")] = '\0';
}

void peer_stop(peer *server)
{
    if (server->process <= 0)
        return;
    int status = 0;
    kill(server->process, SIGTERM);
    waitpid(server->process, &status, 0);
    server->process = 0;
    if (*server->path)
        remove_path(server->path);
    /* A leak that it found, or anything else that ended it before, shows here. */
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM : WEXITSTATUS(status) == 0);
}
