/* SPDX-License-Identifier: MIT */
/* POSIX message queues whose names have a living owner, or are free to take.
 *
 * Who makes a queue owns it: by a lock on the queue itself, which the kernel gives up once the
 * process and all children that inherited the descriptor are dead. Beside the lock it marks its
 * process, so that others can watch for its end. A second lock is the right to remove the name: who
 * has it and finds the name still on this queue removes that and nothing else. So a queue without
 * an owner is replaced without a race, and a living owner's is left alone. Who may write to a queue
 * cannot lock what its living owner has; but he can take ownership of a dead one's, and so keep its
 * name taken for as long as he lives.
 *
 * Descriptors are close-on-exec and non-blocking, and poll tells when they have messages or room. A
 * queue belongs to one thread at a time, but sending and receiving are the kernel's, from any. */
#ifndef DI_IPC_QUEUE_H
#define DI_IPC_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The highest priority that POSIX guarantees; the lowest is 0. */
#define DI_QUEUE_PRIORITY_MAX 31u
/* The longest name, without its terminator and with its slash. */
#define DI_QUEUE_NAME_MAX 255u

/* A zeroed one is no queue; close takes a descriptor of -1. */
typedef struct di_queue {
    int descriptor;
    uint32_t messages; /* that it holds at most */
    uint32_t bytes;    /* of a message at most */
    uid_t uid;         /* whose it is */
    uint64_t inode;    /* tells it from all others that there are */
} di_queue;

/* What a queue is to be like. */
typedef struct di_queue_shape {
    uint32_t messages;
    uint32_t bytes;
    uint8_t note; /* told together with the owner */
} di_queue_shape;

/* Why something failed, beside the code. */
typedef struct di_queue_failure {
    int cause;         /* errno, or 0 */
    const char *words; /* static: names the limit and what raises it; or NULL */
    int64_t found;     /* with words: what is wanted, and the most that it may be; 0: not told */
    int64_t allowed;
} di_queue_failure;

/* Makes and owns a queue that is open to this user alone. One of that name without an owner is
 * replaced, unless it waits for somebody (di_queue_await) and `all` is not set. Errors:
 * DARI_IN_USE, DARI_PERMISSION, DARI_LIMIT, DARI_NO_MEMORY, DARI_ERRNO. */
int di_queue_create(const char *name, const di_queue_shape *shape, bool all, di_queue *ret_queue,
                    di_queue_failure *ret_failure);

/* Opens an own queue to others: gives it to a group, unless that is (gid_t)-1, and then the mode.
 * Whoever may write to it finds nothing that he could lock. Returns 0, or an error as above. */
int di_queue_share(const di_queue *queue, gid_t group, mode_t mode, di_queue_failure *ret_failure);

/* Opens a queue for `access`: O_RDONLY, O_WRONLY or O_RDWR. Errors: DARI_REFUSED (there is none),
 * DARI_PERMISSION, DARI_NO_MEMORY, DARI_ERRNO. */
int di_queue_open(const char *name, int access, di_queue *ret_queue, di_queue_failure *ret_failure);

/* Gives back all locks and so ends ownership, also where children hold the queue that they have
 * inherited. What is left to do is to close it. */
void di_queue_disown(const di_queue *queue);

/* Closes it, which ends ownership. The name stays. */
void di_queue_close(di_queue *queue);

/* The process that owns the queue as it has marked itself, and its note; or 0 where nobody owns it,
 * or DARI_ERRNO where that cannot be told. */
pid_t di_queue_owner(const di_queue *queue, uint8_t *ret_note);

/* Says that somebody has been told of the queue and will come for it: while it waits, its owner's
 * death alone does not free the name. Of an own queue. Returns 0 or DARI_ERRNO. */
int di_queue_await(const di_queue *queue);

/* Takes the right to remove the name, until the queue is closed, and removes the name if it is
 * this queue's. For that the queue is open to write. Returns 1, or 0 where somebody else has the
 * right or the name is not this queue's, or DARI_ERRNO. */
int di_queue_remove_name(const di_queue *queue, const char *name);
/* Whether somebody has the right to remove the name: 1, 0 or DARI_ERRNO. */
int di_queue_is_claimed(const di_queue *queue);

/* Puts a seal on a queue that is open to write: 61 bits of the number, which last as long as the
 * queue is open. Returns 0 or DARI_ERRNO. */
int di_queue_seal(const di_queue *queue, uint64_t seal);
/* Whether somebody else has put it there: 1, 0 or DARI_ERRNO. */
int di_queue_has_seal(const di_queue *queue, uint64_t seal);

/* Frees a name whose queue nobody owns, as di_queue_create does. Returns 0 where nothing has the
 * name now, or DARI_IN_USE, or as di_queue_open. */
int di_queue_reclaim(const char *name, bool all, di_queue_failure *ret_failure);

/* Whether the queue has a name: that by which it was made, since it never has another. */
bool di_queue_is_named(const di_queue *queue);

/* Sends a message of at most queue->bytes. Returns 1, or 0 where the queue is full, or DARI_ERRNO.
 */
int di_queue_send(const di_queue *queue, const void *bytes, size_t size, unsigned priority);
/* Takes the oldest message of the highest priority; there is room for queue->bytes. Returns 1, or 0
 * where there is none, or DARI_ERRNO. */
int di_queue_receive(const di_queue *queue, void *bytes, size_t *ret_size);
/* Messages that are in it. */
uint32_t di_queue_count(const di_queue *queue);

#endif
