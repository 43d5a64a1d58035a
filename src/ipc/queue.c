/* SPDX-License-Identifier: MIT */
#include "ipc/queue.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is locked are bytes that the queue does not have: ownership, the right to remove the name,
 * and the owner's mark, whose place is its process. Seals are beyond all marks. */
enum lock_place { LOCK_OWNER = 0, LOCK_NAME = 1, LOCK_PROCESSES = 16 };
#define LOCK_SEALS ((off_t)1 << 61)

/* A mode's bit without a meaning for queues, which outlives the process that sets it. */
#define MODE_AWAITED S_IXUSR

/* How often a name is tried that others take and give up meanwhile. */
#define TRIES 16

/* A mark has the process in its low bits, the note above. The owner reads up to its place, and
 * writes from there on: so nobody who may but write to the queue can mark another place. */
#define PROCESS_BITS 22
#define MARKS ((off_t)1 << 30)

static int fail(di_queue_failure *failure, int error, int cause, const char *words)
{
    *failure = (di_queue_failure){.cause = cause, .words = words};
    return error;
}

/* Returns 1, or 0 where somebody else has locked some of them, or DARI_ERRNO. */
static int lock_places(int descriptor, short type, off_t place, off_t size)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = place, .l_len = size};
    if (fcntl(descriptor, F_OFD_SETLK, &lock) == 0)
        return 1;
    return errno == EAGAIN || errno == EACCES ? 0 : DARI_ERRNO;
}

static int lock(int descriptor, off_t place)
{
    return lock_places(descriptor, F_WRLCK, place, 1);
}

/* Finds the first of `size` places from `place` on that somebody else has locked to write. Returns
 * 1, or 0 where there is none, or DARI_ERRNO. */
static int find_lock(int descriptor, off_t place, off_t size, off_t *ret_place)
{
    struct flock one = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = place, .l_len = size};
    if (fcntl(descriptor, F_OFD_GETLK, &one) < 0)
        return DARI_ERRNO;
    if (one.l_type == F_UNLCK)
        return 0;
    *ret_place = one.l_start;
    return 1;
}

static int has_lock(int descriptor, off_t place)
{
    off_t found;
    return find_lock(descriptor, place, 1, &found);
}

static int fail_to_lock(di_queue_failure *failure)
{
    return fail(failure, DARI_ERRNO, errno, "the queue cannot be locked");
}

static int64_t read_limit(const char *path)
{
    long long limit = -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    if (fscanf(file, "%lld", &limit) != 1)
        limit = -1;
    fclose(file);
    return limit;
}

/* Where a size is beyond a limit of the system: names it. */
static int refuse_shape(const di_queue_shape *shape, di_queue_failure *failure)
{
    static const char *const words[] = {
        "more messages than fs.mqueue.msg_max allows a queue (sysctl raises it)",
        "larger messages than fs.mqueue.msgsize_max allows (sysctl raises it)",
    };
    const int64_t wanted[] = {shape->messages, shape->bytes};
    const int64_t limits[] = {read_limit("/proc/sys/fs/mqueue/msg_max"),
                              read_limit("/proc/sys/fs/mqueue/msgsize_max")};
    for (int i = 0; i < 2; i++)
        if (limits[i] >= 0 && wanted[i] > limits[i]) {
            *failure = (di_queue_failure){EINVAL, words[i], wanted[i], limits[i]};
            return DARI_LIMIT;
        }
    return fail(failure, DARI_ERRNO, EINVAL, "the system makes no queue of this size");
}

/* One errno stands for two limits: whether it is descriptors that have run out. */
static bool descriptors_ran_out(void)
{
    int descriptor = eventfd(0, EFD_CLOEXEC);
    if (descriptor >= 0)
        close(descriptor);
    return descriptor < 0;
}

static int explain(const di_queue_shape *shape, int cause, di_queue_failure *failure)
{
    switch (cause) {
    case ENOENT:
        return fail(failure, DARI_REFUSED, cause, NULL);
    case EACCES:
    case EPERM:
        return fail(failure, DARI_PERMISSION, cause, "the queue belongs to another user");
    case ENOMEM:
        return fail(failure, DARI_NO_MEMORY, cause, NULL);
    case ENOSYS:
        return fail(failure, DARI_ERRNO, cause, "this system has no message queues");
    case ENOSPC:
        return fail(failure, DARI_LIMIT, cause,
                    "as many queues as fs.mqueue.queues_max allows are there (sysctl raises it)");
    case EINVAL:
    case EOVERFLOW:
        return shape ? refuse_shape(shape, failure) : fail(failure, DARI_ERRNO, cause, NULL);
    case EMFILE:
        if (shape && !descriptors_ran_out())
            return fail(failure, DARI_LIMIT, cause,
                        "RLIMIT_MSGQUEUE leaves this user no bytes for the queue (ulimit -q, "
                        "LimitMSGQUEUE= or limits.conf raise it)");
        break;
    default:
        break;
    }
    return fail(failure, DARI_ERRNO, cause, NULL);
}

