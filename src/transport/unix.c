/* SPDX-License-Identifier: MIT */
/* unix:PATH and unix:@NAME.
 *
 * A path belongs to the process that holds its lock (path_lock.h): only under that is a socket file
 * bound, taken over or removed. A name after @ is the kernel's own and vanishes with its socket. */
#include "transport/unix.h"

#include "base/fork_guard.h"
#include "base/text.h"
#include "transport/failure.h"
#include "transport/path_lock.h"
#include "transport/stream.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_MAX_BYTES (sizeof((struct sockaddr_un *)0)->sun_path - 1)

typedef struct di_unix_listener {
    di_listener head;
    di_fork_guard guard; /* a child that inherited this removes no files */
    di_text address;
    di_path_lock lock;                                    /* not held for an abstract name */
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* what was bound, or "" */
} di_unix_listener;

static int make_address(const char *rest, struct sockaddr_un *ret_address, socklen_t *ret_size,
                        di_failure *failure)
{
    size_t size = strlen(rest);
    if (size == 0 || (size == 1 && *rest == '@'))
        return di_fail(failure, DARI_ADDRESS, "the path is missing");
    if (size > NAME_MAX_BYTES) {
        *failure = (di_failure){.words = "the path is too long",
                                .found = (int64_t)size,
                                .allowed = (int64_t)NAME_MAX_BYTES};
        return DARI_ADDRESS;
    }
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sun_family = AF_UNIX;
    memcpy(ret_address->sun_path, rest, size);
    if (*rest == '@')
        ret_address->sun_path[0] = '\0';
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (*rest != '@'));
    return 0;
}

/* Lets a connect wait for room in the listener's queue until the deadline: a non-blocking one
 * fails there, and cannot be polled. Returns 0 or errno. */
static int limit_wait(int descriptor, uint64_t deadline)
{
    struct timeval limit = {0};
    if (deadline != DI_NEVER) {
        uint64_t now = di_now();
        struct timespec left = di_timespec(deadline > now ? deadline - now + 999 : 0);
        limit.tv_sec = left.tv_sec;
        limit.tv_usec = (suseconds_t)(left.tv_nsec / 1000);
        if (limit.tv_sec == 0 && limit.tv_usec == 0)
            limit.tv_usec = 1;
    }
    return setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ? errno : 0;
}

/* One peer is one user. */
static void unix_peer(int descriptor, di_peer *ret_peer)
{
    struct ucred process;
    socklen_t size = sizeof process;
    strcpy(ret_peer->address, "unix:");
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &process, &size) < 0)
        return;
    ret_peer->has_process = true;
    ret_peer->pid = process.pid;
    ret_peer->uid = process.uid;
    ret_peer->gid = process.gid;
    ret_peer->key[0] = AF_UNIX;
    memcpy(ret_peer->key + 1, &process.uid, sizeof process.uid);
}

static int unix_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                        di_connection **ret_connection, di_failure *failure)
{
    (void)options;
    struct sockaddr_un address;
    socklen_t size;
    int error = make_address(rest, &address, &size, failure);
    if (error < 0)
        return error;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return di_fail_system(failure, errno, NULL);
    int cause;
    do {
        cause = limit_wait(descriptor, deadline);
        if (cause == 0 && connect(descriptor, (struct sockaddr *)&address, size) < 0)
            cause = errno;
    } while (cause == EINTR);
    if (cause) {
        error = cause == EAGAIN ? DARI_DEADLINE : di_fail_system(failure, cause, NULL);
        close(descriptor);
        return error;
    }
    if (fcntl(descriptor, F_SETFL, O_NONBLOCK) < 0) {
        error = di_fail_system(failure, errno, NULL);
        close(descriptor);
        return error;
    }
    return di_stream_create(descriptor, unix_peer, ret_connection);
}

/* Makes way for a bind under the lock: removes a socket file that nobody listens at. */
static int clear_path(const struct sockaddr_un *address, socklen_t size, di_failure *failure)
{
    struct stat there;
    if (lstat(address->sun_path, &there) < 0)
        return errno == ENOENT ? 0 : di_fail_system(failure, errno, NULL);
    if (!S_ISSOCK(there.st_mode))
        return di_fail(failure, DARI_IN_USE, "a file that is no socket is there");
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return di_fail_system(failure, errno, NULL);
    int result = connect(probe, (const struct sockaddr *)address, size);
    int cause = errno;
    close(probe);
    if (result == 0 || cause != ECONNREFUSED)
        return di_fail(failure, DARI_IN_USE, "another program's socket is there");
    return unlink(address->sun_path) < 0 && errno != ENOENT ? di_fail_system(failure, errno, NULL)
                                                            : 0;
}

