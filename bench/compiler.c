/* SPDX-License-Identifier: MIT */
/* Two interface files of the same make, one of 10,000 lines and one of 1,000, in a folder of their
 * own that is removed at the end. In every round a number in the file changes, and afterwards the
 * header that was written must hold it. rpcgen writes the same outputs as `dari gen`: header,
 * codecs, client and server, one process each as its users run it. */
#include "compiler.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The changing number's place in a file: `const ROUND = 0000000000;` is its first line. */
#define ROUND_AT 14
#define ROUND_DIGITS 10

typedef struct generator {
    const char *program;
    bool is_dari;
    char folder[SCRATCH_SIZE];
    char input[96];
} generator;

/* One block of a file; '@' stands for the block's number. */
static const char block_text[] = "\n"
                                 "/* Block @: what a real file repeats. */\n"
                                 "const LIMIT_@ = 16@;\n"
                                 "enum state_@ {\n"
                                 "    IDLE_@ = 0,\n"
                                 "    BUSY_@ = 1,\n"
                                 "    LOST_@ = 7\n"
                                 "};\n"
                                 "typedef opaque handle_@<64>;\n"
                                 "struct record_@ {\n"
                                 "    state_@ state;\n"
                                 "    unsigned int counts[4];\n"
                                 "    string name<LIMIT_@>;\n"
                                 "    handle_@ handle;\n"
                                 "    unsigned hyper size;\n"
                                 "    record_@ *next;\n"
                                 "};\n"
                                 "union outcome_@ switch (state_@ state) {\n"
                                 "case IDLE_@:\n"
                                 "    record_@ record;\n"
                                 "case BUSY_@:\n"
                                 "    int left;\n"
                                 "default:\n"
                                 "    void;\n"
                                 "};\n"
                                 "program PROGRAM_@ {\n"
                                 "    version PROGRAM_@_V1 {\n"
                                 "        void NULL_@(void) = 0;\n"
                                 "        outcome_@ LOOK_@(handle_@) = 1;\n"
                                 "        record_@ LIST_@(int) = 2;\n"
                                 "    } = 1;\n"
                                 "} = 2000@;\n";

/* Writes a block and returns its lines. */
static unsigned write_block(FILE *file, unsigned block)
{
    unsigned lines = 0;
    for (const char *at = block_text; *at; at++) {
        if (*at == '@')
            fprintf(file, "%u", block);
        else
            putc(*at, file);
        lines += *at == '\n';
    }
    return lines;
}

static bool write_input(const generator *tool, unsigned lines)
{
    FILE *file = fopen(tool->input, "w");
    if (!file)
        return false;
    fprintf(file, "const ROUND = %0*u;\n", ROUND_DIGITS, 0u);
    for (unsigned written = 1, block = 0; written < lines; block++)
        written += write_block(file, block);
    return fclose(file) == 0;
}

/* Runs a program in the tool's folder and returns whether it ended well. */
static bool run_program(const generator *tool, char *const *arguments)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, tool->folder);
    pid_t process;
    int error = posix_spawnp(&process, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error) {
        fprintf(stderr, "bench: %s: %s\n", arguments[0], strerror(error));
        return false;
    }
    int status;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool generate(const generator *tool)
{
    if (tool->is_dari)
        return run_program(
            tool, (char *[]){(char *)tool->program, (char *)"gen", (char *)"input.x", NULL});
    static const char *const outputs[][3] = {{"-h", "input.h", NULL},
                                             {"-c", "input_xdr.c", NULL},
                                             {"-l", "input_clnt.c", NULL},
                                             {"-m", "input_svc.c", NULL}};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", tool->folder, outputs[i][1]);
        unlink(path); /* rpcgen refuses to write over a file */
        char *arguments[] = {(char *)tool->program, (char *)outputs[i][0], (char *)"-o",
                             (char *)outputs[i][1], (char *)"input.x",     NULL};
        if (!run_program(tool, arguments))
            return false;
    }
    return true;
}

static bool change_input(const generator *tool, const char *digits)
{
    int file = open(tool->input, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    bool done = pwrite(file, digits, ROUND_DIGITS, ROUND_AT) == ROUND_DIGITS;
    close(file);
    return done;
}

/* Looks for the constant ROUND in the header: dari's enumerator or rpcgen's macro. */
static bool check_header(const generator *tool, unsigned number)
{
    char path[96];
    char line[256];
    unsigned found = 0;
    snprintf(path, sizeof path, "%s/input.h", tool->folder);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file))
        if (strncmp(line, "#define ROUND ", 14) == 0 || strncmp(line, "enum { ROUND = ", 15) == 0)
            found = (unsigned)strtoul(line + strcspn(line, "0123456789"), NULL, 10);
    fclose(file);
    return found == number;
}

static bool run(void *context, uint64_t rounds, uint64_t seed)
{
    generator *tool = context;
    for (uint64_t round = 0; round < rounds; round++) {
        unsigned number = 1000000000u + (unsigned)(measure_mix(seed, round) % 1000000000u);
        char digits[ROUND_DIGITS + 1];
        snprintf(digits, sizeof digits, "%u", number);
        if (!change_input(tool, digits) || !generate(tool) || !check_header(tool, number))
            return false;
    }
    return true;
}

static bool open_tool(generator *tool, unsigned lines)
{
    if (!scratch_make(tool->folder))
        return false;
    snprintf(tool->input, sizeof tool->input, "%s/input.x", tool->folder);
    return write_input(tool, lines);
}

bool compiler_rows(measure_report *report, const char *dari, const char *rpcgen)
{
    static const char name[] = "gen/10000-lines";
    if (!measure_wants(report, name))
        return true;
    generator tools[2] = {{.program = dari, .is_dari = true}, {.program = rpcgen}};
    bool right =
        open_tool(&tools[0], COMPILER_DARI_LINES) && open_tool(&tools[1], COMPILER_RPCGEN_LINES);
    measure_subject subjects[2] = {
        {.name = "dari", .run = run, .context = &tools[0]},
        {.name = "rpcgen-1000-lines", .run = run, .context = &tools[1], .target = 1.0},
    };
    measure_row row = {.name = name,
                       .subjects = subjects,
                       .subject_count = 2,
                       .batches = MEASURE_BATCHES_MIN,
                       .rounds = 2};
    right = right && measure(report, &row);
    for (size_t i = 0; i < 2; i++)
        scratch_remove(tools[i].folder);
    return right;
}
