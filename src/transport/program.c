/* SPDX-License-Identifier: MIT */
#include "transport/program.h"

#include "base/fork_guard.h"
#include "base/process.h"
#include "base/thread.h"
#include "transport/failure.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The name of the variable, and its values by `keeps_standard`. */
#define VARIABLE "DARI_PIPE="
static const char *const variables[2] = {VARIABLE "pipe:0,1", VARIABLE "pipe:3,4"};

/* The first number that no descriptor of the program has. */
#define FIRST_FREE 5

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct di_program {
    atomic_uint holders; /* the connection and the thread */
    di_fork_guard guard;
    pid_t pid;
    int descriptor; /* the pidfd */
    int released;   /* an eventfd: the connection is closed */
    uint64_t grace_ns;
};

static void let_go(di_program *program)
{
    if (atomic_fetch_sub(&program->holders, 1) > 1)
        return;
    if (program->descriptor >= 0)
        close(program->descriptor);
    if (program->released >= 0)
        close(program->released);
    di_fork_guard_end(&program->guard);
    free(program);
}

/* Waits until the program has ended or, with `or_released`, the connection is closed. Returns
 * whether the program has ended. */
static bool await_end(const di_program *program, bool or_released, uint64_t deadline)
{
    struct pollfd both[2] = {{.fd = program->descriptor, .events = POLLIN},
                             {.fd = or_released ? program->released : -1, .events = POLLIN}};
    int ready;
    do
        ready = poll(both, 2, di_poll_timeout(deadline));
    while (ready < 0 && errno == EINTR);
    return ready != 0 && both[0].revents != 0;
}

/* Takes the program's status, unless the application has, or has told the system not to keep it. */
static void reap(const di_program *program)
{
    siginfo_t ended;
    while (waitid((idtype_t)P_PIDFD, (id_t)program->descriptor, &ended, WEXITED) < 0 &&
           errno == EINTR)
        continue;
}

static void *look_after(void *argument)
{
    di_program *program = argument;
    if (!await_end(program, true, DI_NEVER) &&
        !await_end(program, false, di_deadline_in(program->grace_ns)))
        syscall(SYS_pidfd_send_signal, program->descriptor, SIGKILL, NULL, 0);
    reap(program);
    let_go(program);
    return NULL;
}

/* The environment of this process, and the variable. Freed by the caller; NULL: no memory. */
static char **make_environment(bool keeps_standard)
{
    size_t count = 0, put = 0;
    while (environ && environ[count])
        count++;
    char **made = calloc(count + 2, sizeof *made);
    if (!made)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], VARIABLE, strlen(VARIABLE)) != 0)
            made[put++] = environ[i];
    made[put] = (char *)(uintptr_t)variables[keeps_standard];
    return made;
}

/* Signals are to the program as to one that a shell starts. */
static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
                   const int ends[2], bool keeps_standard)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int first = keeps_standard ? DI_PROGRAM_OWN_IN : STDIN_FILENO;
    int second = keeps_standard ? DI_PROGRAM_OWN_OUT : STDOUT_FILENO;
    int beyond = keeps_standard ? FIRST_FREE : STDERR_FILENO + 1;
    int cause = posix_spawn_file_actions_adddup2(actions, ends[0], first);
    if (cause == 0)
        cause = posix_spawn_file_actions_adddup2(actions, ends[1], second);
    if (cause == 0)
        cause = posix_spawn_file_actions_addclosefrom_np(actions, beyond);
    if (cause == 0)
        cause = posix_spawnattr_setsigmask(attributes, &none);
    if (cause == 0)
        cause = posix_spawnattr_setsigdefault(attributes, &all);
    if (cause == 0)
        cause =
            posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return cause;
}

