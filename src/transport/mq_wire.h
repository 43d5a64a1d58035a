/* SPDX-License-Identifier: MIT */
/* What travels in the queues of mq:.
 *
 * A server has one queue, into which all its clients write; each client has one of its own, into
 * which the server writes. Both carry streams of bytes in parts, a stream each way for each client.
 * Parts say where in their stream they belong, since those of a higher priority overtake others:
 * the place counts the bytes of the parts before, heads included. A client sends only as far as the
 * server has granted, since what one does not take must not stand in the way of the others.
 *
 * All numbers are of the machine's byte order, and lie the same for 32 and 64 bits. */
#ifndef DI_TRANSPORT_MQ_WIRE_H
#define DI_TRANSPORT_MQ_WIRE_H

#include "ipc/queue.h"

#include <stdint.h>

/* Told with the owner of the server's queue: a client of another version does not write into it. */
#define DI_MQ_VERSION 1u

/* The kind of a message. To the server: HELLO, PART, WANT, BYE. To a client: PART, GRANT, BYE. */
enum di_mq_kind {
    DI_MQ_HELLO = 1, /* a di_mq_hello follows the head */
    DI_MQ_PART = 2,  /* bytes of the stream follow */
    DI_MQ_BYE = 3,   /* the stream ends at this place */
    DI_MQ_WANT = 4,  /* the client waits for a grant */
    DI_MQ_GRANT = 5, /* nothing but what the head says */
};

typedef struct di_mq_head {
    uint8_t kind;
    uint8_t zero[7];
    uint64_t client;  /* drawn by the client at random, and known to it and the server alone */
    uint64_t at;      /* PART, BYE: the place in the stream */
    uint64_t granted; /* to a client: the place up to which it may send */
} di_mq_head;

typedef struct di_mq_hello {
    uint64_t inode;         /* of the client's queue */
    uint64_t pid_namespace; /* in which the client's process has its number */
    uint32_t slot;          /* of the queue's name */
    uint32_t zero;
} di_mq_hello;

#define DI_MQ_HEAD sizeof(di_mq_head)

_Static_assert(DI_MQ_HEAD == 32 && sizeof(di_mq_hello) == 24, "the same for 32 and 64 bits");

/* How far a client may send ahead of what the server has dealt with, heads included. */
#define DI_MQ_WINDOW UINT64_C(32768)
/* A client waits rather than send a part that is shorter than that for want of a grant. */
#define DI_MQ_PART_MIN 1024u

/* The bytes of a message of the queues: as few as a hello takes, as many as a stack has room for.
 */
#define DI_MQ_BYTES_MIN 64u
#define DI_MQ_BYTES_MAX 16384u

/* Sends one message: a head and what follows it. As di_queue_send. */
int di_mq_send(const di_queue *queue, const di_mq_head *head, const void *bytes, size_t size,
               unsigned priority);

/* The namespace of this process's number; 0 where the system does not tell it. Returns 0, or
 * DARI_ERRNO where that may be otherwise later. */
int di_mq_pid_namespace(uint64_t *ret_number);

/* Whether a process has ended, by its pidfd. */
bool di_mq_has_ended(int pidfd);

#endif
