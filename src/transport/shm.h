/* SPDX-License-Identifier: MIT */
/* The scheme shm:, see shm_connection.h. */
#ifndef DI_TRANSPORT_SHM_H
#define DI_TRANSPORT_SHM_H

#include "ipc/ring.h"
#include "transport/transport.h"

/* Bytes of each ring where nothing else is said, and the most that there may be. */
#define DI_SHM_RING_SIZE ((size_t)256 << 10)
#define DI_SHM_RING_SIZE_MAX DI_RING_MAX

extern const di_transport di_shm_transport;

#endif
