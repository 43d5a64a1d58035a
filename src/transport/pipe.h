/* SPDX-License-Identifier: MIT */
/* pipe:IN,OUT -- two one-way descriptors that this process has. See transport.h. */
#ifndef DI_TRANSPORT_PIPE_H
#define DI_TRANSPORT_PIPE_H

#include "transport/transport.h"

extern const di_transport di_pipe_transport;

#endif
