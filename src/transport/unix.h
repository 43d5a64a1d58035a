/* SPDX-License-Identifier: MIT */
/* unix:PATH and unix:@NAME: stream sockets of this machine. */
#ifndef DI_TRANSPORT_UNIX_H
#define DI_TRANSPORT_UNIX_H

#include "transport/transport.h"

extern const di_transport di_unix_transport;

#endif
