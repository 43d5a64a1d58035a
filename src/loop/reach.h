/* SPDX-License-Identifier: MIT */
/* How a client gets to its server: straight to the port in its address, or to the one that rpcbind
 * knows for the program that is called.
 *
 * The address of a client does not say which program that is, so where rpcbind has to be asked, the
 * first call connects, or dari_connect with an interface in its options. A call has it done by a
 * thread (attempt.h), and others wait for that, each until its own deadline or cancel. */
#ifndef DI_LOOP_REACH_H
#define DI_LOOP_REACH_H

#include "loop/channel.h"
#include "transport/transport.h"

#include <dari/interface.h>

#include <stdatomic.h>

/* What it takes to connect. The texts belong to whoever has made it. */
typedef struct di_destination {
    const di_transport *transport;
    const char *rest;          /* of the address, behind the prefix */
    bool asks;                 /* there is no port: rpcbind is asked */
    char *rpcbind;             /* where; NULL: at port 111 of the host */
    uint32_t program, version; /* for what */
    di_connect_options options;
} di_destination;

typedef struct di_first_call di_first_call;

/* Owned by its client. */
typedef struct di_reach {
    di_destination destination; /* does not change once `done` */
    di_channel_limits limits;

    atomic_bool done; /* the connection is there, or was */
    /* The call that waits for the attempt that it has begun, or NULL; under the client's lock. */
    di_first_call *first;
} di_reach;

/* Of what the client receives. */
di_channel_limits di_reach_limits(const dari_client_options *options);

/* Reads the client's address and takes what the options say. Returns 0 or an error. */
int di_reach_begin(dari_client *client, const dari_client_options *options,
                   di_failure *ret_failure);
void di_reach_end(dari_client *client);

/* Makes a connection, from any thread. */
int di_destination_connect(const di_destination *destination, uint64_t deadline,
                           di_connection **ret_connection, di_failure *ret_failure);

/* Connects the client. `interface` is what will be called, and may be NULL where rpcbind need not
 * be asked. */
int di_reach_connect(dari_client *client, const dari_interface *interface, uint64_t deadline,
                     di_failure *ret_failure);

/* Connects for an exchange that has begun, where nobody has yet; its error is the outcome. */
void di_reach_for(dari_exchange *exchange);
/* The end of its attempt; the connection is taken. Called with the client's lock held. */
void di_reach_take(dari_client *client, int error, di_connection *connection,
                   const di_failure *failure);

/* What rpcbind and connecting have found, as a call context tells it. */
dari_fault di_reach_fault(int error, const di_failure *failure);

#endif
