/* SPDX-License-Identifier: MIT */
/* nfs COMMAND ADDRESS PATH: files of an NFS version 3 server, without mounting it. */
#include "commands.h"
#include "interrupt.h"
#include "path.h"
#include "words.h"

#include <dari/dari.h>

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct nfs_command {
    const char *name, *operands, *does;
    int least, most;  /* operands */
    int path_operand; /* the one that tells what to mount */
    int (*run)(nfs_session *session, char **operands);
} nfs_command;

static const nfs_command commands[] = {
    {"ls", "PATH", "lists a directory", 1, 1, 0, list},
    {"cat", "PATH", "writes a file to standard output", 1, 1, 0, print_file},
    {"get", "PATH [FILE]", "copies a file from the server", 1, 2, 0, get_file},
    {"put", "FILE PATH", "copies a file to the server", 2, 2, 1, put_file},
    {"mv", "PATH NEW-PATH", "renames a file or directory", 2, 2, 0, move},
    {"rm", "PATH", "removes a file or an empty directory", 1, 1, 0, remove_node},
    {"stat", "PATH", "tells all about a file", 1, 1, 0, print_facts},
    {"df", "PATH", "tells how much space there is", 1, 1, 0, print_space},
};

#define COMMAND_NAMES "ls, cat, get, put, mv, rm, stat, df"

static void print_help(FILE *out)
{
    fputs("Usage: nfs [OPTION]... COMMAND ADDRESS PATH\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-4s ADDRESS %-14s %s\n", commands[i].name, commands[i].operands,
                commands[i].does);
    fputs(
        "\n"
        "ADDRESS is tcp://HOST or udp://HOST; rpcbind there says where MOUNT and NFS are. With a\n"
        "port, tcp://HOST:PORT, both are called there. PATH is one on the server, and begins with\n"
        "the name of a directory that it exports: /export/music/a.ogg. The handle that `stat`\n"
        "prints stands for a path, too.\n\n"
        "  --as UID[:GID]     whose permissions count (AUTH_SYS); default: yours\n"
        "  --reserved-port    call from a port below 1024, as many servers demand (root alone)\n"
        "  --timeout SECONDS  for the answer to each call, and for a lost server to come back;\n"
        "                     default: 25\n"
        "  --help\n\n"
        "Exits with 0, 1 where something went wrong, or 2 where it was used wrongly.\n",
        out);
}

/* Returns 2, the code to exit with. */
static int suggest_help(void)
{
    fputs("nfs --help says more\n", stderr);
    return 2;
}

/* "nfs: WHAT: WHY", and where to read on. */
static int misused(const char *what, const char *why)
{
    fail(what, why);
    return suggest_help();
}

/* Reads the digits at the text, and moves it behind them. */
static bool read_number(const char **text, uint32_t *ret_number)
{
    char *end;
    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    unsigned long long number = strtoull(*text, &end, 10);
    if (errno || number > UINT32_MAX)
        return false;
    *text = end;
    *ret_number = (uint32_t)number;
    return true;
}

/* "UID" or "UID:GID". No other groups then. */
static bool read_identity(const char *text, dari_auth_sys *self)
{
    if (!read_number(&text, &self->uid))
        return false;
    self->gid = self->uid;
    self->group_count = 0;
    return *text == '\0' || (*text++ == ':' && read_number(&text, &self->gid) && *text == '\0');
}

static bool read_timeout(const char *text, uint64_t *ret_ns)
{
    char *end;
    double seconds = strtod(text, &end);
    if (*end || end == text || !(seconds >= 0.001 && seconds <= 1e6))
        return false;
    *ret_ns = (uint64_t)(seconds * 1e9);
    return true;
}

/* Returns -1, or the code to exit with. */
static int read_options(int argc, char **argv, nfs_caller *caller)
{
    static const struct option options[] = {{"as", required_argument, NULL, 'a'},
                                            {"reserved-port", no_argument, NULL, 'r'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
        if (option == 'a' && !read_identity(optarg, &caller->self))
            return misused("--as", "it takes UID or UID:GID, numbers up to 4294967295");
        if (option == 't' && !read_timeout(optarg, &caller->deadline_ns))
            return misused("--timeout", "it takes seconds, 0.001 to 1000000");
        if (option == 'r')
            caller->reserved_port = true;
        if (option == 'h') {
            print_help(stdout);
            return 0;
        }
        if (option == '?')
            return suggest_help();
    }
    return -1;
}

static const nfs_command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* Returns 0, or the code to exit with. */
static int check_operands(const nfs_command *command, int count, char **operands)
{
    char form[64];
    snprintf(form, sizeof form, "it takes ADDRESS %s", command->operands);
    if (count < 1 + command->least || count > 1 + command->most)
        return misused(command->name, form);
    if (!strchr(operands[0], ':'))
        return misused(operands[0], "an address is tcp://HOST or udp://HOST");
    const char *path = operands[1 + command->path_operand];
    if (*path != '/' && !is_handle(path))
        return misused(path, "a path on the server begins with /");
    return 0;
}

static int run(const nfs_command *command, const nfs_caller *caller, char **operands)
{
    nfs_session session;
    int status = session_begin(&session, caller, operands[command->path_operand]);
    bool unknown_scheme = status < 0 && session.call.error == DARI_SCHEME;
    if (status == 0)
        status = command->run(&session, operands);
    if (status == 0 && fflush(stdout) != 0)
        status = fail_here("standard output");
    session_end(&session, status == 0);
    interrupt_end();
    if (unknown_scheme)
        return misused(caller->address, "an address is tcp://HOST or udp://HOST");
    return status < 0;
}

int main(int argc, char **argv)
{
    nfs_caller caller = {0};
    dari_auth_sys_self(&caller.self);
    int code = read_options(argc, argv, &caller);
    if (code >= 0)
        return code;
    if (optind == argc)
        return misused("COMMAND", "it is missing: one of " COMMAND_NAMES);
    const nfs_command *command = find_command(argv[optind]);
    if (!command)
        return misused(argv[optind], "there is no such command, only " COMMAND_NAMES);
    char **operands = argv + optind + 1;
    code = check_operands(command, argc - optind - 1, operands);
    if (code)
        return code;
    caller.address = operands[0];
    return run(command, &caller, operands + 1);
}
