/* SPDX-License-Identifier: MIT */
/* A shell starts the servers, in namespaces of its own, and runs one program for each line that it
 * is sent (nfs_shell.sh). A round is one program, from its start to its end, with the check of its
 * output. */
#include "nfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct nfs_shell {
    pid_t process;
    FILE *commands, *answers;
} nfs_shell;

typedef struct nfs_subject {
    const char *name;
    const char *command; /* of the shell */
} nfs_subject;

typedef struct nfs_row {
    const char *name;
    nfs_subject subjects[2];
} nfs_row;

/* The last row is about servers: libnfs's tools with the example's and with Ganesha. */
static const nfs_row rows[] = {
    {"nfs/read64M", {{"dari", "dari_reads"}, {"libnfs", "libnfs_reads"}}},
    {"nfs/readdirplus10k", {{"dari", "dari_lists"}, {"libnfs", "libnfs_lists"}}},
    {"nfs/serve64M", {{"dari", "to_memfs"}, {"ganesha", "to_ganesha"}}},
};

typedef struct nfs_entrant {
    nfs_shell *shell;
    const char *command;
} nfs_entrant;

static void become(const char *shell, const char *examples, int end)
{
    dup2(end, STDIN_FILENO);
    dup2(end, STDOUT_FILENO);
    execl("/bin/sh", "sh", shell, examples, (char *)NULL);
    perror(shell);
    _exit(127);
}

static bool start_shell(nfs_shell *ret_shell, const char *path, const char *examples)
{
    int ends[2];
    fflush(NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    ret_shell->process = fork();
    if (ret_shell->process == 0)
        become(path, examples, ends[1]);
    close(ends[1]);
    int again = dup(ends[0]);
    ret_shell->answers = fdopen(ends[0], "r");
    ret_shell->commands = again < 0 ? NULL : fdopen(again, "w");
    return ret_shell->process > 0 && ret_shell->answers && ret_shell->commands;
}

/* It ends when there are no more commands, and its servers with it. */
static void stop_shell(nfs_shell *shell)
{
    if (shell->commands) {
        shutdown(fileno(shell->commands), SHUT_WR);
        fclose(shell->commands);
    }
    if (shell->process > 0)
        waitpid(shell->process, NULL, 0);
    if (shell->answers)
        fclose(shell->answers);
}

/* Whether the shell's next line is the wanted one; otherwise the line is said. */
static bool answers(nfs_shell *shell, const char *wanted)
{
    char line[256] = "";
    if (!fgets(line, sizeof line, shell->answers))
        snprintf(line, sizeof line, "the shell has ended");
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, wanted) == 0)
        return true;
    fprintf(stderr, "bench: nfs: %s\n", line);
    return false;
}

static bool run(void *context, uint64_t rounds, uint64_t seed)
{
    const nfs_entrant *entrant = context;
    for (uint64_t round = 0; round < rounds; round++) {
        unsigned number = (unsigned)measure_mix(seed, round) & 0xffffff;
        fprintf(entrant->shell->commands, "%s %u\n", entrant->command, number);
        if (fflush(entrant->shell->commands) != 0 || !answers(entrant->shell, "ok"))
            return false;
    }
    return true;
}

static bool measure_row_of(measure_report *report, const nfs_row *row, nfs_shell *shell)
{
    nfs_entrant entrants[2];
    measure_subject subjects[2];
    for (size_t i = 0; i < 2; i++) {
        entrants[i] = (nfs_entrant){.shell = shell, .command = row->subjects[i].command};
        subjects[i] = (measure_subject){.name = row->subjects[i].name,
                                        .run = run,
                                        .context = &entrants[i],
                                        .target = i ? 1.0 : 0};
    }
    return measure(report, &(measure_row){.name = row->name,
                                          .subjects = subjects,
                                          .subject_count = 2,
                                          .batches = 21,
                                          .rounds = 1});
}

static bool wants_any(const measure_report *report)
{
    bool wanted = false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        wanted |= measure_wants(report, rows[i].name);
    return wanted;
}

bool nfs_rows(measure_report *report, const char *path, const char *examples)
{
    nfs_shell shell = {0};
    bool right = true;
    if (!wants_any(report))
        return true;
    if (start_shell(&shell, path, examples) && answers(&shell, "ready"))
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            right &= measure_row_of(report, &rows[i], &shell);
    else
        fprintf(stderr, "bench: nfs: the rows nfs/... are left out\n");
    stop_shell(&shell);
    return right;
}
