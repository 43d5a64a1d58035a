/* SPDX-License-Identifier: MIT */
/* Error codes: what every function of dari returns below zero.
 *
 * A function returns 0 or a positive result, or one of these negative codes, forwarded as it is
 * from where it arose. Details (errno, the field of a message, the version range of a server) are
 * in the call context or the object that the function's own documentation names. */
#ifndef DARI_ERROR_H
#define DARI_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum dari_error {
    DARI_OK = 0,

    /* This process. */
    DARI_NO_MEMORY = -1, /* an allocation failed */
    DARI_INVALID = -2,   /* an argument is outside the function's contract */
    DARI_ERRNO = -3,     /* a system call failed: the details hold errno */
    DARI_LIMIT = -4,     /* a named limit on a size, a count or a depth */
    DARI_DEADLINE = -5,  /* the time allowed has passed */
    DARI_FORKED = -6,    /* the handle belongs to the parent of this process */
    DARI_GENERATOR = -7, /* the generated code was made for another version of this library */
    DARI_CANCELLED = -8, /* the caller has cancelled the call */
    DARI_FULL = -9,      /* too much waits to be sent, or is lent: make progress, and try again */
    DARI_DEADLOCK = -10, /* this thread would wait for what it has to do itself */

    /* Finding the other side, and losing it. */
    DARI_ADDRESS = -20,        /* the address cannot be read, or names nothing */
    DARI_SCHEME = -21,         /* the address begins with a scheme that is not there */
    DARI_REFUSED = -22,        /* nobody listens at the address */
    DARI_CLOSED = -23,         /* the other side closed the connection or died */
    DARI_IN_USE = -24,         /* the address has a living owner */
    DARI_PERMISSION = -25,     /* the system does not allow it */
    DARI_NOT_REGISTERED = -26, /* rpcbind at the host does not know the program */
    DARI_RPCBIND = -27,        /* rpcbind does not do what it was asked, or answers nonsense */
    DARI_LAYOUT = -28,         /* shm, mq: the other side has another version of what they share */
    DARI_PROTOCOL = -29,       /* shm, mq: the other side breaks the rules of what they share */

    /* Values and messages (RFC 4506). */
    DARI_TRUNCATED = -40, /* the message ends inside a value */
    DARI_TRAILING = -41,  /* bytes are left after the value */
    DARI_BOUND = -42,     /* longer than the interface declares */
    DARI_ENUM = -43,      /* a number that the enumeration does not declare */
    DARI_BOOL = -44,      /* a boolean that is neither 0 nor 1 */
    DARI_PADDING = -45,   /* padding that is not zero */
    DARI_NUL = -46,       /* a zero byte inside a string */
    DARI_ARM = -47,       /* a discriminant without an arm */
    DARI_RANGE = -48,     /* a number that does not fit its type */
    DARI_MISSING = -49,   /* a null pointer where a value must be */
    DARI_BUDGET = -50,    /* decoding needs more memory than a message may take */
    DARI_DEPTH = -51,     /* nested deeper than allowed */

    /* What a server answered (RFC 5531, section 9). */
    DARI_RPC_MISMATCH = -70,          /* RPC_MISMATCH: another version of RPC itself */
    DARI_AUTH = -71,                  /* AUTH_ERROR: the credential or verifier was refused */
    DARI_PROGRAM_UNAVAILABLE = -72,   /* PROG_UNAVAIL */
    DARI_PROGRAM_MISMATCH = -73,      /* PROG_MISMATCH: the details hold the range of versions */
    DARI_PROCEDURE_UNAVAILABLE = -74, /* PROC_UNAVAIL */
    DARI_GARBAGE_ARGUMENTS = -75,     /* GARBAGE_ARGS: the server could not decode them */
    DARI_SYSTEM_ERROR = -76,          /* SYSTEM_ERR: the server failed */
    DARI_BAD_REPLY = -77              /* the reply is no RPC reply */
};

/* The name of a code as written above, "DARI_BOUND"; "DARI_?" for a number that is no code. Static.
 */
const char *dari_error_name(int error);

/* A code in words, without a full stop: "longer than the interface declares". Static. */
const char *dari_error_text(int error);

#ifdef __cplusplus
}
#endif

#endif
