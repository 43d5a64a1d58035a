/* SPDX-License-Identifier: MIT */
/* Which procedure a call means: the table of programs that a server has.
 *
 * The interfaces, handlers and user pointers belong to whoever added them and outlive the table.
 * One thread at a time. */
#ifndef DI_RPC_DISPATCH_H
#define DI_RPC_DISPATCH_H

#include <dari/interface.h>

#include <stddef.h>
#include <stdint.h>

/* One version of a program, with what answers its calls. */
typedef struct di_service {
    const dari_interface *interface;
    const void *handlers;
    void *user;
} di_service;

/* What a call means. */
typedef struct di_target {
    di_service service;
    const dari_procedure *procedure; /* NULL or without serve: procedure 0, left to us */
    uint32_t low, high;              /* DARI_PROGRAM_MISMATCH */
} di_target;

/* A zeroed table is empty and ready. */
typedef struct di_dispatch {
    di_service *services; /* ascending by program, then version */
    size_t count;
    size_t room;
    di_target recent; /* the last one that was found; procedure: NULL where there is none */
} di_dispatch;

/* Errors: DARI_IN_USE (this version of the program is there), DARI_NO_MEMORY. */
int di_dispatch_add(di_dispatch *dispatch, const di_service *service);

/* Takes out what was added for a version of a program that is there. */
void di_dispatch_remove(di_dispatch *dispatch, uint32_t program, uint32_t version);

/* The part of di_dispatch_find for another call than the last one. */
int di_dispatch_search(di_dispatch *dispatch, uint32_t program, uint32_t version,
                       uint32_t procedure, di_target *ret_target);

/* Finds what a call means. Returns 0 or DARI_PROGRAM_UNAVAILABLE, DARI_PROGRAM_MISMATCH (then
 * `ret_target` holds the range) or DARI_PROCEDURE_UNAVAILABLE. */
static inline int di_dispatch_find(di_dispatch *dispatch, uint32_t program, uint32_t version,
                                   uint32_t procedure, di_target *ret_target)
{
    const di_target *recent = &dispatch->recent;
    if (!recent->procedure || recent->procedure->number != procedure ||
        recent->service.interface->program != program ||
        recent->service.interface->version != version)
        return di_dispatch_search(dispatch, program, version, procedure, ret_target);
    *ret_target = *recent;
    return 0;
}

/* The lowest and the highest version that a program has: fills in the range and returns
 * DARI_PROGRAM_MISMATCH, or returns DARI_PROGRAM_UNAVAILABLE. */
int di_dispatch_range(const di_dispatch *dispatch, uint32_t program, di_target *ret_target);

/* The procedure of that number, or NULL. */
const dari_procedure *di_interface_procedure(const dari_interface *interface, uint32_t number);

void di_dispatch_free(di_dispatch *dispatch);

#endif
