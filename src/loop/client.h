/* SPDX-License-Identifier: MIT */
/* The client behind dari_client, shared by client.c (its life), exchange.c (one call), wait.c (who
 * receives), receive.c (what comes of that), flight.c (calls that nobody waits for), progress.c
 * (the loop in which they end) and reconnect.c (what follows on the end of its connection).
 *
 * Threads: `lock` guards everything below it. Three things are done without it, each by the one
 * thread that has announced it: writing an argument into the lent room (`writing`), decoding a
 * result where it lies in the connection's memory (`held`), and waiting for what is received
 * (`receiving`). Nobody sends during the first, nobody else receives during the others. */
#ifndef DI_LOOP_CLIENT_H
#define DI_LOOP_CLIENT_H

#include "base/buffer.h"
#include "base/fork_guard.h"
#include "loop/cancel.h"
#include "loop/channel.h"
#include "loop/counters.h"
#include "loop/flight.h"
#include "loop/idempotent.h"
#include "loop/loan.h"
#include "loop/reach.h"
#include "loop/reconnect.h"
#include "loop/resend.h"
#include "loop/spin.h"
#include "loop/watch.h"
#include "rpc/flavor.h"
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
    uint64_t now; /* the time, before it waits for anything; or 0: it has to be read */
    di_resend resend;
    uint32_t refusals;         /* of the client when the call was sent */
    const dari_cancel *cancel; /* or NULL */
    bool wants_turn;           /* it waits to send, */
    size_t room;               /* until less than so many bytes are unsent */
    bool offline;              /* or there is no connection: then the call is kept */
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

/* The client in a loop: progress.c. */
typedef struct di_client_loop {
    bool made;
    int descriptor;  /* the epoll that users wait for */
    int wake;        /* an eventfd in it */
    bool rung;       /* wake is readable */
    bool wants_room; /* the connection is watched for room to send, too */
    bool rests; /* it is not watched at all until nobody holds a reply, or waits by receiving */
    bool armed; /* a thread of the user's has been told how long it may sleep */
    pthread_t armed_by;
    bool waiting; /* a thread sleeps in dari_client_wait, on the descriptor */
    pthread_t waiting_by;
    uint64_t until;    /* when these wake up by themselves */
    unsigned sleepers; /* threads in dari_client_wait that sleep while another one works */
    pthread_cond_t idle;
    bool dispatching;
    pthread_t dispatcher;
    di_spin spin;
} di_client_loop;

struct dari_client {
    di_fork_guard guard;
    atomic_uint references;  /* the owner, and who passes messages to or from the client */
    struct di_session *over; /* it calls over this session of a server; or NULL */
    unsigned users;          /* then: that have it; under the session's lock */
    struct di_reverse_service *service; /* answers the calls that come to the client; or NULL */
    struct di_inlet *inlet;             /* by which they go there from this connection; or NULL */
    uint64_t deadline_ns;
    uint64_t retry_ns;
    size_t queued_max;
    size_t decode_budget;
    uint32_t accept;
    di_auth credential; /* of every call; its body is the next one */
    uint8_t credential_body[DI_AUTH_SYS_MAX];
    char *address;
    char peer[DARI_CALL_PEER_SIZE]; /* the address, as call contexts have it */
    di_reach reach;
    dari_client_interceptor interceptors[DARI_CLIENT_INTERCEPTORS_MAX];
    uint32_t interceptor_count;

    pthread_mutex_t lock;
    di_channel channel;
    di_pending pending;
    di_waiter *asleep;          /* threads that wait to be woken */
    di_waiter *receiver;        /* the thread that waits for the descriptor to receive */
    bool receiver_sends;        /* and to send what is left */
    bool receiving;             /* or it waits by receiving; then, what sending met meanwhile: */
    int send_error, send_cause; /* the end of the connection, once the receiver is back; or 0 */
    di_spin spin;               /* the receiver's */
    di_waiter *sender;          /* a thread that waits for the descriptor to send only */
    bool writing;               /* a thread writes its argument */
    bool flush_wanted;          /* and is to send, after that, what others had to leave */
    bool drafting;              /* that is in `draft`, since there is no connection */
    uint8_t *message;           /* the message being written */
    size_t message_size;
    int bells[DI_CLIENT_BELLS]; /* eventfds that no waiter has */
    unsigned bell_count;
    bool landing; /* what is received may be used where it lies by the dispatching thread */
    di_flights flights;
    di_kept_message *kept; /* the pool of resend.c */
    uint32_t refusals;     /* how often the transport said that nobody listens */
    di_counters counters;
    uint64_t repeated;    /* calls that were sent again */
    uint64_t received_at; /* when the replies that are landing came */
    di_buffer draft;
    di_client_loop loop;
    unsigned engaged; /* threads whose message is in the output of this connection */
    di_reconnect reconnect;
    di_idempotents idempotents;
    di_loans loans;
    bool held;        /* a thread decodes a reply where it lies */
    int broken;       /* 0, or the error that ended the connection */
    int broken_cause; /* its errno, or 0 */
};

/* Makes a client that has no connection yet, nor ever had one. */
int di_client_make(const char *address, const dari_client_options *options,
                   dari_client **ret_client);
/* Gives it the only connection that it will have. */
void di_client_use(dari_client *client, di_connection *connection,
                   const dari_client_options *options);
/* The last one frees the client. Without the lock. */
void di_client_reference_drop(dari_client *client);

