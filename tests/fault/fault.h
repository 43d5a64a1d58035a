/* SPDX-License-Identifier: MIT */
/* Stands between the library and the system, and lets chosen calls fail: by the linker's --wrap.
 *
 * While a plan is in force it holds for every thread of the process, so that a test must call
 * nothing of its own that is wrapped meanwhile. Any thread may be in a wrapped call when a plan
 * begins or ends. */
#ifndef DARI_TEST_FAULT_H
#define DARI_TEST_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* What is stood in for. Calls that are one to the test have one name. */
enum fault_call {
    FAULT_ALLOCATE, /* malloc, calloc, realloc, strdup, aligned_alloc */
    FAULT_SOCKET,
    FAULT_CONNECT,
    FAULT_ACCEPT,
    FAULT_BIND,
    FAULT_LISTEN,
    FAULT_EPOLL_CREATE,
    FAULT_EPOLL_ADD, /* epoll_ctl, where it adds: what else it does takes no memory */
    FAULT_EPOLL_WAIT,
    FAULT_POLL,
    FAULT_SEND, /* sendmsg, too */
    FAULT_RECEIVE,
    FAULT_EVENTFD,       /* timerfd_create, too */
    FAULT_EVENTFD_WRITE, /* write, too */
    FAULT_READ,          /* of an eventfd, a timerfd or a pipe; only the last can be short */
    FAULT_RANDOM,
    FAULT_FCNTL,
    FAULT_GETSOCKOPT,
    FAULT_SETSOCKOPT,
    FAULT_GETPEERNAME,
    FAULT_GETSOCKNAME,
    FAULT_MAP,
    FAULT_ADVISE,
    FAULT_THREAD, /* pthread_create */
    FAULT_QUEUE_OPEN,
    FAULT_QUEUE_LOOK,
    FAULT_QUEUE_SEND,
    FAULT_QUEUE_RECEIVE,
    FAULT_QUEUE_REMOVE,
    FAULT_RECEIVE_MESSAGE, /* recvmsg */
    FAULT_MEMORY_FILE,     /* memfd_create */
    FAULT_RESERVE,         /* fallocate */
    FAULT_MAKE_FIFO,
    FAULT_PIPE_WRITE,   /* pwritev2, and writev: short only beyond PIPE_BUF, as with pipes */
    FAULT_NEW_WRITE,    /* pwritev2, which a kernel or its flags may be too old for */
    FAULT_OPEN,         /* openat and opendir, too */
    FAULT_STATUS,       /* stat and those like it, by a name: an open file is there */
    FAULT_MODE,         /* chmod and chown and those like them */
    FAULT_PROCESS,      /* pidfd_open */
    FAULT_RESOLVE,      /* getaddrinfo; the cause is what it returns */
    FAULT_SEND_TO,      /* sendto; a datagram that is sent short has one byte */
    FAULT_RECEIVE_FROM, /* recvfrom */
    FAULT_PIPE,         /* pipe2 */
    FAULT_SPAWN,        /* posix_spawnp; the cause is what it returns */
    FAULT_WAIT,         /* waitid */
    FAULT_CALLS
};

enum fault_effect {
    FAULT_FAILS,          /* nothing is done, and errno is the plan's cause */
    FAULT_SHORT,          /* one byte at most goes through, where that is legal */
    FAULT_NOTHING,        /* poll and epoll_wait say at once that there is nothing */
    FAULT_DONE_BUT_FAILS, /* it is done, and said to have failed */
};

typedef struct fault_plan {
    enum fault_call call;
    enum fault_effect effect;
    int cause;
    unsigned at;    /* so many calls go through before */
    unsigned count; /* and so many are struck then */
} fault_plan;

/* How long the pause after a failure to accept is from now on. Of 0 it is over by the end of the
 * turn that it began in. */
void fault_set_pause(uint64_t duration_ns);

void fault_begin(const fault_plan *plan);
/* Returns how many calls were struck. `ret_calls`: all wrapped calls meanwhile. */
unsigned fault_end(unsigned *ret_calls);

/* "the 3rd send fails: Broken pipe". */
void fault_describe(const fault_plan *plan, char *text, unsigned size);

#endif
