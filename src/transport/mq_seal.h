/* SPDX-License-Identifier: MIT */
/* What a client of mq: shows of its number without giving it away.
 *
 * The client puts the seal of its number on its queue, which nobody else may: so the server knows
 * that a hello with that number is from whoever has the queue. Seals can be read by anybody
 * (/proc/locks); the number cannot be found from them. */
#ifndef DI_TRANSPORT_MQ_SEAL_H
#define DI_TRANSPORT_MQ_SEAL_H

#include <stdint.h>

/* The first 64 bits of ChaCha20's key stream (RFC 8439) with the number as the key. */
uint64_t di_mq_seal(uint64_t id);

#endif
