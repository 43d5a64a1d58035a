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

void peer_start(peer *server, const char *program, const char *address)
{
    int ends[2];
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
    /* A leak that it found, or anything else that ended it before, shows here. */
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM : WEXITSTATUS(status) == 0);
}

void peer_make_path(char path[static 64])
{
    strcpy(path, "/tmp/dari-interop-XXXXXX");
    assert_non_null(mkdtemp(path));
    strcat(path, "/socket");
}

void peer_remove_path(const char *path)
{
    char folder[64];
    snprintf(folder, sizeof(folder), "%s", path);
    char command[128];
    *strrchr(folder, '/') = '\0';
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}
