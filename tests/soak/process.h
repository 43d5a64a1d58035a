/* SPDX-License-Identifier: MIT */
/* What the processes of the soak are. Each is forked by the test, while that has one thread, and
 * leaves by exit, so that whatever looks for leaks there does. */
#ifndef DARI_TEST_SOAK_PROCESS_H
#define DARI_TEST_SOAK_PROCESS_H

#include "soak/ledger.h"

#include <stddef.h>

/* Seconds after which something that must happen is taken not to. */
enum { PATIENCE_S = 60 };

/* What this process holds. Memory is not known everywhere. */
typedef struct soak_usage {
    unsigned descriptors;
    size_t memory;
} soak_usage;

soak_usage soak_usage_now(void);
/* Complains where the process holds more than before. */
void soak_check_usage(ledger *book, const soak_usage *before, const char *who);

/* Serves at the ledger's addresses, every second of them, until SIGTERM. Writes a byte to `ready`.
 */
void soak_serve(ledger *book, unsigned number, int ready);

/* Calls until the ledger's end, as `count` clients from `first` on, each in a thread where there
 * are several. `life` tells apart the processes that were this client one after the other. */
void soak_call(ledger *book, unsigned first, unsigned count, unsigned life);

#endif
