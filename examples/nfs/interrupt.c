/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

/* Signal handlers have no other place. */
static dari_cancel *interrupt;
static volatile sig_atomic_t caught;

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

static void cancel_all(int signal)
{
    caught = signal;
    dari_cancel_now(interrupt);
}

/* Of those signals that are not ignored. */
static void on_signals(void (*action)(int signal))
{
    struct sigaction before, wanted = {.sa_handler = action, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &wanted, NULL);
}

dari_cancel *interrupt_begin(void)
{
    if (!interrupt && dari_cancel_create(&interrupt) == 0)
        on_signals(cancel_all);
    return interrupt;
}

void interrupt_end(void)
{
    if (!interrupt)
        return;
    on_signals(SIG_DFL); /* another one finds no cancel to use */
    dari_cancel_destroy(interrupt);
    interrupt = NULL;
    if (caught)
        raise(caught);
}
