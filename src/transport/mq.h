/* SPDX-License-Identifier: MIT */
/* mq:NAME, POSIX message queues. See mq_wire.h for what is in them. */
#ifndef DI_TRANSPORT_MQ_H
#define DI_TRANSPORT_MQ_H

#include "transport/transport.h"

extern const di_transport di_mq_transport;

/* The two halves of it. */
int di_mq_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                  di_connection **ret_connection, di_failure *ret_failure);
int di_mq_listen(const char *rest, di_listener **ret_listener, di_failure *ret_failure);

#endif