/* Whether whoever wants to send while less than `room` is unsent need not wait; or, where that is
 * not so easily seen, false. Called with the lock held. */
static inline bool di_client_is_free(const dari_client *client, size_t room)
{
    return !client->broken && !client->over && !client->writing &&
           (room == SIZE_MAX || di_channel_unsent(&client->channel) < room);
}

/* Waits until the waiter may send: there is a connection, nobody writes, and less than waiter->room
 * is unsent. Called with the lock held. Returns 0, DARI_DEADLINE, DARI_CANCELLED, DARI_ERRNO or the
 * error that ended the connection. */
int di_client_await_turn(dari_client *client, di_waiter *waiter);

/* Waits until the waiter, which is pending, is done, its deadline passes (DARI_DEADLINE) or it is
 * cancelled (DARI_CANCELLED). Called with the lock held. */
int di_client_await_reply(dari_client *client, di_waiter *waiter);

/* Sleeps until the waiter is woken, which it may be for nothing. As above, or DARI_ERRNO. */
int di_client_await_word(dari_client *client, di_waiter *waiter);

/* Waits until the first `committed` bytes are sent. As above. */
int di_client_await_sent(dari_client *client, di_waiter *waiter, uint64_t committed);

/* Ends the connection: all who wait, and all calls in flight, get the error. `cause`: the errno of
 * DARI_ERRNO. Called with the lock held. */
void di_client_break(dari_client *client, int error, int cause);

/* Wakes a thread that sleeps or polls; all who do. */
void di_client_wake(di_waiter *waiter);
void di_client_wake_all(const dari_client *client);

/* Hands out what has been received; receives without waiting and hands that out. The reply of
 * `self`, which may be NULL, is left where it lies. Called with the lock held, while the reply of
 * nobody is held. */
void di_client_hand_out(dari_client *client);
void di_client_receive(dari_client *client, di_waiter *self);
/* The same, but waits for something first, without the lock, as receive_patiently of transport.h
 * does. `self` is the receiver, and is no more when this returns. */
void di_client_receive_patiently(dari_client *client, di_waiter *self);

/* Gives a message to the call that it answers, or to who serves calls. Called with the lock held,
 * while the reply of nobody is held. */
void di_client_take(dari_client *client, const di_message *message);

/* Sends what is committed, without waiting; or leaves that to the thread that writes its argument.
 * Called with the lock held; an error ends the connection, and comes to all who wait. */
void di_client_flush(dari_client *client);
/* Spins, without the lock, until the connection can go on, as long as that pays and at most until
 * then. Returns whether it can. The connection must stay meanwhile. */
bool di_client_spin(dari_client *client, di_spin *spin, uint64_t until);
/* di_spin.work of a client, for its connection. */
uint32_t di_client_peer_work(void *connection);

/* The reply that was read where it lies is used no more: what came after it is handed out. Called
 * with the lock held. */
void di_client_let_go(dari_client *client);

/* The part of di_client_pass_on where there may be somebody. */
void di_client_wake_next(dari_client *client);

/* A turn to send, or the connection's input, has become free: wakes one who waits for it. Called
 * with the lock held. */
static inline void di_client_pass_on(dari_client *client)
{
    if (client->asleep || client->sender || client->inlet || client->broken)
        di_client_wake_next(client);
}

/* Gives a waiter's resources back; its reply is not among them. Called with the lock held. */
void di_waiter_end(dari_client *client, di_waiter *waiter);

/* The loop. All are called with the lock held. */

/* Makes it, which is not there. Returns 0 or DARI_ERRNO. */
int di_loop_create(dari_client *client);
/* The same where it may be there. */
static inline int di_loop_make(dari_client *client)
{
    return client->loop.made ? 0 : di_loop_create(client);
}

void di_loop_end(dari_client *client);
/* The connection is there, or is lost. */
int di_loop_attach(dari_client *client);
void di_loop_detach(dari_client *client);
/* Whether what is left to be sent waits for room. Returns 0 or DARI_ERRNO. */
int di_loop_want_room(dari_client *client, bool wants);
/* Nobody holds a reply any more, or waits by receiving: the loop can receive. */
void di_loop_resume(dari_client *client);
/* Something is ready for the thread that sleeps in the loop, if one does. */
void di_loop_wake(dari_client *client);
/* The last call in flight has ended. */
void di_loop_idle(dari_client *client);
/* A call was added to the output. */
void di_loop_queued(dari_client *client, uint64_t deadline);
/* Whether this thread dispatches, and will send what is committed. */
bool di_loop_sends(const dari_client *client);
/* Calls the callers' functions of all that have landed. */
void di_loop_close(dari_client *client);

/* Takes a message, or NULL, for a client over a session, and ends what is to end. Returns when
 * there is something to do again. Called without the lock. */
uint64_t di_client_feed(dari_client *client, const di_message *message);

/* Makes what a call context shows of an address: it is cut, and zeros follow, so that it can be
 * copied without being looked at. */
void di_call_peer(const char *address, char ret_peer[DARI_CALL_PEER_SIZE]);

/* Clears what a call context tells, and states who is called, what for and how long that may take.
 */
void di_call_begin(dari_call *call, const char peer[DARI_CALL_PEER_SIZE], const char *procedure,
                   uint64_t allowed_ns);

/* Gives back what results hold; the memory is kept. */
void di_call_give_back(dari_call *call);

/* The context takes the memory of a reply over, and gives memory that it does not use for it, or
 * NULL. */
di_hold *di_call_trade(dari_call *call, di_hold *reply);

#endif
