/* SPDX-License-Identifier: MIT */
/* The procedures that may run more than once. Guarded by the client's lock. */
#include "loop/idempotent.h"

#include "loop/client.h"

#include <dari/error.h>

#include <stdlib.h>
#include <string.h>

static int compare(const void *one, const void *other)
{
    return memcmp(one, other, sizeof(di_idempotent));
}

static bool is_known(const di_idempotents *set, const di_idempotent *procedure)
{
    return set->count && bsearch(procedure, set->items, set->count, sizeof *set->items, compare);
}

/* Returns 0 or DARI_NO_MEMORY. */
static int add(di_idempotents *set, const di_idempotent *procedure)
{
    if (is_known(set, procedure))
        return 0;
    di_idempotent *grown = realloc(set->items, (set->count + 1) * sizeof *grown);
    if (!grown)
        return DARI_NO_MEMORY;
    grown[set->count++] = *procedure;
    set->items = grown;
    qsort(grown, set->count, sizeof *grown, compare);
    return 0;
}

static bool has_procedure(const dari_interface *interface, uint32_t number)
{
    for (uint32_t i = 0; i < interface->procedure_count; i++)
        if (interface->procedures[i].number == number)
            return true;
    return false;
}

int dari_client_idempotent(dari_client *client, const dari_interface *interface, uint32_t procedure)
{
    const di_idempotent one = {interface->program, interface->version, procedure};
    if (di_forked(&client->guard))
        return DARI_FORKED;
    if (!has_procedure(interface, procedure))
        return DARI_INVALID;
    pthread_mutex_lock(&client->lock);
    int error = add(&client->idempotents, &one);
    pthread_mutex_unlock(&client->lock);
    return error;
}

bool di_idempotents_have(const di_idempotents *set, const dari_exchange *exchange)
{
    const di_idempotent one = {exchange->interface->program, exchange->interface->version,
                               exchange->procedure->number};
    return is_known(set, &one);
}

void di_idempotents_end(di_idempotents *set)
{
    free(set->items);
}
