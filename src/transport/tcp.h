/* SPDX-License-Identifier: MIT */
/* tcp://HOST:PORT: HOST is a name, an IPv4 address, or an IPv6 address in brackets. */
#ifndef DI_TRANSPORT_TCP_H
#define DI_TRANSPORT_TCP_H

#include "transport/transport.h"

extern const di_transport di_tcp_transport;

#endif
