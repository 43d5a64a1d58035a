/* SPDX-License-Identifier: MIT */
/* fifo:PATH, the server's side: the FIFO by which requests come, and what becomes of them.
 *
 * All clients write into one inlet. What is no request costs its writer's line and nothing else: it
 * is passed over up to the next end of a line, with which every request begins. So a client that
 * writes garbage can fill the inlet, and keeps the server busy for as long as it writes; it cannot
 * make others' requests unreadable. Of a request only FIFOs are opened that lie beside the inlet,
 * are nobody else's (but of the group that has the inlet, where it has), and have a living reader.
 * The path belongs to who holds its lock (path_lock.h). */
#include "transport/fifo.h"

#include "base/fork_guard.h"
#include "transport/access.h"
#include "transport/failure.h"
#include "transport/fifo_request.h"
#include "transport/path_lock.h"
#include "transport/pipes.h"

#include <dari/error.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Reads of the inlet in one accept: garbage does not keep the loop from others. */
#define READS_MAX 64

typedef struct fifo_listener {
    di_listener head;
    di_fork_guard guard; /* a child that inherited this removes no files */
    di_path_lock lock;
    di_text address;            /* "fifo:PATH" */
    di_access access;           /* who may connect */
    char line[DI_FIFO_REQUEST]; /* what has come of a line, without its end */
    size_t size;
    bool is_garbage; /* the line is too long: its rest is passed over */
} fifo_listener;

static const char *path_of(const fifo_listener *listener)
{
    return listener->address.data + strlen("fifo:");
}

/* Whether a client's FIFO is open to others than its owner, and than the group that shares it with
 * the server. */
static bool is_exposed(const di_access *access, const struct stat *status)
{
    bool shared = di_access_is_of_group(access) && status->st_gid == access->group;
    return status->st_mode & (shared ? S_IRWXO : S_IRWXG | S_IRWXO);
}

/* Opens a client's FIFO, which is nobody else's than `owner`'s ((uid_t)-1: any one's, who is told).
 * Nothing else is opened: that could have effects. Returns -1, and errno, where it is not there. */
