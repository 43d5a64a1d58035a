/* SPDX-License-Identifier: MIT */
/* tcp://HOST:PORT (place.h). */
#ifndef DI_TRANSPORT_TCP_H
#define DI_TRANSPORT_TCP_H

#include "transport/transport.h"

extern const di_transport di_tcp_transport;

#endif
