/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

/* Signal handlers have no other place. */
static dari_cancel *interrupt;
static volatile sig_atomic_t caught;

static void cancel_all(int signal)
{
    caught = signal;
    dari_cancel_now(interrupt);
}

dari_cancel *interrupt_begin(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction before, action = {.sa_handler = cancel_all, .sa_flags = (int)SA_RESETHAND};
    if (interrupt || dari_cancel_create(&interrupt) < 0)
        return interrupt;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    return interrupt;
}

void interrupt_end(void)
{
    dari_cancel_destroy(interrupt);
    interrupt = NULL;
    if (caught) {
        signal(caught, SIG_DFL);
        raise(caught);
    }
}
