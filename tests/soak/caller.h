/* SPDX-License-Identifier: MIT */
/* One client of the soak on one connection: what it may do, and the account of it. */
#ifndef DARI_TEST_SOAK_CALLER_H
#define DARI_TEST_SOAK_CALLER_H

#include "soak/ledger.h"

#include <dari/dari.h>

#include <pthread.h>

/* A connection, which several callers may share. */
typedef struct connection {
    dari_client *client;
    uint32_t replaced; /* servers, before it was made */
    bool narrow;       /* large calls are refused */
    bool lossy;        /* messages may be lost, and come in another order */
    bool comes_back;   /* where it is lost, it is made again: an answer says nothing of the notes
                          before */
    bool idempotent;   /* ECHO may be sent again */
    unsigned server;   /* the one at its address, */
    uint32_t lives;    /* and its lives before */
    atomic_bool closing;
    atomic_uint in_flight;
    pthread_rwlock_t loop; /* one loop at a time, or any number of waits */
} connection;

enum { NOTES = 32 };

typedef struct caller {
    ledger *book;
    unsigned number;
    dice dice;
    dari_cancel *cancel; /* of its calls, of some of them */
    connection *link;
    uint32_t notes[NOTES]; /* sent on this connection since something was last answered */
    unsigned note_count;
} caller;

/* Before a connection is used, and after it was closed. */
void caller_begin(caller *self);
void caller_end(caller *self);

/* Does something at random. */
void caller_act(caller *self);

/* Whether there is no time, or no number, left. */
bool caller_is_over(const caller *self);

/* Connects somewhere. The client is NULL where that failed, as it may. */
void connection_open(ledger *book, connection *link, dice *luck);
/* Closes it: all that is in flight must have ended then. */
void connection_close(ledger *book, connection *link);

#endif
