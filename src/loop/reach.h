/* SPDX-License-Identifier: MIT */
/* How a client gets its first connection.
 *
 * The address of a client does not say which program will be called. Where it takes that to connect
 * (destination.h), the first call connects, or dari_connect with an interface in its options. A
 * call has it done by a thread (attempt.h), and others wait for that, each until its own deadline
 * or cancel; calls in flight are kept meanwhile. */
#ifndef DI_LOOP_REACH_H
#define DI_LOOP_REACH_H

#include "loop/channel.h"
#include "loop/destination.h"

#include <dari/interface.h>

#include <stdatomic.h>

typedef struct di_first_call di_first_call;

/* Owned by its client. */
typedef struct di_reach {
    di_destination destination; /* does not change once `done` */
    di_channel_limits limits;

    atomic_bool done; /* the connection is there, or was */
    bool once;        /* if it is lost, it stays lost */
    /* The call that waits for the attempt that it has begun, or NULL; under the client's lock. */
    di_first_call *first;
} di_reach;

/* Of what the client receives. */
di_channel_limits di_reach_limits(const dari_client_options *options);

/* Reads the client's address and takes what the options say. Returns 0 or an error. */
int di_reach_begin(dari_client *client, const dari_client_options *options,
                   di_failure *ret_failure);
void di_reach_end(dari_client *client);

/* Connects the client. `interface` is what will be called, or NULL: then the first call connects
 * where it takes the program. Returns 0 or an error. */
int di_reach_connect(dari_client *client, const dari_interface *interface, uint64_t deadline,
                     di_failure *ret_failure);

/* Connects for an exchange that has begun, where nobody has yet; its error is the outcome. */
void di_reach_for(dari_exchange *exchange);
/* Before there is a connection, calls that nobody waits for are kept, as after one was lost: the
 * attempt that is to begin is for the first of them. Called with the client's lock held. */
void di_reach_for_kept(dari_client *client);
/* The end of an attempt; the connection is taken. Called with the client's lock held. */
void di_reach_take(dari_client *client, int error, di_connection *connection,
                   const di_failure *failure);

/* What rpcbind and connecting have found, as a call context tells it. */
dari_fault di_reach_fault(int error, const di_failure *failure);

#endif
