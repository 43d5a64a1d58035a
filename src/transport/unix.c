/* SPDX-License-Identifier: MIT */
/* unix:PATH and unix:@NAME: see unix_socket.h. */
#include "transport/unix.h"

#include "base/text.h"
#include "transport/access.h"
#include "transport/failure.h"
#include "transport/stream.h"
#include "transport/unix_socket.h"

#include <dari/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct di_unix_listener {
    di_listener head;
    di_text address;
    di_unix_place place;
} di_unix_listener;

static void unix_peer(int descriptor, di_peer *ret_peer)
{
    di_unix_peer(descriptor, "unix:", ret_peer);
}

static int unix_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                        di_connection **ret_connection, di_failure *failure)
{
    int descriptor;
    uint32_t user = options ? options->server_user : 0;
    int error = di_unix_connect(rest, deadline, &descriptor, failure);
    if (error < 0)
        return error;
    /* Who may put a file at a path is its directory's affair; a name is whoever's takes it. */
    error = *rest == '@' || user ? di_access_check_server(descriptor, user, failure) : 0;
    if (error < 0) {
        close(descriptor);
        return error;
    }
    return di_stream_create_patient(descriptor, unix_peer, ret_connection);
}

static void unix_close_listener(di_listener *base)
{
    di_unix_listener *listener = (di_unix_listener *)base;
    di_unix_place_end(&listener->place, listener->head.descriptor);
    di_text_free(&listener->address);
    free(listener);
}

static int unix_accept(di_listener *base, di_connection **ret_connection)
{
    int descriptor;
    int result = di_unix_place_accept(&((di_unix_listener *)base)->place, base->descriptor,
                                      &descriptor, &base->stranger);
    if (result != DI_MOVED)
        return result;
    int error = di_stream_create(descriptor, unix_peer, ret_connection);
    return error < 0 ? error : DI_MOVED;
}

static const char *unix_address(const di_listener *listener)
{
    return ((const di_unix_listener *)listener)->address.data;
}

static int unix_admit(di_listener *base, const di_access *access, di_failure *failure)
{
    return di_unix_place_admit(&((di_unix_listener *)base)->place, access, failure);
}

static const di_listener_ops unix_listener_ops = {
    .accept = unix_accept,
    .address = unix_address,
    .admit = unix_admit,
    .close = unix_close_listener,
};

/* Makes a listener without a socket. */
static int make_listener(const char *rest, di_unix_listener **ret_listener, di_failure *failure)
{
    di_unix_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return DARI_NO_MEMORY;
    listener->head = (di_listener){.ops = &unix_listener_ops, .descriptor = -1};
    int error = di_unix_place_init(&listener->place, failure);
    di_text_format(&listener->address, "unix:%s", rest);
    if (error == 0 && listener->address.failed)
        error = DARI_NO_MEMORY;
    if (error < 0) {
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
    error = di_unix_place_listen(&listener->place, rest, &listener->head.descriptor, failure);
    if (error < 0) {
        unix_close_listener(&listener->head);
        return error;
    }
    *ret_listener = &listener->head;
    return 0;
}

/* The path of a socket that somebody else has bound is theirs: it is not locked, and not removed;
 * and who may connect, they have settled. */
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
