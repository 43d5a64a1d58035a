/* SPDX-License-Identifier: MIT */
/* Talking to an rpcbind (RFC 1833): version 4, then 3, then 2, as it answers.
 *
 * It is an ordinary client with stubs written by hand. One thread at a time; every function returns
 * by the deadline that opening was given. What fails is told in words: DARI_RPCBIND where the
 * answer is of no use, otherwise the error of the connection. */
#ifndef DI_LOOP_RPCBIND_H
#define DI_LOOP_RPCBIND_H

#include "rpc/rpcb.h"
#include "transport/transport.h"
#include "transport/universal.h"

#include <dari/client.h>

/* The largest answer: a table of some thousand programs. */
#define DI_RPCBIND_MESSAGE_MAX ((size_t)1 << 20)
/* How long a server that is registered may take to show that it is alive. */
#define DI_RPCBIND_PROBE_NS DARI_S

typedef struct di_rpcbind {
    dari_client *client;
    uint32_t version; /* the newest that it may have */
    uint64_t deadline;
    dari_call call; /* of the last call: holds what that returned */
} di_rpcbind;

/* Connects. `reserved`: from a reserved port. The caller closes it. */
int di_rpcbind_open(di_rpcbind *ret_rpcbind, const char *address, bool reserved, uint64_t deadline,
                    di_failure *ret_failure);
void di_rpcbind_close(di_rpcbind *rpcbind);

/* The port at which a program is served, by any version. `what->address` says where rpcbind was
 * asked. Errors: DARI_NOT_REGISTERED too. */
int di_rpcbind_port(di_rpcbind *rpcbind, const di_rpcb *what, unsigned *ret_port,
                    di_failure *ret_failure);

/* Registers an address. A registration that is in the way is replaced where its server is dead and
 * rpcbind lets us. Errors: DARI_IN_USE too. */
int di_rpcbind_register(di_rpcbind *rpcbind, const di_rpcb *what, di_failure *ret_failure);

/* Takes a registration back, unless it is another address's by now. */
int di_rpcbind_unregister(di_rpcbind *rpcbind, const di_rpcb *what, di_failure *ret_failure);

#endif