/* Returns 0 or an errno. */
static int spawn(char *const arguments[], const int ends[2], bool keeps_standard, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **environment = make_environment(keeps_standard);
    if (!environment)
        return ENOMEM;
    int cause = posix_spawn_file_actions_init(&actions);
    if (cause == 0) {
        cause = posix_spawnattr_init(&attributes);
        if (cause == 0) {
            cause = prepare(&actions, &attributes, ends, keeps_standard);
            if (cause == 0)
                cause = posix_spawnp(ret_pid, arguments[0], &actions, &attributes, arguments,
                                     environment);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    free(environment);
    return cause;
}

/* Opens the pidfd of a child that was just started. It may have ended already; and where the
 * application takes the status of any child, or ignores SIGCHLD, its number may be free. */
static int open_process(pid_t pid)
{
    siginfo_t state;
    int descriptor = di_process_open(pid);
    if (descriptor < 0)
        return -1;
    if (waitid((idtype_t)P_PIDFD, (id_t)descriptor, &state, WEXITED | WNOHANG | WNOWAIT) == 0)
        return descriptor;
    close(descriptor);
    errno = ESRCH;
    return -1;
}

static int fail_to_start(int cause, di_failure *failure)
{
    if (cause == ENOENT || cause == ENOTDIR) {
        di_fail_system(failure, cause, "there is no such program");
        return DARI_ADDRESS;
    }
    return di_fail_system(failure, cause, "the program cannot be started");
}

/* Makes the program's structure with what can fail before there is a program. */
static int make_program(uint64_t grace_ns, di_program **ret_program, di_failure *failure)
{
    di_program *program = calloc(1, sizeof *program);
    if (!program)
        return DARI_NO_MEMORY;
    atomic_init(&program->holders, 1);
    program->grace_ns = grace_ns;
    program->descriptor = -1;
    program->released = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (program->released < 0 || di_fork_guard_init(&program->guard) < 0) {
        int error = di_fail_system(failure, errno, NULL);
        let_go(program);
        return error;
    }
    *ret_program = program;
    return 0;
}

/* Starts the program with the pipe ends that are its own, and the thread that looks after it. */
static int start(di_program *program, char *const arguments[], const int ends[2],
                 bool keeps_standard, di_failure *failure)
{
    int cause = spawn(arguments, ends, keeps_standard, &program->pid);
    if (cause)
        return fail_to_start(cause, failure);
    program->descriptor = open_process(program->pid);
    if (program->descriptor < 0) {
        cause = errno;
        if (cause == ESRCH)
            return di_fail(failure, DARI_CLOSED, "the program ended at once");
        kill(program->pid, SIGKILL);
        while (waitpid(program->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        return di_fail_system(failure, cause, NULL);
    }
    atomic_fetch_add(&program->holders, 1);
    cause = di_thread_start(look_after, program);
    if (cause == 0)
        return 0;
    atomic_fetch_sub(&program->holders, 1);
    syscall(SYS_pidfd_send_signal, program->descriptor, SIGKILL, NULL, 0);
    reap(program);
    return di_fail_system(failure, cause, NULL);
}

static void close_both(const int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

/* Makes both pipes: the program's ends, of which the numbers are none that it is to have, and ours:
 * what is read and what is written. Returns 0 or an errno. */
static int make_pipes(int ret_ends[2], int ret_own[2])
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    int cause = 0;
    ret_ends[0] = ret_ends[1] = -1;
    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0 ||
        (ret_ends[0] = fcntl(to[0], F_DUPFD_CLOEXEC, FIRST_FREE)) < 0 ||
        (ret_ends[1] = fcntl(from[1], F_DUPFD_CLOEXEC, FIRST_FREE)) < 0 ||
        fcntl(from[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(to[1], F_SETFL, O_NONBLOCK) < 0)
        cause = errno;
    ret_own[0] = from[0];
    ret_own[1] = to[1];
    close_both((int[2]){to[0], from[1]});
    if (cause) {
        close_both(ret_ends);
        close_both(ret_own);
    }
    return cause;
}

int di_program_start(char *const arguments[], bool keeps_standard, uint64_t grace_ns,
                     di_program **ret_program, int *ret_in, int *ret_out, di_failure *failure)
{
    int ends[2], own[2];
    di_program *program = NULL;
    int error = make_program(grace_ns, &program, failure);
    if (error < 0)
        return error;
    int cause = make_pipes(ends, own);
    if (cause) {
        let_go(program);
        return di_fail_system(failure, cause, NULL);
    }
    error = start(program, arguments, ends, keeps_standard, failure);
    close_both(ends);
    if (error < 0) {
        close_both(own);
        let_go(program);
        return error;
    }
    *ret_program = program;
    *ret_in = own[0];
    *ret_out = own[1];
    return 0;
}

int di_program_descriptor(const di_program *program)
{
    return program->descriptor;
}

int32_t di_program_pid(const di_program *program)
{
    return program->pid;
}

void di_program_release(di_program *program)
{
    if (di_forked(&program->guard))
        atomic_store(&program->holders, 1); /* the thread is in the other process */
    else
        eventfd_write(program->released, 1);
    let_go(program);
}
