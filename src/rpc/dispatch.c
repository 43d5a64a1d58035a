/* SPDX-License-Identifier: MIT */
#include "rpc/dispatch.h"

#include <stdlib.h>
#include <string.h>

/* Below, at or above zero as the service sorts before, at or after the program's version. */
static int compare(const di_service *service, uint32_t program, uint32_t version)
{
    const dari_interface *interface = service->interface;
    if (interface->program != program)
        return interface->program < program ? -1 : 1;
    if (interface->version != version)
        return interface->version < version ? -1 : 1;
    return 0;
}

/* The first service that does not sort before the program's version. */
static size_t lower_bound(const di_dispatch *dispatch, uint32_t program, uint32_t version)
{
    size_t low = 0;
    size_t high = dispatch->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&dispatch->services[middle], program, version) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int grow(di_dispatch *dispatch)
{
    if (dispatch->count < dispatch->room)
        return 0;
    size_t room = dispatch->room ? 2 * dispatch->room : 4;
    di_service *services = realloc(dispatch->services, room * sizeof *services);
    if (!services)
        return DARI_NO_MEMORY;
    dispatch->services = services;
    dispatch->room = room;
    return 0;
}

int di_dispatch_add(di_dispatch *dispatch, const di_service *service)
{
    const dari_interface *interface = service->interface;
    size_t at = lower_bound(dispatch, interface->program, interface->version);
    if (at < dispatch->count &&
        compare(&dispatch->services[at], interface->program, interface->version) == 0)
        return DARI_IN_USE;
    int error = grow(dispatch);
    if (error < 0)
        return error;
    memmove(&dispatch->services[at + 1], &dispatch->services[at],
            (dispatch->count - at) * sizeof *service);
    dispatch->services[at] = *service;
    dispatch->count++;
    return 0;
}

void di_dispatch_remove(di_dispatch *dispatch, uint32_t program, uint32_t version)
{
    size_t at = lower_bound(dispatch, program, version);
    dispatch->count--;
    dispatch->recent.procedure = NULL;
    memmove(&dispatch->services[at], &dispatch->services[at + 1],
            (dispatch->count - at) * sizeof *dispatch->services);
}

int di_dispatch_range(const di_dispatch *dispatch, uint32_t program, di_target *ret_target)
{
    size_t first = lower_bound(dispatch, program, 0);
    if (first == dispatch->count || dispatch->services[first].interface->program != program)
        return DARI_PROGRAM_UNAVAILABLE;
    size_t last = first;
    while (last + 1 < dispatch->count && dispatch->services[last + 1].interface->program == program)
        last++;
    ret_target->low = dispatch->services[first].interface->version;
    ret_target->high = dispatch->services[last].interface->version;
    return DARI_PROGRAM_MISMATCH;
}

const dari_procedure *di_interface_procedure(const dari_interface *interface, uint32_t number)
{
    uint32_t low = 0;
    uint32_t high = interface->procedure_count;
    /* Mostly they are numbered without gaps. */
    uint32_t likely = high ? number - interface->procedures[0].number : 0;
    if (likely < high && interface->procedures[likely].number == number)
        return &interface->procedures[likely];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const dari_procedure *procedure = &interface->procedures[middle];
        if (procedure->number == number)
            return procedure;
        if (procedure->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int di_dispatch_search(di_dispatch *dispatch, uint32_t program, uint32_t version,
                       uint32_t procedure, di_target *ret_target)
{
    size_t at = lower_bound(dispatch, program, version);
    if (at == dispatch->count || compare(&dispatch->services[at], program, version) != 0)
        return di_dispatch_range(dispatch, program, ret_target);
    ret_target->service = dispatch->services[at];
    ret_target->procedure = di_interface_procedure(ret_target->service.interface, procedure);
    bool answered = ret_target->procedure && ret_target->procedure->serve;
    if (answered)
        dispatch->recent = *ret_target;
    return answered || procedure == 0 ? 0 : DARI_PROCEDURE_UNAVAILABLE;
}

void di_dispatch_free(di_dispatch *dispatch)
{
    free(dispatch->services);
    *dispatch = (di_dispatch){0};
}
