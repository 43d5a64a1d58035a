/* SPDX-License-Identifier: MIT */
/* NAME[?key=value[&key=value]...] of mq:, and the names of its queues. Any thread. */
#ifndef DI_TRANSPORT_MQ_ADDRESS_H
#define DI_TRANSPORT_MQ_ADDRESS_H

#include "ipc/queue.h"
#include "transport/transport.h"

/* The server's queue. It has what the system allows everybody by default, 80 KiB of the 800 that a
 * user may have, since it serves all clients. */
#define DI_MQ_REQUESTS_MESSAGES 10u
#define DI_MQ_REQUESTS_BYTES 8192u
/* A client's queue: 8.5 KiB, so that a user may have some 80 of them beside a server's. */
#define DI_MQ_REPLIES_MESSAGES 4u
#define DI_MQ_REPLIES_BYTES 2048u

/* The names that clients of a server give their queues until the server has opened them. */
#define DI_MQ_SLOTS 64u

typedef struct di_mq_address {
    char name[DI_QUEUE_NAME_MAX + 1]; /* of the server's queue: "/dari.NAME" */
    size_t rest_size;                 /* bytes of the address that are NAME */
    di_queue_shape shape;             /* of the queue that whoever has the address makes */
} di_mq_address;

/* Takes an address apart; what it does not say is as in `defaults`. Errors: DARI_ADDRESS. */
int di_mq_address_parse(const char *rest, const di_queue_shape *defaults,
                        di_mq_address *ret_address, di_failure *ret_failure);

/* The name of a client's queue. */
void di_mq_slot_name(const char *name, uint32_t slot, char ret_name[DI_QUEUE_NAME_MAX + 1]);

/* Says of a queue's failure what a transport says of its own. Returns `error`. */
int di_mq_fail(di_failure *failure, int error, const di_queue_failure *of);

#endif
