/* SPDX-License-Identifier: MIT */
#include "loop/registration.h"

#include "loop/rpcbind.h"
#include "loop/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int di_registrar_begin(di_registrar *registrar, const dari_server_options *options)
{
    registrar->allowed_ns =
        options->rpcbind_ns ? options->rpcbind_ns : DARI_RPCBIND_DEADLINE_DEFAULT_NS;
    registrar->all = options->register_all;
    if (geteuid() == 0)
        strcpy(registrar->owner, "superuser");
    else
        snprintf(registrar->owner, sizeof registrar->owner, "%u", (unsigned)geteuid());
    if (!options->rpcbind)
        return 0;
    registrar->rpcbind = strdup(options->rpcbind);
    return registrar->rpcbind ? 0 : DARI_NO_MEMORY;
}

void di_registrar_end(di_registrar *registrar)
{
    for (di_registration *at = registrar->registrations, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    for (di_registered_place *at = registrar->places, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    free(registrar->rpcbind);
    *registrar = (di_registrar){0};
}

/* Connects to an rpcbind. Over TCP it may believe reserved ports only; those who may not have one
 * try without. */
static int open_at(const char *address, uint64_t deadline, di_rpcbind *ret_rpcbind,
                   di_failure *failure)
{
    int error = di_rpcbind_open(ret_rpcbind, address, true, deadline, failure);
    if (error == DARI_PERMISSION || error == DARI_IN_USE)
        error = di_rpcbind_open(ret_rpcbind, address, false, deadline, failure);
    return error;
}

static int open_rpcbind(const di_registrar *registrar, di_rpcbind *ret_rpcbind, di_failure *failure)
{
    uint64_t deadline = di_deadline_in(registrar->allowed_ns);
    if (registrar->rpcbind)
        return open_at(registrar->rpcbind, deadline, ret_rpcbind, failure);
    int error = open_at(DARI_RPCBIND_LOCAL, deadline, ret_rpcbind, failure);
    if (error == DARI_REFUSED || error == DARI_PERMISSION)
        error = open_at(DARI_RPCBIND_LOOPBACK, deadline, ret_rpcbind, failure);
    return error;
}

static di_rpcb describe(const di_registrar *registrar, const di_registered_place *place,
                        uint32_t program, uint32_t version)
{
    return (di_rpcb){.program = program,
                     .version = version,
                     .netid = place->netid,
                     .address = place->address,
                     .owner = registrar->owner};
}

/* Whether the server has the program in rpcbind's table, at this address or at another one. */
static bool is_registered(const di_registrar *registrar, const di_registered_place *place,
                          const dari_interface *interface)
{
    for (const di_registration *at = registrar->registrations; at; at = at->next)
        if (at->program == interface->program && at->version == interface->version &&
            strcmp(at->place->netid, place->netid) == 0)
            return true;
    return false;
}

static int register_one(di_registrar *registrar, di_rpcbind *rpcbind,
                        const di_registered_place *place, const dari_interface *interface,
                        di_failure *failure)
{
    if (is_registered(registrar, place, interface))
        return 0;
    di_registration *registration = malloc(sizeof *registration);
    if (!registration)
        return DARI_NO_MEMORY;
    di_rpcb what = describe(registrar, place, interface->program, interface->version);
    *registration = (di_registration){.next = registrar->registrations,
                                      .place = place,
                                      .program = what.program,
                                      .version = what.version};
    /* Where it fails it is taken back with the others: it may have been made all the same. */
    registrar->registrations = registration;
    return di_rpcbind_register(rpcbind, &what, failure);
}

/* Takes registrations back, all those made since `until`, in a time of its own. */
static void take_back(dari_server *server, di_rpcbind *rpcbind, const di_registration *until)
{
    di_registrar *registrar = &server->registrar;
    rpcbind->deadline = di_deadline_in(registrar->allowed_ns);
    while (registrar->registrations != until) {
        di_registration *registration = registrar->registrations;
        di_failure failure = {0};
        di_rpcb what =
            describe(registrar, registration->place, registration->program, registration->version);
        int error = di_rpcbind_unregister(rpcbind, &what, &failure);
        if (error < 0)
            di_server_log(server, error,
                          "program %u, version %u, at %s %s cannot be unregistered: %s",
                          what.program, what.version, what.netid, what.address,
                          failure.words ? failure.words : dari_error_text(error));
        registrar->registrations = registration->next;
        free(registration);
    }
}

/* Makes a place of a listener that has a universal address; or NULL, with an error, or with 0 where
 * it has none. */
static di_registered_place *make_place(const di_listener *listener, int *ret_error,
                                       di_failure *failure)
{
    di_socket_address address;
    socklen_t size = sizeof address;
    int type = 0;
    socklen_t type_size = sizeof type;
    di_registered_place *place = calloc(1, sizeof *place);
    *ret_error = place ? 0 : DARI_NO_MEMORY;
    if (place && (getsockname(listener->descriptor, &address.any, &size) < 0 ||
                  getsockopt(listener->descriptor, SOL_SOCKET, SO_TYPE, &type, &type_size) < 0)) {
        failure->system_error = errno;
        *ret_error = DARI_ERRNO;
    }
    if (*ret_error == 0) {
        place->listener = listener;
        place->netid = di_netid(address.any.sa_family, type);
        if (place->netid && di_universal_write(&address, place->address) == 0)
            return place;
    }
    free(place);
    return NULL;
}

int di_register_listener(dari_server *server, const di_listener *listener, bool asked,
                         di_failure *failure)
{
    di_registrar *registrar = &server->registrar;
    const di_registration *before = registrar->registrations;
    int error;
    if (!asked && !registrar->all)
        return 0;
    di_registered_place *place = make_place(listener, &error, failure);
    if (!place)
        return error;
    if (server->dispatch.count > 0) {
        di_rpcbind rpcbind;
        error = open_rpcbind(registrar, &rpcbind, failure);
        if (error < 0) {
            free(place);
            return error;
        }
        for (size_t i = 0; i < server->dispatch.count && error == 0; i++)
            error = register_one(registrar, &rpcbind, place, server->dispatch.services[i].interface,
                                 failure);
        if (error < 0)
            take_back(server, &rpcbind, before);
        di_rpcbind_close(&rpcbind);
    }
    if (error < 0) {
        free(place);
        return error;
    }
    /* At the end: of two of one kind, the first is the one to register. */
    di_registered_place **end = &registrar->places;
    while (*end)
        end = &(*end)->next;
    *end = place;
    return 0;
}

int di_register_program(dari_server *server, const dari_interface *interface, di_failure *failure)
{
    di_registrar *registrar = &server->registrar;
    const di_registration *before = registrar->registrations;
    di_rpcbind rpcbind;
    if (!registrar->places)
        return 0;
    int error = open_rpcbind(registrar, &rpcbind, failure);
    if (error < 0)
        return error;
    for (di_registered_place *at = registrar->places; at && error == 0; at = at->next)
        error = register_one(registrar, &rpcbind, at, interface, failure);
    if (error < 0)
        take_back(server, &rpcbind, before);
    di_rpcbind_close(&rpcbind);
    return error;
}

/* Moves the registrations of a listener, NULL: of all, to the front. Returns the first that is not
 * among them. */
static di_registration *gather(di_registrar *registrar, const di_listener *listener)
{
    di_registration *chosen = NULL, *others = NULL, *next;
    di_registration **chosen_end = &chosen, **others_end = &others;
    for (di_registration *at = registrar->registrations; at; at = next) {
        next = at->next;
        di_registration ***end =
            !listener || at->place->listener == listener ? &chosen_end : &others_end;
        **end = at;
        *end = &at->next;
    }
    *others_end = NULL;
    *chosen_end = others;
    registrar->registrations = chosen;
    return others;
}

static void forget_places(di_registrar *registrar, const di_listener *listener)
{
    di_registered_place **link = &registrar->places;
    while (*link) {
        di_registered_place *place = *link;
        if (listener && place->listener != listener) {
            link = &place->next;
            continue;
        }
        *link = place->next;
        free(place);
    }
}

/* Rpcbind is not there any more, and with it the registrations. */
static void forget(dari_server *server, const di_registration *until, int error,
                   const di_failure *failure)
{
    di_registrar *registrar = &server->registrar;
    di_server_log(server, error, "programs cannot be unregistered: %s",
                  failure->words ? failure->words : dari_error_text(error));
    while (registrar->registrations != until) {
        di_registration *next = registrar->registrations->next;
        free(registrar->registrations);
        registrar->registrations = next;
    }
}

void di_unregister(dari_server *server, const di_listener *listener)
{
    di_registrar *registrar = &server->registrar;
    if (!registrar->places || di_forked(&server->guard))
        return;
    const di_registration *until = gather(registrar, listener);
    if (registrar->registrations != until) {
        di_rpcbind rpcbind;
        di_failure failure = {0};
        int error = open_rpcbind(registrar, &rpcbind, &failure);
        if (error < 0) {
            forget(server, until, error, &failure);
        } else {
            take_back(server, &rpcbind, until);
            di_rpcbind_close(&rpcbind);
        }
    }
    forget_places(registrar, listener);
}
