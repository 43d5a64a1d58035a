/* SPDX-License-Identifier: MIT */
/* exec:PROGRAM ARGS.
 *
 * Arguments are what lies between spaces; no shell reads them. A backslash is written `\\`, a space
 * within an argument `\s`, and an argument without a byte `\e`, so that every list of arguments has
 * an address. */
#include "transport/exec.h"

#include "transport/failure.h"
#include "transport/pipes.h"
#include "transport/program.h"

#include <dari/error.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void di_exec_format(di_text *text, char *const arguments[])
{
    di_text_append(text, "exec:", 5);
    for (size_t i = 0; arguments[i]; i++) {
        if (i > 0)
            di_text_append(text, " ", 1);
        if (!*arguments[i])
            di_text_append(text, "\\e", 2);
        for (const char *at = arguments[i]; *at; at++) {
            if (*at == '\\')
                di_text_append(text, "\\\\", 2);
            else if (*at == ' ')
                di_text_append(text, "\\s", 2);
            else
                di_text_append(text, at, 1);
        }
    }
}

/* Reads one argument from `text`, up to a space, into `room`, which has as many bytes. Returns
 * where it ends in the text, or NULL where a backslash means nothing. */
static const char *read_argument(const char *text, char *room, char **ret_end)
{
    for (; *text && *text != ' '; text++) {
        if (*text != '\\') {
            *room++ = *text;
            continue;
        }
        text++;
        if (*text == '\\')
            *room++ = '\\';
        else if (*text == 's')
            *room++ = ' ';
        else if (*text != 'e')
            return NULL;
    }
    *room++ = '\0';
    *ret_end = room;
    return text;
}

/* Takes the address apart. The list and its texts are one piece of memory, which the caller frees.
 */
static int parse(const char *rest, char ***ret_arguments, di_failure *failure)
{
    size_t size = strlen(rest), count = 0;
    /* Each argument takes a byte at least, and a space. */
    char **arguments = malloc((size / 2 + 2) * sizeof *arguments + size + 1);
    if (!arguments)
        return DARI_NO_MEMORY;
    char *room = (char *)(arguments + size / 2 + 2);
    while (*rest) {
        if (*rest == ' ') {
            rest++;
            continue;
        }
        arguments[count++] = room;
        rest = read_argument(rest, room, &room);
        if (!rest) {
            free(arguments);
            return di_fail(failure, DARI_ADDRESS,
                           "of a backslash there are \\\\, \\s (a space) and \\e (nothing)");
        }
    }
    arguments[count] = NULL;
    if (count == 0) {
        free(arguments);
        return di_fail(failure, DARI_ADDRESS, "the program is missing");
    }
    *ret_arguments = arguments;
    return 0;
}

static void release(void *program)
{
    di_program_release(program);
}

/* What runs is this user's, as the kernel has it. */
static void describe(di_peer *peer, const di_program *program)
{
    peer->has_process = true;
    peer->pid = di_program_pid(program);
    peer->uid = (uint32_t)getuid();
    peer->gid = (uint32_t)getgid();
}

static int run(char *const arguments[], const di_connect_options *options,
               di_connection **ret_connection, di_failure *failure)
{
    di_program *program = NULL;
    di_pipes *pipes = NULL;
    int in = -1, out = -1;
    int error = di_program_start(arguments, options->exec_keeps_standard, options->exec_grace_ns,
                                 &program, &in, &out, failure);
    if (error < 0)
        return error;
    di_pipe_end own_in = di_pipe_end_own(in), own_out = di_pipe_end_own(out);
    error = di_pipes_create(&own_in, &own_out, di_program_descriptor(program), "exec:", &pipes);
    if (error < 0) {
        close(in);
        close(out);
        di_program_release(program);
        return error;
    }
    pipes->closed = release;
    pipes->user = program;
    describe(&pipes->peer, program);
    *ret_connection = &pipes->stream.head;
    return 0;
}

static int exec_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                        di_connection **ret_connection, di_failure *failure)
{
    (void)deadline;
    char **arguments = NULL;
    if (!options || !options->exec_allowed)
        return di_fail(failure, DARI_PERMISSION, "the client's options do not allow programs");
    int error = parse(rest, &arguments, failure);
    if (error < 0)
        return error;
    error = run(arguments, options, ret_connection, failure);
    free(arguments);
    return error;
}

static int exec_listen(const char *rest, di_listener **ret_listener, di_failure *failure)
{
    (void)rest;
    (void)ret_listener;
    return di_fail(failure, DARI_ADDRESS,
                   "programs are started by clients; what is started listens at \"pipe:0,1\"");
}

const di_transport di_exec_transport = {
    .prefix = "exec:",
    .connect = exec_connect,
    .listen = exec_listen,
};
