/* SPDX-License-Identifier: MIT */
/* Where a client's server is, and how to connect to it: straight to the port in the address, or to
 * the one that rpcbind knows for the program.
 *
 * The addresses of a host are tried in order, each with its share of the time, so that a silent one
 * does not use up the time of the others. The one that is taken has to lead to a server. TCP tells
 * whether it does. Over UDP nobody does: where there are several, procedure 0 of the program is
 * called at each, which every server answers and which does nothing, so that no call that means
 * something is ever sent to two servers. */
#ifndef DI_LOOP_DESTINATION_H
#define DI_LOOP_DESTINATION_H

#include "transport/transport.h"

/* The texts belong to whoever has made it. */
typedef struct di_destination {
    const di_transport *transport;
    const char *rest; /* of the address, behind the prefix */
    bool asks;        /* there is no port: rpcbind is asked */
    char *rpcbind;    /* where; NULL: at port 111 of the host */
    bool knows_program;
    uint32_t program, version; /* which is to be there */
    uint64_t retry_ns;         /* before it is asked again over UDP */
    di_connect_options options;
} di_destination;

/* Makes a connection, from any thread; none, where it would have to know the program: NULL. Returns
 * 0 or an error. */
int di_destination_connect(const di_destination *destination, uint64_t deadline,
                           di_connection **ret_connection, di_failure *ret_failure);

#endif