static int open_client(const di_access *access, const char *path, int flags, struct stat *owner)
{
    struct stat before, opened;
    if (lstat(path, &before) < 0)
        return -1;
    errno = EPERM;
    if (!S_ISFIFO(before.st_mode) || is_exposed(access, &before))
        return -1;
    if (owner->st_uid != (uid_t)-1 && before.st_uid != owner->st_uid)
        return -1;
    int end = open(path, flags | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    if (end < 0)
        return -1;
    if (fstat(end, &opened) < 0 || opened.st_dev != before.st_dev ||
        opened.st_ino != before.st_ino || opened.st_uid != before.st_uid ||
        is_exposed(access, &opened)) {
        close(end);
        errno = EPERM;
        return -1;
    }
    *owner = opened;
    return end;
}

/* One peer is one user, as with unix:. Which process it is the kernel does not say. */
static void describe(di_peer *peer, const struct stat *owner)
{
    peer->has_process = true;
    peer->uid = owner->st_uid;
    peer->gid = owner->st_gid;
    peer->key[0] = AF_UNIX;
    memcpy(peer->key + 1, &peer->uid, sizeof peer->uid);
}

/* Whether what has failed by it may go well later, whatever the client does. */
static bool is_passing(int cause)
{
    return cause == EMFILE || cause == ENFILE || cause == ENOMEM || cause == EINTR;
}

/* Makes the connection of open ends, and tells the client. Returns DI_MOVED, DI_BLOCKED where the
 * client has gone, DARI_PERMISSION where it may not connect, DARI_NO_MEMORY, or DARI_ERRNO where it
 * could not be told yet. */
static int welcome(fifo_listener *listener, int in, int out, const struct stat *owner,
                   di_connection **ret_connection)
{
    di_pipes *pipes = NULL;
    di_pipe_end own_in = di_pipe_end_own(in), own_out = di_pipe_end_own(out);
    const di_access *access = &listener->access;
    bool admitted = !di_access_asks(access) || di_access_admits_user(access, owner->st_uid);
    char byte = admitted ? DI_FIFO_WELCOME : DI_FIFO_REFUSAL;
    ssize_t told;
    do
        told = di_pipe_end_write(&own_out, &(struct iovec){&byte, 1}, 1);
    while (told < 0 && errno == EINTR);
    if (told != 1)
        return told < 0 && is_passing(errno) ? DARI_ERRNO : DI_BLOCKED;
    if (!admitted) {
        listener->head.stranger = owner->st_uid;
        return DARI_PERMISSION;
    }
    int error = di_pipes_create(&own_in, &own_out, -1, "fifo:", &pipes);
    if (error < 0)
        return error;
    describe(&pipes->peer, owner);
    *ret_connection = &pipes->stream.head;
    return DI_MOVED;
}

/* Where the client has written and closed its end before this one was opened, poll would not tell
 * of the end of the file: it tells where a writer has come and gone since. */
static bool pass_by(const char *path)
{
    int end = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    if (end >= 0)
        close(end);
    return end >= 0;
}

/* Both names are used up once the client has been told, and where it has died. */
static int meet(fifo_listener *listener, const di_fifo_names *names, di_connection **ret_connection)
{
    const di_access *access = &listener->access;
    struct stat owner = {.st_uid = (uid_t)-1};
    int in = open_client(access, names->to_server.data, O_RDONLY, &owner);
    if (in < 0)
        return is_passing(errno) ? DARI_ERRNO : DI_BLOCKED;
    int out = -1;
    if (pass_by(names->to_server.data))
        out = open_client(access, names->to_client.data, O_WRONLY, &owner);
    int cause = errno, result = DI_BLOCKED;
    if (out >= 0) {
        result = welcome(listener, in, out, &owner, ret_connection);
        cause = errno;
    } else if (is_passing(cause)) {
        result = DARI_ERRNO;
    }
    if (result != DARI_ERRNO && (out >= 0 || cause == ENXIO))
        di_fifo_names_remove(names);
    if (result != DI_MOVED) {
        close(in);
        if (out >= 0)
            close(out);
    }
    errno = cause;
    return result;
}

/* Answers the request with these digits: DI_MOVED and a connection, DI_BLOCKED where there is none,
 * or an error. */
static int answer(fifo_listener *listener, const char *digits, di_connection **ret_connection)
{
    di_fifo_names names;
    int result = di_fifo_names_make(path_of(listener), digits, &names);
    if (result == 0)
        result = meet(listener, &names, ret_connection);
    int cause = errno;
    di_fifo_names_free(&names);
    errno = cause;
    return result;
}

/* Takes the first line from what has come. Returns its digits, if it is a request, which stay until
 * more is read; NULL otherwise. `ret_used`: bytes that are done with then. */
static const char *take_line(fifo_listener *listener, size_t *ret_used)
{
    const char *end = memchr(listener->line, '\n', listener->size);
    const char *digits = NULL;
    if (end && !listener->is_garbage)
        digits = di_fifo_request_read(listener->line, (size_t)(end - listener->line));
    if (end)
        listener->is_garbage = false;
    else if (listener->size == sizeof listener->line)
        listener->is_garbage = true;
    *ret_used = end                    ? (size_t)(end - listener->line) + 1
                : listener->is_garbage ? listener->size
                                       : 0;
    return digits;
}

static void drop(fifo_listener *listener, size_t size)
{
    listener->size -= size;
    memmove(listener->line, listener->line + size, listener->size);
}

/* Puts a request back for which there were no descriptors or no memory: the kernel tells of it
 * again. Where the inlet is full it is lost, and its client waits until its deadline. */
static void put_back(const fifo_listener *listener, size_t size)
{
    char request[DI_FIFO_REQUEST + 1] = "\n";
    int cause = errno;
    memcpy(request + 1, listener->line, size);
    if (write(listener->head.descriptor, request, size + 1) < 0)
        errno = cause;
    errno = cause;
}

/* Reads no more than one request takes, so that none is left here where the kernel does not tell of
 * it. */
static int fifo_accept(di_listener *base, di_connection **ret_connection)
{
    fifo_listener *listener = (fifo_listener *)base;
    for (int reads = 0;;) {
        size_t used;
        const char *digits = take_line(listener, &used);
        int result = digits ? answer(listener, digits, ret_connection) : DI_BLOCKED;
        if (result < 0 && result != DARI_PERMISSION)
            put_back(listener, used);
        drop(listener, used);
        if (result != DI_BLOCKED)
            return result;
        if (used)
            continue;
        if (reads++ == READS_MAX)
            return DI_BLOCKED;
        ssize_t got = read(base->descriptor, listener->line + listener->size,
                           sizeof listener->line - listener->size);
        if (got > 0)
            listener->size += (size_t)got;
        else if (got == 0 || errno == EAGAIN)
            return DI_BLOCKED;
        else if (errno != EINTR)
            return DARI_ERRNO;
    }
}

static const char *fifo_address(const di_listener *listener)
{
    return ((const fifo_listener *)listener)->address.data;
}

static void fifo_close_listener(di_listener *base)
{
    fifo_listener *listener = (fifo_listener *)base;
    bool owner = !di_forked(&listener->guard) && di_path_lock_owns(&listener->lock);
    if (owner && base->descriptor >= 0)
        unlink(path_of(listener));
    if (base->descriptor >= 0)
        close(base->descriptor);
    if (owner)
        di_path_lock_remove(&listener->lock);
    di_path_lock_end(&listener->lock);
    di_fork_guard_end(&listener->guard);
    di_text_free(&listener->address);
    free(listener);
}

/* Of the group the kernel sees who is in it, and of others the owner of what they make: so the one
 * or the other. */
static int fifo_admit(di_listener *base, const di_access *access, di_failure *failure)
{
    if (access->has_group && access->user_count > 0 && !access->all)
        return di_fail(failure, DARI_INVALID, "fifo: lets in a group or users, not both");
    ((fifo_listener *)base)->access = *access;
    return di_access_open(access, base->descriptor, S_IWOTH, failure);
}

static const di_listener_ops fifo_listener_ops = {
    .accept = fifo_accept,
    .address = fifo_address,
    .admit = fifo_admit,
    .close = fifo_close_listener,
};

/* Makes way under the lock: removes a FIFO that nobody reads. */
static int clear_path(const char *path, di_failure *failure)
{
    struct stat there;
    if (lstat(path, &there) < 0)
        return errno == ENOENT ? 0 : di_fail_system(failure, errno, NULL);
    if (!S_ISFIFO(there.st_mode))
        return di_fail(failure, DARI_IN_USE, "a file that is no FIFO is there");
    int probe = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    int cause = errno;
    if (probe >= 0)
        close(probe);
    if (probe >= 0 || cause != ENXIO)
        return di_fail(failure, DARI_IN_USE, "another program's FIFO is there");
    return unlink(path) < 0 && errno != ENOENT ? di_fail_system(failure, errno, NULL) : 0;
}

/* Whether the name of a file is that of a client's FIFO. */
static bool is_clients(const char *name, const char *own)
{
    char request[sizeof DI_FIFO_GREETING - 1 + DI_FIFO_DIGITS];
    size_t size = strlen(own);
    if (strncmp(name, own, size) != 0 || name[size] != '.' ||
        strlen(name + size + 1) != DI_FIFO_DIGITS + 2)
        return false;
    memcpy(request, DI_FIFO_GREETING, sizeof DI_FIFO_GREETING - 1);
    memcpy(request + sizeof DI_FIFO_GREETING - 1, name + size + 1, DI_FIFO_DIGITS);
    const char *last = name + size + 1 + DI_FIFO_DIGITS;
    return di_fifo_request_read(request, sizeof request) && last[0] == '.' &&
           (last[1] == 's' || last[1] == 'c');
}

/* Removes, under the lock and before there is an inlet, what clients have left that died while they
 * connected. A living one has its FIFOs open for reading. */
static void clear_clients(const char *path)
{
    const char *slash = strrchr(path, '/');
    di_text folder = {0};
    di_text_append(&folder, slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
    DIR *directory = folder.failed ? NULL : opendir(folder.data);
    di_text_free(&folder);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat status;
        if (!is_clients(entry->d_name, slash ? slash + 1 : path) ||
            fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISFIFO(status.st_mode))
            continue;
        int probe =
            openat(dirfd(directory), entry->d_name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        if (probe >= 0)
            close(probe);
        else if (errno == ENXIO)
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}

/* It is open for writing too: it has no end then, whoever closes it. Its mode is never more than it
 * is to be. */
static int make_inlet(fifo_listener *listener, di_failure *failure)
{
    const char *path = path_of(listener);
    if (mkfifo(path, 0600) < 0)
        return di_fail_system(failure, errno, NULL);
    int inlet = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    if (inlet < 0 || !di_fifo_is_own(inlet) || fchmod(inlet, 0600) < 0) {
        int error = di_fail_system(failure, errno, NULL);
        unlink(path);
        if (inlet >= 0)
            close(inlet);
        return error;
    }
    listener->head.descriptor = inlet;
    return 0;
}

static int begin(fifo_listener *listener, const char *path, di_failure *failure)
{
    if (!*path)
        return di_fail(failure, DARI_ADDRESS, "the path is missing");
    di_text_format(&listener->address, "fifo:%s", path);
    if (listener->address.failed)
        return DARI_NO_MEMORY;
    if (di_fork_guard_init(&listener->guard) < 0)
        return di_fail_system(failure, errno, NULL);
    int error = di_path_lock_take(&listener->lock, path, failure);
    if (error == 0)
        error = clear_path(path, failure);
    if (error < 0)
        return error;
    clear_clients(path);
    return make_inlet(listener, failure);
}

int di_fifo_listen(const char *path, di_listener **ret_listener, di_failure *failure)
{
    fifo_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return DARI_NO_MEMORY;
    listener->head = (di_listener){.ops = &fifo_listener_ops, .descriptor = -1};
    di_path_lock_init(&listener->lock);
    int error = begin(listener, path, failure);
    if (error < 0) {
        fifo_close_listener(&listener->head);
        return error;
    }
    *ret_listener = &listener->head;
    return 0;
}
