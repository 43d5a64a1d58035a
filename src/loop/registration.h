/* SPDX-License-Identifier: MIT */
/* A server's programs in the table of this machine's rpcbind.
 *
 * Rpcbind knows one address for a program, a version and a kind of network (tcp, tcp6, udp, udp6):
 * of several addresses of one kind the first is registered. All of it belongs to the server's
 * thread, and every function returns within twice the server's time for rpcbind: once to register,
 * once to take back. */
#ifndef DI_LOOP_REGISTRATION_H
#define DI_LOOP_REGISTRATION_H

#include "transport/transport.h"
#include "transport/universal.h"

#include <dari/interface.h>

/* An address whose programs are registered. */
typedef struct di_registered_place {
    struct di_registered_place *next;
    const di_listener *listener;
    const char *netid;
    char address[DI_UNIVERSAL_SIZE];
} di_registered_place;

/* A program that is registered. */
typedef struct di_registration {
    struct di_registration *next;
    const di_registered_place *place;
    uint32_t program;
    uint32_t version;
} di_registration;

/* Owned by its server. */
typedef struct di_registrar {
    char *rpcbind; /* NULL: DARI_RPCBIND_LOCAL, then DARI_RPCBIND_LOOPBACK */
    uint64_t allowed_ns;
    bool all;       /* addresses with a port are registered too */
    char owner[16]; /* as rpcbind names this process's user */
    di_registered_place *places;
    di_registration *registrations;
} di_registrar;

/* Takes what the options say. Returns 0 or DARI_NO_MEMORY. */
int di_registrar_begin(di_registrar *registrar, const dari_server_options *options);
void di_registrar_end(di_registrar *registrar);

/* Registers what the server has at a listener; `asked`: its address has no port. After an error
 * nothing of it is registered. */
int di_register_listener(dari_server *server, const di_listener *listener, bool asked,
                         di_failure *ret_failure);

/* Registers a program that was added, at all addresses that are. After an error nothing of it is
 * registered. */
int di_register_program(dari_server *server, const dari_interface *interface,
                        di_failure *ret_failure);

/* Takes back what is registered for a listener, NULL: for all. What fails goes to the log. In a
 * child of the server's process it does nothing: the registrations are the parent's. */
void di_unregister(dari_server *server, const di_listener *listener);

#endif
