/* SPDX-License-Identifier: MIT */
/* The context of one call: what is asked of it going in, what became of it coming out.
 *
 *   dari_call call = DARI_CALL(.deadline_ns = 50 * DARI_MS);
 *   if (readdir_3(client, &where, &listing, &call) < 0)
 *       fprintf(stderr, "%s\n", dari_call_message(&call));
 *   dari_call_end(&call);
 *
 * A context belongs to one call at a time and to the thread that makes it. What the results of
 * synchronous calls hold adds up in it: earlier results stay valid until dari_call_reset or
 * dari_call_end, and whoever calls in a loop resets the context each time. A call that is started
 * (client.h) gives back what was there. */
#ifndef DARI_CALL_H
#define DARI_CALL_H

#include <dari/arena.h>
#include <dari/cancel.h>
#include <dari/xdr.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Durations are in nanoseconds. */
#define DARI_US UINT64_C(1000)
#define DARI_MS UINT64_C(1000000)
#define DARI_S UINT64_C(1000000000)

/* How long a call may take where neither it nor its client says: 25 s. */
#define DARI_DEADLINE_DEFAULT_NS (25 * DARI_S)

/* The bytes of an address that a context keeps for its message, with the terminator. */
#define DARI_CALL_PEER_SIZE 128
#define DARI_CALL_TEXT_SIZE 384

/* The highest priority of a call. */
#define DARI_PRIORITY_MAX 31u

typedef struct dari_call {
    /* In. */
    uint64_t deadline_ns; /* time allowed from the start of the call; 0: the client's default */
    dari_cancel *cancel;  /* ends the call early (cancel.h); NULL: nothing does */
    uint32_t priority;    /* mq: the call overtakes those of lower priority that other clients have
                             sent and the server has not read yet. The calls of one client stay in
                             order: one that is urgent takes along what its client has to send
                             before. 0 to DARI_PRIORITY_MAX, or DARI_INVALID. Other schemes know no
                             priorities */

    /* Out: valid once the call has returned. */
    int error;          /* what the call returned: 0 or enum dari_error */
    int system_error;   /* errno of the system call that failed, or 0 */
    bool may_have_run;  /* false: the procedure has not run: the call was never sent in full, or the
                           server says so with RPC_MISMATCH, AUTH_ERROR, PROG_UNAVAIL,
                           PROG_MISMATCH, PROC_UNAVAIL or GARBAGE_ARGS */
    uint32_t low, high; /* DARI_PROGRAM_MISMATCH, DARI_RPC_MISMATCH: the versions that are there */
    uint32_t auth_status;           /* DARI_AUTH: enum auth_stat of RFC 5531, section 9 */
    dari_fault fault;               /* a value or message that is wrong: which field, and how;
                                       DARI_DEADLINE: why there was no connection, if so */
    uint64_t allowed_ns;            /* the deadline that applied */
    const char *procedure;          /* static: its name in the interface file; or what was done */
    char peer[DARI_CALL_PEER_SIZE]; /* the address of the other side, cut where it is longer */

    /* The result's memory: everything that a result points to. */
    dari_arena arena;
    void *held;  /* large replies that the result points into, */
    void *spare; /* and memory for further ones; both are the library's own */

    char text[DARI_CALL_TEXT_SIZE]; /* what dari_call_message wrote */
} dari_call;

/* A context with the given members set: DARI_CALL(.deadline_ns = 50 * DARI_MS). C only; in C++
 * start from `dari_call call = {};`. */
#define DARI_CALL(...) ((dari_call){__VA_ARGS__})

/* What became of the last call, in one line without a full stop:
 * "tcp://db:2049: READDIR: deadline of 50 ms passed, may have run". The text lives in the context
 * until the next use of it. Never NULL. */
const char *dari_call_message(dari_call *call);

/* Gives back what results hold, but keeps the memory so that the next call allocates nothing. The
 * outcome is cleared; what was set going in stays. */
void dari_call_reset(dari_call *call);

/* Gives back what results hold, and the memory. Takes NULL; may be called twice. */
void dari_call_end(dari_call *call);

#ifdef __cplusplus
}
#endif

#endif
