/* SPDX-License-Identifier: MIT */
/* A connection of shm:: a unix socket and a memory with two rings.
 *
 * Bytes go through the rings. The socket carries the meeting (shm_meeting.h), then single bytes
 * that wake a side which has said that it sleeps or waits for room; its hang-up, or the death of
 * the other process, whichever is known first, is the end. What the other side had published before
 * is still received.
 *
 * Messages are written in the ring itself where nothing waits before them and there is room;
 * otherwise in a buffer, whose contents follow in pieces as room comes. What arrives is copied out
 * of the ring once, and read then: the other side may change its memory at any time. Of loans
 * (shm_loans.h) only references go through the ring. See transport.h for threads. */
#ifndef DI_TRANSPORT_SHM_CONNECTION_H
#define DI_TRANSPORT_SHM_CONNECTION_H

#include "transport/transport.h"

/* Wake-ups without anything to receive and without room, in a row, that end a connection. Those of
 * an honest peer are never more than a few. */
#define DI_SHM_IDLE_WAKES_MAX 1000u

/* What a server makes for a client. */
typedef struct di_shm_terms {
    uint32_t ring_size; /* a power of two that is valid */
    size_t loans_max;   /* bytes for loans that a client may have; 0: none */
    bool in_place;      /* loans are read where they lie */
} di_shm_terms;

/* Makes the side of a client or server of a non-blocking unix socket, which is closed on failure. A
 * client wants `loan_size` bytes for loans, at most DI_SHM_LOANS_MAX. Nothing waits: the meeting
 * goes on in receive, which tells of its errors, and what is committed before waits for it.
 * Errors: DARI_NO_MEMORY, DARI_LIMIT, DARI_ERRNO. */
int di_shm_create_client(int socket, size_t loan_size, di_connection **ret_connection);
int di_shm_create_server(int socket, const di_shm_terms *terms, di_connection **ret_connection);

/* Waits until the meeting of a client is over. Returns 0, DARI_DEADLINE, or what receive tells. */
int di_shm_await_meeting(di_connection *connection, uint64_t deadline);

#endif
