/* SPDX-License-Identifier: MIT */
/* The hostile side of a shm: connection, which acts by a script: the input of a fuzzer. It meets
 * the other side with what an honest one says, damaged or not, and then writes what it likes into
 * rings, cursors and flags, wakes, punches holes, passes descriptors and hangs up, between two
 * turns of the other side or while that is within a system call.
 *
 * A script begins with HOSTILE_HEAD bytes, which say how the two meet. Each step is then a byte of
 * enum hostile_step and its operands, numbers of some bytes, the lowest first. What the script does
 * not have any more is zero.
 *
 * The other side runs in the same thread. The linker puts __wrap_ functions, which are here, in the
 * place of some of the system: --wrap. Those of memory keep a page free at both ends of what is
 * mapped, so that nothing beyond it is written or read unseen. */
#ifndef TESTS_FUZZ_SHM_HOSTILE_H
#define TESTS_FUZZ_SHM_HOSTILE_H

#include "transport/shm_meeting.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOSTILE_HEAD 12

/* How the first message is damaged, the first byte of the head: honest below this number. Then come
 * a word's place (1), what is done to it (1), its value (4), the bytes that are sent at first (1),
 * copies of the descriptor (1) and the kind of memory (1). */
#define HOSTILE_HONEST 200u

enum hostile_step {
    STEP_WRITE, /* so many bytes (2) as an honest side does, which follow */
    STEP_TURN,  /* the other side does all that it has to */
    STEP_TAKE,  /* reads all, as an honest side does */
    STEP_SLEEP, /* announces that it sleeps, as an honest side does */
    STEP_WAKE,  /* so often (1) */
    STEP_WORD,  /* a word that is shared (1) becomes, in a way (1), a value (4) */
    STEP_BYTE,  /* a byte of the ring that it writes (4) becomes that one (1) */
    STEP_FLOOD, /* wakes without end */
    STEP_HOLE,  /* turns a page of the memory (1) to zero */
    STEP_PASS,  /* passes so many descriptors (1) */
    STEP_LATER, /* the next step is taken within the other side's system call of that number (1) */
    STEP_HANG,  /* hangs up: one direction or both (1) */
    STEP_LEND,  /* refers to so many bytes (4) of its loans (at 4), where it has some */
    STEP_SLOT,  /* a word of the references (2) becomes a value (4) */
    STEP_COUNT
};

typedef struct hostile {
    const uint8_t *at, *end; /* of the script */
    bool serves;
    int socket;
    int memory;          /* a descriptor of it, or -1 */
    size_t loans;        /* of a client: bytes that it wants to lend */
    di_shm_memory rings; /* none where they could not meet */
    di_ring_writer writer;
    di_ring_reader reader;
    di_lender lender;         /* of a client that was granted loans */
    void (*turn)(void *user); /* lets the other side do all that it has to do now */
    void *user;
    unsigned later; /* system calls until the next step is taken within one; 0: it is not */
} hostile;

void hostile_check(bool holds);

/* The descriptors that are open, of the first 64, a bit each. */
uint64_t hostile_descriptors(void);

/* Begins with a script of at least HOSTILE_HEAD bytes, as the other side's server or client. The
 * socket, which does not block, is its own from now on. */
void hostile_begin(hostile *self, const uint8_t *script, size_t size, bool serves, int socket);

/* Says the first message: a client's hello, before the other side is there, or a server's offer. */
void hostile_meet(hostile *self);

/* Of a client: maps what the server has offered, if it has. */
void hostile_hear(hostile *self);

/* Takes all steps. */
void hostile_act(hostile *self);

/* Hangs up. */
void hostile_end(hostile *self);

#endif
