/* SPDX-License-Identifier: MIT */
#include "transport/unix_socket.h"

#include "transport/failure.h"
#include "transport/stream.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define NAME_MAX_BYTES (sizeof((struct sockaddr_un *)0)->sun_path - 1)

static int make_address(const char *name, struct sockaddr_un *ret_address, socklen_t *ret_size,
                        di_failure *failure)
{
    size_t size = strlen(name);
    if (size == 0 || (size == 1 && *name == '@'))
        return di_fail(failure, DARI_ADDRESS, "the path is missing");
    if (size > NAME_MAX_BYTES) {
        *failure = (di_failure){.words = "the path is too long",
                                .found = (int64_t)size,
                                .allowed = (int64_t)NAME_MAX_BYTES};
        return DARI_ADDRESS;
    }
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sun_family = AF_UNIX;
    memcpy(ret_address->sun_path, name, size);
    if (*name == '@')
        ret_address->sun_path[0] = '\0';
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (*name != '@'));
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

int di_unix_connect(const char *name, uint64_t deadline, int *ret_descriptor, di_failure *failure)
{
    struct sockaddr_un address;
    socklen_t size;
    int error = make_address(name, &address, &size, failure);
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
    if (cause == 0 && fcntl(descriptor, F_SETFL, O_NONBLOCK) < 0)
        cause = errno;
    if (cause) {
        error = cause == EAGAIN ? DARI_DEADLINE : di_fail_system(failure, cause, NULL);
        close(descriptor);
        return error;
    }
    *ret_descriptor = descriptor;
    return 0;
}

int di_unix_place_init(di_unix_place *place, di_failure *failure)
{
    *place = (di_unix_place){0};
    di_path_lock_init(&place->lock);
    int error = di_fork_guard_init(&place->guard);
    if (error < 0)
        failure->system_error = error == DARI_ERRNO ? errno : 0;
    return error;
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

int di_unix_place_listen(di_unix_place *place, const char *name, int *ret_descriptor,
                         di_failure *failure)
{
    struct sockaddr_un address;
    socklen_t size;
    int error = make_address(name, &address, &size, failure);
    if (error < 0)
        return error;
    if (*name != '@') {
        error = di_path_lock_take(&place->lock, name, failure);
        if (error == 0)
            error = clear_path(&address, size, failure);
        if (error < 0)
            return error;
    }
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return di_fail_system(failure, errno, NULL);
    /* Nobody comes in between: the file's mode is that of the socket before it is bound. */
    if (fchmod(descriptor, 0600) < 0 || bind(descriptor, (struct sockaddr *)&address, size) < 0) {
        error = di_fail_system(failure, errno, NULL);
        close(descriptor);
        return error == DARI_REFUSED ? DARI_ADDRESS : error;
    }
    if (*name != '@')
        memcpy(place->path, address.sun_path, sizeof place->path);
    else
        place->asks = true;
    if (listen(descriptor, SOMAXCONN) < 0) {
        error = di_fail_system(failure, errno, NULL);
        close(descriptor);
        return error;
    }
    *ret_descriptor = descriptor;
    return 0;
}

/* The file of a bound socket is another one than the socket: it is opened by its name, and taken
 * for it only if nobody has put something else there. The process's mask has no say. Where the mode
 * is right already, /proc is not needed. */
static int open_to_others(const char *path, const di_access *access, di_failure *failure)
{
    static const char words[] = "the socket cannot be opened to others";
    mode_t mode = di_access_mode(access, S_IROTH | S_IWOTH);
    struct stat status;
    char self[40];
    int file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0)
        return di_fail_system(failure, errno, words);
    int error = 0;
    snprintf(self, sizeof self, "/proc/self/fd/%d", file);
    if (fstat(file, &status) < 0 || !S_ISSOCK(status.st_mode) || status.st_uid != geteuid())
        error = di_fail(failure, DARI_IN_USE, "another program's file is there");
    else if (di_access_is_of_group(access) &&
             fchownat(file, "", (uid_t)-1, access->group, AT_EMPTY_PATH) < 0)
        error = di_fail_system(failure, errno, "the socket cannot be given to the group");
    else if ((status.st_mode & 07777) != mode && chmod(self, mode) < 0)
        error = di_fail_system(failure, errno, words);
    close(file);
    return error;
}

int di_unix_place_admit(di_unix_place *place, const di_access *access, di_failure *failure)
{
    place->access = *access;
    place->asks = !access->all && (!*place->path || di_access_asks(access));
    return *place->path ? open_to_others(place->path, access, failure) : 0;
}

int di_unix_place_accept(const di_unix_place *place, int listening, int *ret_descriptor,
                         uint32_t *ret_stranger)
{
    int result = di_stream_accept(listening, ret_descriptor);
    if (result != DI_MOVED || !place->asks ||
        di_access_admits(&place->access, *ret_descriptor, ret_stranger))
        return result;
    close(*ret_descriptor);
    return DARI_PERMISSION;
}

void di_unix_place_end(di_unix_place *place, int descriptor)
{
    bool owner = !di_forked(&place->guard) && di_path_lock_owns(&place->lock);
    if (owner && *place->path)
        unlink(place->path);
    if (descriptor >= 0)
        close(descriptor);
    if (owner)
        di_path_lock_remove(&place->lock);
    di_path_lock_end(&place->lock);
    di_fork_guard_end(&place->guard);
}

void di_unix_peer(int descriptor, const char *prefix, di_peer *ret_peer)
{
    struct ucred process;
    socklen_t size = sizeof process;
    strcpy(ret_peer->address, prefix);
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &process, &size) < 0)
        return;
    ret_peer->has_process = true;
    ret_peer->pid = process.pid;
    ret_peer->uid = process.uid;
    ret_peer->gid = process.gid;
    ret_peer->key[0] = AF_UNIX;
    memcpy(ret_peer->key + 1, &process.uid, sizeof process.uid);
}
