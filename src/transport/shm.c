/* SPDX-License-Identifier: MIT */
/* shm:NAME and shm:/path: where the two sides meet (shm_place.h), and who may. The rest is in
 * shm_connection.h. */
#include "transport/shm.h"

#include "ipc/memory.h"
#include "transport/access.h"
#include "transport/failure.h"
#include "transport/shm_connection.h"
#include "transport/shm_meeting.h"
#include "transport/shm_place.h"
#include "transport/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct di_shm_listener {
    di_listener head;
    di_text address;
    di_unix_place place;
    di_shm_terms terms;
} di_shm_listener;

/* What making a connection came to, in words. */
static int told(int error, di_failure *failure)
{
    if (error == DARI_ERRNO || error == DARI_NO_MEMORY)
        failure->system_error = errno;
    return error;
}

/* Makes the connection. Where memory for loans is wanted, the server is waited for. */
static int make_client(int socket, uint64_t deadline, size_t loan_size,
                       di_connection **ret_connection)
{
    di_connection *connection;
    int error = di_shm_create_client(socket, loan_size, &connection);
    if (error < 0)
        return error;
    error = loan_size ? di_shm_await_meeting(connection, deadline) : 0;
    if (error < 0) {
        int cause = errno;
        connection->ops->close(connection);
        errno = cause;
        return error;
    }
    *ret_connection = connection;
    return 0;
}

static int shm_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                       di_connection **ret_connection, di_failure *failure)
{
    di_text path = {0};
    int socket;
    size_t loan_size = options ? options->loan_size : 0;
    if (loan_size > DI_SHM_LOANS_MAX) {
        *failure = (di_failure){.words = "the memory for loans is too large",
                                .found = (int64_t)loan_size,
                                .allowed = (int64_t)DI_SHM_LOANS_MAX};
        return DARI_LIMIT;
    }
    int error = di_shm_find_path(rest, false, &path, failure);
    if (error == 0)
        error = di_unix_connect(path.data, deadline, &socket, failure);
    di_text_free(&path);
    if (error < 0)
        return error;
    error = di_access_check_server(socket, options ? options->server_user : 0, failure);
    if (error < 0) {
        close(socket);
        return error;
    }
    return told(make_client(socket, deadline, loan_size, ret_connection), failure);
}

/* What a connection needs beside its socket: a descriptor of the other process, and, for a moment,
 * one of the memory. */
#define SPARE_DESCRIPTORS 2

/* Accepts a socket only where the system has the other descriptors too: otherwise the client waits
 * in the queue. Returns as di_unix_place_accept. */
static int accept_socket(di_shm_listener *listener, int *ret_socket)
{
    int spare[SPARE_DESCRIPTORS], listening = listener->head.descriptor;
    int count = 0, result = DARI_ERRNO;
    while (count < SPARE_DESCRIPTORS && (spare[count] = fcntl(listening, F_DUPFD_CLOEXEC, 0)) >= 0)
        count++;
    if (count == SPARE_DESCRIPTORS)
        result =
            di_unix_place_accept(&listener->place, listening, ret_socket, &listener->head.stranger);
    int cause = errno;
    while (count > 0)
        close(spare[--count]);
    errno = cause;
    return result;
}

static int shm_accept(di_listener *base, di_connection **ret_connection)
{
    di_shm_listener *listener = (di_shm_listener *)base;
    int socket;
    int result = accept_socket(listener, &socket);
    if (result != DI_MOVED)
        return result;
    int error = di_shm_create_server(socket, &listener->terms, ret_connection);
    return error < 0 ? error : DI_MOVED;
}

static const char *shm_address(const di_listener *listener)
{
    return ((const di_shm_listener *)listener)->address.data;
}

/* Makes such memory once: what stands against that is known at once, and not by the first client.
 */
static int try_memory(const di_shm_terms *terms, di_failure *failure)
{
    const char *words = NULL;
    int descriptor;
    size_t size = di_memory_page() + 2 * (size_t)terms->ring_size + terms->loans_max;
    int error = di_memory_create(size, &descriptor, &words);
    if (error < 0) {
        *failure = (di_failure){.system_error = errno, .words = words};
        return error;
    }
    close(descriptor);
    return 0;
}

static int shm_set_rings(di_listener *base, size_t size, di_failure *failure)
{
    di_shm_listener *listener = (di_shm_listener *)base;
    if (size > DI_SHM_RING_SIZE_MAX) {
        *failure = (di_failure){.words = "the rings are too large",
                                .found = (int64_t)size,
                                .allowed = (int64_t)DI_SHM_RING_SIZE_MAX};
        return DARI_LIMIT;
    }
    size_t power = di_memory_page();
    while (power < size)
        power *= 2;
    listener->terms.ring_size = (uint32_t)power;
    return try_memory(&listener->terms, failure);
}

static int shm_set_loans(di_listener *base, size_t most, bool in_place, di_failure *failure)
{
    di_shm_listener *listener = (di_shm_listener *)base;
    if (most > DI_SHM_LOANS_MAX) {
        *failure = (di_failure){.words = "the memory for loans is too large",
                                .found = (int64_t)most,
                                .allowed = (int64_t)DI_SHM_LOANS_MAX};
        return DARI_LIMIT;
    }
    listener->terms.loans_max = most;
    listener->terms.in_place = in_place;
    return most ? try_memory(&listener->terms, failure) : 0;
}

static int shm_admit(di_listener *base, const di_access *access, di_failure *failure)
{
    return di_unix_place_admit(&((di_shm_listener *)base)->place, access, failure);
}

static void shm_close_listener(di_listener *base)
{
    di_shm_listener *listener = (di_shm_listener *)base;
    di_unix_place_end(&listener->place, listener->head.descriptor);
    di_text_free(&listener->address);
    free(listener);
}

static const di_listener_ops shm_listener_ops = {
    .accept = shm_accept,
    .address = shm_address,
    .set_rings = shm_set_rings,
    .set_loans = shm_set_loans,
    .admit = shm_admit,
    .close = shm_close_listener,
};

static int start(di_shm_listener *listener, const char *rest, di_failure *failure)
{
    di_text path = {0};
    int error = di_unix_place_init(&listener->place, failure);
    di_text_format(&listener->address, "shm:%s", rest);
    if (error == 0 && listener->address.failed)
        error = DARI_NO_MEMORY;
    if (error == 0)
        error = di_shm_find_path(rest, true, &path, failure);
    if (error == 0)
        error =
            di_unix_place_listen(&listener->place, path.data, &listener->head.descriptor, failure);
    di_text_free(&path);
    return error;
}

static int shm_listen(const char *rest, di_listener **ret_listener, di_failure *failure)
{
    di_shm_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return DARI_NO_MEMORY;
    listener->head = (di_listener){.ops = &shm_listener_ops, .descriptor = -1};
    listener->terms.ring_size = (uint32_t)DI_SHM_RING_SIZE;
    int error = start(listener, rest, failure);
    if (error < 0) {
        shm_close_listener(&listener->head);
        return error;
    }
    *ret_listener = &listener->head;
    return 0;
}

const di_transport di_shm_transport = {
    .prefix = "shm:",
    .connect = shm_connect,
    .listen = shm_listen,
};
