/* SPDX-License-Identifier: MIT */
/* The inlet of a client's connection: to a session of a server it is a connection, out of which the
 * calls come that the client has received, and whose replies go into the output of the client.
 *
 * The client's lock guards everything here, but what says otherwise. An inlet belongs to its client
 * until the connection is lost, and to its session, or as long as there is none, to who holds it
 * for one. */
#ifndef DI_LOOP_INLET_H
#define DI_LOOP_INLET_H

#include "loop/client.h"

/* Answers to calls for which there was no room that may wait. */
#define DI_REFUSALS_MAX 1024u

struct di_session;

typedef struct di_inlet {
    di_connection head;
    dari_client *client; /* held */
    atomic_uint holders;
    struct di_inlet *next;      /* among those without a session */
    struct di_session *session; /* or NULL */
    bool lost;                  /* the client's connection is */
    bool blocked;               /* the session waits for room in the output */
    unsigned refusals;          /* answers of refuse() that may not be sent yet */
    di_hold *first, **end;      /* the calls */
    size_t size;                /* bytes of them */
    di_buffer draft;            /* memory for the reply being written: under the session's lock */
    di_buffer kept;             /* replies that came while a thread wrote its call: size, bytes */
} di_inlet;

/* Makes the inlet of the client's connection, with two holders; or NULL, where memory is out. */
di_inlet *di_inlet_create(dari_client *client);
/* One holder less. Without the lock: the client may go with the last one. */
void di_inlet_drop(di_inlet *inlet);
/* The inlet is its client's no more. Its other holder is there yet. */
void di_inlet_part(di_inlet *inlet);
/* Closes it for its session. Without the lock. */
void di_inlet_close(di_inlet *inlet);

/* Puts a call in. Returns 0 or DARI_NO_MEMORY. */
int di_inlet_add(di_inlet *inlet, const di_message *message);
/* Drops the calls. Returns how many there were. */
unsigned di_inlet_empty(di_inlet *inlet);
/* Answers a call that is not put in with SYSTEM_ERR; many such answers may wait to be sent, but not
 * more. */
void di_inlet_refuse(di_inlet *inlet, const di_message *message);
/* Puts the replies into the output that came while a thread wrote its call, which is done. */
void di_inlet_send_kept(di_inlet *inlet);

#endif
