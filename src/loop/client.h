/* SPDX-License-Identifier: MIT */
/* The client behind dari_client, shared by client.c (its life), exchange.c (one call) and wait.c
 * (who receives).
 *
 * Threads: `lock` guards everything below it. Two things are done without it, each by the one
 * thread that has announced it: writing an argument into the lent room (`writing`), and decoding a
 * result where it lies in the connection's memory (`held`). Nobody sends during the first, nobody
 * receives during the second. */
#ifndef DI_LOOP_CLIENT_H
#define DI_LOOP_CLIENT_H

#include "base/fork_guard.h"
#include "loop/cancel.h"
#include "loop/channel.h"
#include "rpc/pending.h"

#include <dari/client.h>

#include <pthread.h>
#include <stdbool.h>

/* Eventfds that a client keeps for waiters that need one. */
#define DI_CLIENT_BELLS 4u

/* A thread that waits in a client: for its turn to send, then for its reply. Lives on its stack. */
typedef struct di_waiter {
    di_pending_call pending; /* first: found by xid */
    struct di_waiter *next_asleep;
    uint64_t deadline;
    const dari_cancel *cancel; /* or NULL */
    bool wants_turn;           /* it waits to send */
    bool done;                 /* its reply is there, or `error` */
    bool in_place;             /* the reply lies in the connection, which is held for this thread */
    bool asleep;               /* it is in the list of sleepers, in `wake` */
    bool wake_made;
    pthread_cond_t wake;
    int bell; /* -1, or an eventfd of the client's: where it waits for descriptors, and a sign */
    bool rung;
    int error;
    uint8_t *reply; /* unless in_place in memory of its own */
    size_t reply_size;
    size_t oversized; /* with DARI_LIMIT: the bytes that its reply has at least, */
    size_t reply_max; /* and may have */
} di_waiter;

struct dari_client {
    di_fork_guard guard;
    uint64_t deadline_ns;
    size_t decode_budget;
    uint32_t accept;
    char *address;

    pthread_mutex_t lock;
    di_channel channel;
    di_pending pending;
    di_waiter *asleep;   /* threads that wait to be woken */
    di_waiter *receiver; /* the thread that waits for the descriptor to receive */
    bool receiver_sends; /* and to send what is left */
    di_waiter *sender;   /* a thread that waits for the descriptor to send only */
    bool writing;        /* a thread writes its argument */
    uint8_t *message;    /* the message being written */
    size_t message_size;
    int bells[DI_CLIENT_BELLS]; /* eventfds that no waiter has */
    unsigned bell_count;
    bool held;        /* a thread decodes a reply where it lies */
    int broken;       /* 0, or the error that ended the connection */
    int broken_cause; /* its errno, or 0 */
};

/* Waits until the waiter may send: nobody writes, and everything before is sent. Called with the
 * lock held. Returns 0, DARI_DEADLINE, DARI_CANCELLED, DARI_ERRNO or the error that
 * ended the connection. */
int di_client_await_turn(dari_client *client, di_waiter *waiter);

/* Waits until the waiter, which is pending, is done, its deadline passes (DARI_DEADLINE) or it is
 * cancelled (DARI_CANCELLED). Called with the lock held. */
int di_client_await_reply(dari_client *client, di_waiter *waiter);

/* Sends what is committed, without waiting. Called with the lock held; an error ends the
 * connection, and comes to all who wait. */
void di_client_flush(dari_client *client);

/* The reply that was read where it lies is used no more: what came after it is handed out. Called
 * with the lock held. */
void di_client_let_go(dari_client *client);

/* A turn to send, or the connection's input, has become free: wakes one who waits for it. Called
 * with the lock held. */
void di_client_pass_on(dari_client *client);

/* Gives a waiter's resources back; its reply is not among them. Called with the lock held. */
void di_waiter_end(dari_client *client, di_waiter *waiter);

/* Clears what a call context tells, and states who is called, what for and how long that may take.
 */
void di_call_begin(dari_call *call, const char *peer, const char *procedure, uint64_t allowed_ns);

#endif