/* Learns what the queue of an open descriptor is like. */
static int look_at(int descriptor, di_queue *ret_queue)
{
    struct stat status;
    struct mq_attr attributes;
    if (fstat(descriptor, &status) < 0 || mq_getattr(descriptor, &attributes) < 0)
        return DARI_ERRNO;
    *ret_queue = (di_queue){.descriptor = descriptor,
                            .messages = (uint32_t)attributes.mq_maxmsg,
                            .bytes = (uint32_t)attributes.mq_msgsize,
                            .uid = status.st_uid,
                            .inode = status.st_ino};
    return 0;
}

static int take(int descriptor, const di_queue_shape *shape, di_queue *ret_queue,
                di_queue_failure *failure)
{
    if (descriptor < 0)
        return explain(shape, errno, failure);
    int error = look_at(descriptor, ret_queue);
    if (error < 0) {
        fail(failure, error, errno, NULL);
        close(descriptor);
    }
    return error;
}

int di_queue_open(const char *name, int access, di_queue *ret_queue, di_queue_failure *failure)
{
    return take(mq_open(name, access | O_NONBLOCK | O_CLOEXEC), NULL, ret_queue, failure);
}

void di_queue_disown(const di_queue *queue)
{
    lock_places(queue->descriptor, F_UNLCK, 0, 0);
}

void di_queue_close(di_queue *queue)
{
    if (queue->descriptor >= 0)
        close(queue->descriptor);
    queue->descriptor = -1;
}

pid_t di_queue_owner(const di_queue *queue, uint8_t *ret_note)
{
    off_t mark = 0;
    int found = has_lock(queue->descriptor, LOCK_OWNER);
    if (found > 0)
        found = find_lock(queue->descriptor, LOCK_PROCESSES, MARKS, &mark);
    if (found <= 0)
        return found;
    mark -= LOCK_PROCESSES;
    *ret_note = (uint8_t)(mark >> PROCESS_BITS);
    return (pid_t)(mark & ((1 << PROCESS_BITS) - 1));
}

int di_queue_await(const di_queue *queue)
{
    struct stat status;
    if (fstat(queue->descriptor, &status) < 0 ||
        fchmod(queue->descriptor, (status.st_mode & 0777) | MODE_AWAITED) < 0)
        return DARI_ERRNO;
    return 0;
}

bool di_queue_is_named(const di_queue *queue)
{
    struct stat status;
    return fstat(queue->descriptor, &status) == 0 && status.st_nlink > 0;
}

int di_queue_remove_name(const di_queue *queue, const char *name)
{
    int locked = lock(queue->descriptor, LOCK_NAME);
    if (locked <= 0 || !di_queue_is_named(queue))
        return locked < 0 ? locked : 0;
    return mq_unlink(name) < 0 ? DARI_ERRNO : 1;
}

static off_t place_of_seal(uint64_t seal)
{
    return LOCK_SEALS + (off_t)(seal & (((uint64_t)1 << 61) - 1));
}

int di_queue_seal(const di_queue *queue, uint64_t seal)
{
    return lock(queue->descriptor, place_of_seal(seal)) > 0 ? 0 : DARI_ERRNO;
}

int di_queue_has_seal(const di_queue *queue, uint64_t seal)
{
    return has_lock(queue->descriptor, place_of_seal(seal));
}

int di_queue_is_claimed(const di_queue *queue)
{
    return has_lock(queue->descriptor, LOCK_NAME);
}

static bool is_awaited(const di_queue *queue)
{
    struct stat status;
    return fstat(queue->descriptor, &status) == 0 && status.st_mode & MODE_AWAITED;
}

/* Takes the ownership of a queue that nobody owns, and the right to its name. In this order: while
 * there is an owner, or somebody is awaited, whoever is to remove the name finds the right to it
 * free. Returns 1, or 0 where it is somebody else's, or DARI_ERRNO. */
static int inherit(const di_queue *queue, bool all)
{
    int locked = lock(queue->descriptor, LOCK_OWNER);
    if (locked > 0 && !all && is_awaited(queue))
        return 0;
    return locked > 0 ? lock(queue->descriptor, LOCK_NAME) : locked;
}

