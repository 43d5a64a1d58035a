/* SPDX-License-Identifier: MIT */
/* The procedures of which a client has been told that they may run more than once. */
#ifndef DI_LOOP_IDEMPOTENT_H
#define DI_LOOP_IDEMPOTENT_H

#include <dari/interface.h>

#include <stdbool.h>

typedef struct di_idempotent {
    uint32_t program, version, procedure;
} di_idempotent;

/* A zeroed structure is empty. */
typedef struct di_idempotents {
    di_idempotent *items; /* sorted */
    size_t count;
} di_idempotents;

bool di_idempotents_have(const di_idempotents *set, const dari_exchange *exchange);
void di_idempotents_end(di_idempotents *set);

#endif
