/* SPDX-License-Identifier: MIT */
/* The verbs of the command `dari`: one file each, and the table in main.c. */
#ifndef DI_CLI_COMMAND_H
#define DI_CLI_COMMAND_H

/* What `dari` exits with. */
enum di_exit {
    DI_EXIT_OK = 0,
    DI_EXIT_FAILED = 1, /* the work could not be done */
    DI_EXIT_USAGE = 2   /* the command line is wrong */
};

typedef struct di_command {
    const char *name;
    const char *summary;               /* one line for `dari help` */
    const char *help;                  /* what `dari help NAME` prints */
    int (*run)(int argc, char **argv); /* argv[0] is "dari NAME"; returns enum di_exit */
} di_command;

extern const di_command di_command_gen;
extern const di_command di_command_help;

/* The command of that name, or NULL. */
const di_command *di_command_find(const char *name);

/* All commands, ended by NULL. */
extern const di_command *const di_commands[];

/* Writes to standard output what a command has to say. Returns enum di_exit: a full disk or a
 * closed output is an error that is told. */
int di_print(const char *text);

/* "dari gen: what is wrong", and where to read on. Returns DI_EXIT_USAGE. */
int di_usage_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