static void unix_close_listener(di_listener *base)
{
    di_unix_listener *listener = (di_unix_listener *)base;
    bool owner = !di_forked(&listener->guard) && di_path_lock_owns(&listener->lock);
    if (owner && *listener->path)
        unlink(listener->path);
    if (listener->head.descriptor >= 0)
        close(listener->head.descriptor);
    if (owner)
        di_path_lock_remove(&listener->lock);
    di_path_lock_end(&listener->lock);
    di_fork_guard_end(&listener->guard);
    di_text_free(&listener->address);
    free(listener);
}

static int unix_accept(di_listener *listener, di_connection **ret_connection)
{
    int descriptor;
    int result = di_stream_accept(listener->descriptor, &descriptor);
    if (result != DI_MOVED)
        return result;
    int error = di_stream_create(descriptor, unix_peer, ret_connection);
    return error < 0 ? error : DI_MOVED;
}

static const char *unix_address(const di_listener *listener)
{
    return ((const di_unix_listener *)listener)->address.data;
}

static const di_listener_ops unix_listener_ops = {
    .accept = unix_accept,
    .address = unix_address,
    .close = unix_close_listener,
};

/* Binds the listener's socket and listens, with nobody between the two: the file's mode is that of
 * the socket before it is bound. */
static int bind_listener(di_unix_listener *listener, const char *rest, di_failure *failure)
{
    struct sockaddr_un address;
    socklen_t size;
    int error = make_address(rest, &address, &size, failure);
    if (error < 0)
        return error;
    if (*rest != '@') {
        error = di_path_lock_take(&listener->lock, rest, failure);
        if (error == 0)
            error = clear_path(&address, size, failure);
        if (error < 0)
            return error;
    }
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    listener->head.descriptor = descriptor;
    if (descriptor < 0 || fchmod(descriptor, 0600) < 0 ||
        bind(descriptor, (struct sockaddr *)&address, size) < 0) {
        error = di_fail_system(failure, errno, NULL);
        return error == DARI_REFUSED ? DARI_ADDRESS : error;
    }
    if (*rest != '@')
        memcpy(listener->path, address.sun_path, sizeof listener->path);
    return listen(descriptor, SOMAXCONN) < 0 ? di_fail_system(failure, errno, NULL) : 0;
}

/* Makes a listener without a socket. */
static int make_listener(const char *rest, di_unix_listener **ret_listener, di_failure *failure)
{
    di_unix_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return DARI_NO_MEMORY;
    listener->head = (di_listener){.ops = &unix_listener_ops, .descriptor = -1};
    di_path_lock_init(&listener->lock);
    di_text_format(&listener->address, "unix:%s", rest);
    int error = listener->address.failed ? DARI_NO_MEMORY : di_fork_guard_init(&listener->guard);
    if (error < 0) {
        failure->system_error = error == DARI_ERRNO ? errno : 0;
        unix_close_listener(&listener->head);
        return error;
    }
    *ret_listener = listener;
    return 0;
}

static int unix_listen(const char *rest, di_listener **ret_listener, di_failure *failure)
{
    di_unix_listener *listener;
    int error = make_listener(rest, &listener, failure);
    if (error < 0)
        return error;
    error = bind_listener(listener, rest, failure);
    if (error < 0) {
        unix_close_listener(&listener->head);
        return error;
    }
    *ret_listener = &listener->head;
    return 0;
}

/* The path of a socket that somebody else has bound is theirs: it is not locked, and not removed.
 */
static int unix_adopt(int descriptor, int family, di_listener **ret_listener, di_failure *failure)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof address;
    char rest[sizeof address.sun_path + 1] = "";
    di_unix_listener *listener;
    if (family != AF_UNIX)
        return DARI_SCHEME;
    if (getsockname(descriptor, (struct sockaddr *)&address, &size) < 0)
        return di_fail_system(failure, errno, NULL);
    size_t length = (size_t)size - offsetof(struct sockaddr_un, sun_path);
    /* A path may fill its room, and then ends beyond it. */
    if (length > sizeof address.sun_path)
        length = sizeof address.sun_path;
    memcpy(rest, address.sun_path, length);
    if (*rest == '\0')
        *rest = '@';
    if (*address.sun_path == '\0' && strlen(rest) != length)
        return di_fail(failure, DARI_ADDRESS, "the socket's name has a zero byte");
    int error = make_listener(rest, &listener, failure);
    if (error < 0)
        return error;
    listener->head.descriptor = descriptor;
    *ret_listener = &listener->head;
    return 0;
}

const di_transport di_unix_transport = {
    .prefix = "unix:",
    .connect = unix_connect,
    .listen = unix_listen,
    .adopt = unix_adopt,
};
