/* SPDX-License-Identifier: MIT */
/* `dari help [COMMAND]`. */
#include "cli/command.h"

#include "base/text.h"

#include <stdio.h>

static int print_overview(void)
{
    di_text text = {0};
    di_text_format(&text, "Usage: dari COMMAND [ARGUMENTS]\n"
                          "       dari --version\n\n"
                          "Commands:\n");
    for (const di_command *const *at = di_commands; *at; at++)
        di_text_format(&text, "  %-6s %s\n", (*at)->name, (*at)->summary);
    di_text_format(&text, "\n'dari help COMMAND' says more.\n");
    int status = text.failed ? DI_EXIT_FAILED : di_print(text.data);
    di_text_free(&text);
    return status;
}

static int run(int argc, char **argv)
{
    if (argc > 2)
        return di_usage_error(argv[0], "one command at a time");
    if (argc < 2)
        return print_overview();
    const di_command *command = di_command_find(argv[1]);
    if (!command)
        return di_usage_error(argv[0], "'%s' is no command", argv[1]);
    return di_print(command->help);
}

const di_command di_command_help = {
    .name = "help",
    .summary = "say what a command does",
    .help = "Usage: dari help [COMMAND]\n\n"
            "Lists the commands, or says what one does.\n",
    .run = run,
};
