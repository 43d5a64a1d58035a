/* SPDX-License-Identifier: MIT */
/* How the two sides of a shm: connection come to their memory, over the unix socket between them.
 *
 * The client says hello, and how much memory for loans it wants. The server makes the memory and
 * offers it: its sizes, and a descriptor. The client checks it and maps it. Each first message
 * begins with two words that every version has: a magic number, and the version of all the rest;
 * another version ends the meeting at both sides. Nothing here waits. Neither side believes
 * anything. One thread at a time. */
#ifndef DI_TRANSPORT_SHM_MEETING_H
#define DI_TRANSPORT_SHM_MEETING_H

#include "base/region.h"
#include "ipc/lending.h"

/* The most memory for the loans of a client. */
#define DI_SHM_LOANS_MAX ((size_t)256 << 20)

/* What both sides have mapped: two rings, and what the client lends. */
typedef struct di_shm_memory {
    di_ring_control *controls;   /* of the ring to the server, and of the one to the client */
    di_lending_control *lending; /* beside the ring to the server */
    void *to_server, *to_client;
    di_region *loans; /* the client alone writes there; NULL: there is none */
    uint32_t to_server_size, to_client_size;
    uint32_t loans_size;
} di_shm_memory;

/* The first message of the other side, as far as it has arrived. A zeroed one is ready but for its
 * descriptor, -1. */
typedef struct di_shm_heard {
    uint32_t words[8];
    size_t size;    /* bytes that have arrived */
    int descriptor; /* that came with them, or -1 */
} di_shm_heard;

/* Says hello, over a socket that is new. `started` is when this process has, or 0; `loans`: bytes
 * of memory that it wants to lend, at most DI_SHM_LOANS_MAX. Returns 0, DARI_CLOSED or DARI_ERRNO.
 */
int di_shm_say_hello(int socket, uint64_t started, size_t loans);

/* Hears a client's hello. Returns DI_MOVED once it is there whole, DI_BLOCKED, DARI_CLOSED,
 * DARI_LAYOUT, of which the client is told, DARI_PROTOCOL or DARI_ERRNO. */
int di_shm_hear_hello(int socket, di_shm_heard *heard, uint64_t *ret_started);

/* Makes memory with rings of `ring_size` bytes, which are valid, and of what the client wants for
 * loans up to `loans_max` bytes, and offers it. Errors: those of di_memory_create, of which the
 * client is told, DARI_CLOSED. */
int di_shm_offer(int socket, const di_shm_heard *hello, uint32_t ring_size, size_t loans_max,
                 uint64_t started, di_shm_memory *ret_memory);

/* Hears a server's offer, and maps the memory; `loans` is what hello has said. Returns DI_MOVED,
 * DI_BLOCKED, DARI_CLOSED (the server has none to give, too), DARI_LAYOUT, DARI_PROTOCOL,
 * DARI_NO_MEMORY or DARI_ERRNO. */
int di_shm_hear_offer(int socket, di_shm_heard *heard, size_t loans, uint64_t *ret_started,
                      di_shm_memory *ret_memory);

/* Takes a zeroed one. */
void di_shm_memory_end(di_shm_memory *memory);

#endif
