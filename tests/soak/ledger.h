/* SPDX-License-Identifier: MIT */
/* What became of every call, in memory that all processes of the soak share.
 *
 * A client writes a call's fate, a server that it has run it; each call has a byte for both. A
 * client that is killed leaves calls that are only started, a server that is killed some that it
 * has begun. At the end, when nobody runs any more, the two are compared. */
#ifndef DARI_TEST_LEDGER_H
#define DARI_TEST_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { CLIENTS = 8, SERVERS = 2, ADDRESSES = 12, CALLS_MAX = 1 << 22, COMPLAINTS = 16 };

enum fate {
    FATE_NONE,
    FATE_STARTED,   /* nothing is known yet */
    FATE_ANSWERED,  /* it has run */
    FATE_FAILED,    /* it has run, and the server said that it failed */
    FATE_REFUSED,   /* the server said that it has not run */
    FATE_LOST,      /* ended early: it may have run */
    FATE_NOT_RUN,   /* ended early: it has not and will not */
    FATE_SENT,      /* nobody waits for it */
    FATE_CONFIRMED, /* the same, and a later call on the connection was answered */
    FATES
};

/* What a server has counted. */
typedef struct server_sums {
    _Atomic uint64_t begun;
    _Atomic uint64_t answered;
    _Atomic uint64_t failed;
    _Atomic uint64_t unheard; /* nobody was there any more */
    _Atomic uint64_t refused; /* calls that did not run */
    _Atomic uint32_t doomed;  /* the server kills itself within so many calls; 0: it does not */
    uint64_t cut_off;         /* begun, and not ended when the server was killed */
    _Atomic uint32_t lives;   /* processes that were this server before, and have ended */
} server_sums;

typedef struct ledger {
    uint64_t seed;
    _Atomic uint64_t end_at; /* on the monotonic clock, ns */
    /* Servers that were ended and replaced; odd while that goes on. Addresses change then. */
    _Atomic uint32_t replaced;
    char addresses[ADDRESSES][160];
    server_sums servers[SERVERS];
    _Atomic uint64_t connections, failed_connections;
    _Atomic uint64_t resumed; /* calls answered by a server that was not there when their client
                                 connected first */
    _Atomic uint32_t complaint_count;
    char complaints[COMPLAINTS][320];
    _Atomic uint32_t next[CLIENTS]; /* the number of each client's next call */
    _Atomic uint8_t fates[CLIENTS][CALLS_MAX];
    _Atomic uint8_t runs[CLIENTS][CALLS_MAX];
    _Atomic uint8_t repeats[CLIENTS][CALLS_MAX]; /* times that it may run again */
} ledger;

/* Sums over all calls. */
typedef struct ledger_sums {
    uint64_t calls, runs;
    uint64_t by_fate[FATES];
} ledger_sums;

ledger *ledger_create(void);
void ledger_free(ledger *book);

/* Something is wrong, in words. From any process and thread. */
void ledger_complain(ledger *book, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A new call. Returns false where the ledger has no line for it. */
bool ledger_start(ledger *book, unsigned client, uint32_t *ret_number);
void ledger_end(ledger *book, unsigned client, uint32_t number, enum fate fate);
/* The call, which is to be made yet, may run so many times again. */
void ledger_allow(ledger *book, unsigned client, uint32_t number, uint8_t repeats);
/* A call has reached its handler. */
void ledger_run(ledger *book, unsigned client, uint32_t number);

/* Compares fates with runs, line by line, and complains. `killed`: whether a client's processes
 * were killed, so that it may have left calls. */
ledger_sums ledger_balance(ledger *book, const bool killed[CLIENTS]);

uint64_t ledger_now(void);

/* Random numbers, of a seed and a stream. */
typedef struct dice {
    uint64_t state;
} dice;
dice dice_of(uint64_t seed, uint64_t stream);
uint32_t roll(dice *self, uint32_t sides); /* 0 to sides - 1 */

#endif
