/* SPDX-License-Identifier: MIT */
/* The loans of a client: which parts of the memory that both sides have are given out, and which
 * of them the peer may be reading. All of that is private memory. Everything but the public
 * functions is called with the client's lock held. */
#ifndef DI_LOOP_LOAN_H
#define DI_LOOP_LOAN_H

#include <dari/interface.h>

#include <stdbool.h>

struct di_region;

/* One piece of memory. It is there until it has been ended and no message refers to it. */
typedef struct di_loan {
    struct di_loan *next; /* by address */
    uint8_t *memory;
    size_t size;
    struct di_region *region; /* where it lies, held; NULL: memory of its own */
    unsigned lent;            /* messages that refer to it and are not answered */
    bool ended;
} di_loan;

/* A message that refers to loans. */
typedef struct di_lent_message {
    struct di_lent_message *next;
    uint32_t xid;
    unsigned count;
    di_loan *loans[DARI_REFERENCES_MAX];
} di_lent_message;

/* A zeroed one is ready. */
typedef struct di_loans {
    di_loan *first;
    di_lent_message *lent;  /* as they were sent: mostly they are answered in that order, */
    di_lent_message **end;  /* and where the next one goes, if there are some */
    di_lent_message *spare; /* that were answered, for the next ones */
} di_loans;

/* Before the message of the exchange is committed, whose xid is known: notes what it refers to in
 * the memory that the connection lends. What is no whole loan is copied to its place. Returns
 * whether it refers to some. */
bool di_loans_lend(dari_exchange *exchange);

/* Copies all that lies in that memory to its place. */
void di_loans_copy(dari_exchange *exchange);

/* The message is answered, or was never sent. */
void di_loans_return(di_loans *loans, uint32_t xid);

/* The connection is gone, and nobody reads any more. */
void di_loans_return_all(di_loans *loans);

/* Ends all. Without the lock: the client is at its end. */
void di_loans_end(di_loans *loans);

#endif
