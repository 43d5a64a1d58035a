/* SPDX-License-Identifier: MIT */
#include "kill/trace.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

extern const char __executable_start, etext; /* the linker's */

#if defined __x86_64__
#define COUNTER offsetof(struct user_regs_struct, rip)
#elif defined __i386__
#define COUNTER offsetof(struct user_regs_struct, eip)
#endif

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define INSTRUMENTED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif

static void fail(const char *what)
{
    perror(what);
    abort();
}

void trace_me(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        fail("PTRACE_TRACEME");
}

bool trace_is_there(void)
{
#if defined COUNTER && !defined INSTRUMENTED
    pid_t child = fork();
    int status;
    if (child == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
#else
    return false;
#endif
}

/* Waits for the child to stop or end. Returns the signal that stopped it, or 0. */
static int await(pid_t child)
{
    int status;
    pid_t got;
    do
        got = waitpid(child, &status, 0);
    while (got < 0 && errno == EINTR);
    if (got != child)
        fail("waitpid");
    return WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
}

bool trace_await_stop(pid_t child)
{
    return await(child) == SIGSTOP;
}

#ifdef COUNTER

static uintptr_t where(pid_t child)
{
    errno = 0;
    long at = ptrace(PTRACE_PEEKUSER, child, (void *)COUNTER, NULL);
    if (errno)
        fail("PTRACE_PEEKUSER");
    return (uintptr_t)at;
}

/* Signals other than the child's own stops and steps are passed on to it. */
static int go_on(pid_t child, enum __ptrace_request how)
{
    int signal = 0;
    do {
        if (ptrace(how, child, NULL, (void *)(intptr_t)signal) < 0)
            fail("ptrace");
        signal = await(child);
    } while (signal && signal != SIGTRAP && signal != SIGSTOP);
    return signal;
}

bool trace_run_on(pid_t child)
{
    return go_on(child, PTRACE_CONT) == SIGSTOP;
}

bool trace_record(pid_t child, trace_path *ret_path)
{
    size_t code = (size_t)(&etext - &__executable_start);
    uint8_t *seen = calloc(code, 1);
    ret_path->addresses = calloc(code, sizeof *ret_path->addresses);
    if (!seen || !ret_path->addresses)
        fail("calloc");
    ret_path->count = ret_path->steps = 0;
    int signal;
    while ((signal = go_on(child, PTRACE_SINGLESTEP)) == SIGTRAP) {
        uintptr_t offset = where(child) - (uintptr_t)&__executable_start;
        ret_path->steps++;
        if (offset < code && !seen[offset]) {
            seen[offset] = 1;
            ret_path->addresses[ret_path->count++] = offset + (uintptr_t)&__executable_start;
        }
    }
    free(seen);
    return signal == SIGSTOP;
}

bool trace_run_to(pid_t child, uintptr_t address)
{
    const long breakpoint = 0xcc;
    errno = 0;
    long code = ptrace(PTRACE_PEEKTEXT, child, (void *)address, NULL);
    if (errno)
        fail("PTRACE_PEEKTEXT");
    if (ptrace(PTRACE_POKETEXT, child, (void *)address, (void *)((code & ~0xffL) | breakpoint)) < 0)
        fail("PTRACE_POKETEXT");
    return go_on(child, PTRACE_CONT) == SIGTRAP && where(child) == address + 1;
}

bool trace_step_to(pid_t child, uintptr_t address)
{
    while (go_on(child, PTRACE_SINGLESTEP) == SIGTRAP)
        if (where(child) == address)
            return true;
    return false;
}

#else

bool trace_run_on(pid_t child)
{
    (void)child;
    return false;
}

bool trace_record(pid_t child, trace_path *ret_path)
{
    (void)child;
    *ret_path = (trace_path){0};
    return false;
}

bool trace_run_to(pid_t child, uintptr_t address)
{
    (void)child;
    (void)address;
    return false;
}

bool trace_step_to(pid_t child, uintptr_t address)
{
    (void)child;
    (void)address;
    return false;
}

#endif

void trace_path_free(trace_path *path)
{
    free(path->addresses);
    *path = (trace_path){0};
}

void trace_kill(pid_t child)
{
    kill(child, SIGKILL);
    while (await(child))
        kill(child, SIGKILL);
}