int di_queue_reclaim(const char *name, bool all, di_queue_failure *failure)
{
    di_queue queue;
    int error = di_queue_open(name, O_RDWR, &queue, failure);
    if (error < 0)
        return error == DARI_REFUSED ? 0 : error;
    int locked = inherit(&queue, all);
    if (locked < 0)
        error = fail_to_lock(failure);
    else if (locked == 0)
        error = fail(failure, DARI_IN_USE, 0,
                     "the queue's lock is held: by a living owner or a child that it forked");
    else if (di_queue_is_named(&queue) && mq_unlink(name) < 0 && errno != ENOENT)
        error = explain(NULL, errno, failure);
    di_queue_close(&queue);
    return error;
}

/* Owns a queue that was just made, unless somebody has taken it for one without an owner. Returns
 * 1, or 0 where that is so, or DARI_ERRNO. */
static int own(const di_queue *queue, const di_queue_shape *shape)
{
    off_t mark = (off_t)shape->note << PROCESS_BITS | (off_t)getpid();
    int locked = lock(queue->descriptor, LOCK_OWNER);
    if (locked > 0)
        locked = lock_places(queue->descriptor, F_RDLCK, LOCK_PROCESSES, mark);
    if (locked > 0)
        locked = lock_places(queue->descriptor, F_WRLCK, LOCK_PROCESSES + mark, MARKS - mark);
    return locked > 0 ? di_queue_is_named(queue) : locked;
}

/* Nobody will own a queue that cannot be locked: removes its name. */
static int give_up(di_queue *queue, const char *name, di_queue_failure *failure)
{
    int error = fail_to_lock(failure);
    if (di_queue_is_named(queue))
        mq_unlink(name);
    di_queue_close(queue);
    return error;
}

int di_queue_create(const char *name, const di_queue_shape *shape, bool all, di_queue *ret_queue,
                    di_queue_failure *failure)
{
    struct mq_attr attributes = {.mq_maxmsg = (long)shape->messages,
                                 .mq_msgsize = (long)shape->bytes};
    for (int i = 0; i < TRIES; i++) {
        di_queue queue;
        int descriptor = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC,
                                 (mode_t)(S_IRUSR | S_IWUSR), &attributes);
        int error = 0;
        if (descriptor < 0 && errno == EEXIST) {
            error = di_queue_reclaim(name, all, failure);
            if (error < 0)
                return error;
            continue;
        }
        error = take(descriptor, shape, &queue, failure);
        if (error < 0)
            return error;
        /* Whatever the process's mask is. */
        int owned = own(&queue, shape);
        if (owned < 0)
            return give_up(&queue, name, failure);
        if (owned > 0 && fchmod(queue.descriptor, S_IRUSR | S_IWUSR) == 0) {
            *ret_queue = queue;
            return 0;
        }
        di_queue_close(&queue);
    }
    return fail(failure, DARI_IN_USE, 0, "others make and remove the queue all the time");
}

static int explain_share(int cause, const char *words, di_queue_failure *failure)
{
    return fail(failure, cause == EPERM ? DARI_PERMISSION : DARI_ERRNO, cause, words);
}

int di_queue_share(const di_queue *queue, gid_t group, mode_t mode, di_queue_failure *failure)
{
    int locked = lock(queue->descriptor, LOCK_NAME);
    if (locked < 0)
        return fail_to_lock(failure);
    if (locked == 0)
        return fail(failure, DARI_IN_USE, 0, "somebody else has the right to the queue's name");
    if (group != (gid_t)-1 && fchown(queue->descriptor, (uid_t)-1, group) < 0)
        return explain_share(errno, "the queue cannot be given to the group", failure);
    if (fchmod(queue->descriptor, mode) < 0)
        return explain_share(errno, "the queue cannot be opened to others", failure);
    return 0;
}

int di_queue_send(const di_queue *queue, const void *bytes, size_t size, unsigned priority)
{
    while (mq_send(queue->descriptor, bytes, size, priority) < 0) {
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return DARI_ERRNO;
    }
    return 1;
}

int di_queue_receive(const di_queue *queue, void *bytes, size_t *ret_size)
{
    for (;;) {
        ssize_t got = mq_receive(queue->descriptor, bytes, queue->bytes, NULL);
        if (got >= 0) {
            *ret_size = (size_t)got;
            return 1;
        }
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return DARI_ERRNO;
    }
}

uint32_t di_queue_count(const di_queue *queue)
{
    struct mq_attr attributes;
    return mq_getattr(queue->descriptor, &attributes) < 0 ? 0 : (uint32_t)attributes.mq_curmsgs;
}
