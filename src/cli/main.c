/* SPDX-License-Identifier: MIT */
/* The command `dari`: finds the verb and runs it. */
#include "cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const di_command *const di_commands[] = {
    &di_command_gen,
    &di_command_help,
    NULL,
};

const di_command *di_command_find(const char *name)
{
    for (const di_command *const *at = di_commands; *at; at++)
        if (!strcmp((*at)->name, name))
            return *at;
    return NULL;
}

int di_print(const char *text)
{
    if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
        return DI_EXIT_OK;
    fprintf(stderr, "dari: cannot write to standard output: %s\n", strerror(errno));
    return DI_EXIT_FAILED;
}

int di_usage_error(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", command);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    const char *verb = strchr(command, ' ');
    fprintf(stderr, "\nTry 'dari help%s'.\n", verb ? verb : "");
    return DI_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (!strcmp(name, "--version"))
        return di_print("dari " DARI_VERSION "\n");
    if (!strcmp(name, "--help"))
        name = di_command_help.name;
    if (!*name)
        return di_usage_error("dari", "a command is missing");

    const di_command *command = di_command_find(name);
    if (!command)
        return di_usage_error("dari", "'%s' is no command", name);

    char title[64];
    snprintf(title, sizeof(title), "dari %s", command->name);
    argv[1] = title;
    return command->run(argc - 1, argv + 1);
}
