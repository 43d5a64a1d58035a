/* SPDX-License-Identifier: MIT */
/* fifo:PATH -- named pipes: the server's, by which clients ask for a connection, and two for each
 * of them. See transport.h. */
#ifndef DI_TRANSPORT_FIFO_H
#define DI_TRANSPORT_FIFO_H

#include "transport/transport.h"

extern const di_transport di_fifo_transport;

/* The listening side. */
int di_fifo_listen(const char *path, di_listener **ret_listener, di_failure *failure);

#endif
