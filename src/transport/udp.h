/* SPDX-License-Identifier: MIT */
/* udp://HOST:PORT: datagrams, each a whole message. They may be lost, doubled and overtaken; who
 * calls again and who answers once is for the layer above to see to. */
#ifndef DI_TRANSPORT_UDP_H
#define DI_TRANSPORT_UDP_H

#include "transport/transport.h"

extern const di_transport di_udp_transport;

#endif
