/* SPDX-License-Identifier: MIT */
/* fifo:PATH, the client's side. See fifo_request.h for how the two meet. */
#include "transport/fifo.h"

#include "transport/failure.h"
#include "transport/fifo_request.h"
#include "transport/pipes.h"
#include "transport/user.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* A client that has asked for its connection: until the server has opened both FIFOs, and says so
 * by a byte, what is sent waits in the one, and there is no end of the other. -1: not open. */
typedef struct fifo_client {
    int inlet; /* the server's FIFO: it breaks where the server dies */
    int in;    /* the client's own ends, which go to the connection */
    int out;
    int hold_in; /* and the opposite ones, which are held until the server has its own */
    int hold_out;
    di_fifo_names names;
    bool is_named; /* the names may be there, */
    pid_t owner;   /* and are those of that process, not of its children */
    uid_t user;    /* to whom the FIFOs are given, and */
    gid_t group;   /* the group that may open them too; -1: nobody */
} fifo_client;

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

/* Sees whose the server is, beside this user, root and `other`, and how it is to open what this
 * client makes: root's client gives it away, another one shares it with the group that has the
 * inlet, if that is for the group. */
static int check_inlet(fifo_client *client, uint32_t other, di_failure *failure)
{
    struct stat status;
    if (fstat(client->inlet, &status) < 0)
        return di_fail_system(failure, errno, NULL);
    if (!S_ISFIFO(status.st_mode))
        return di_fail(failure, DARI_ADDRESS, "a file that is no FIFO is there");
    if (status.st_uid == 0 || di_user_is_own(status.st_uid))
        return 0;
    if (!di_user_is(status.st_uid, other))
        return di_fail(failure, DARI_PERMISSION, "the server is another user's");
    if (geteuid() == 0)
        client->user = status.st_uid;
    else if ((status.st_mode & (S_IWGRP | S_IWOTH)) == S_IWGRP)
        client->group = status.st_gid;
    else
        return di_fail(failure, DARI_PERMISSION,
                       "the server has no group in common with this user, and could not answer");
    return 0;
}

static int open_inlet(fifo_client *client, const char *path, uint32_t other, di_failure *failure)
{
    struct stat status;
    if (!*path)
        return di_fail(failure, DARI_ADDRESS, "the path is missing");
    if (stat(path, &status) == 0 && !S_ISFIFO(status.st_mode))
        return di_fail(failure, DARI_ADDRESS, "a file that is no FIFO is there");
    client->inlet = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (client->inlet < 0 && errno == ENXIO)
        return di_fail(failure, DARI_REFUSED, NULL);
    if (client->inlet < 0)
        return di_fail_system(failure, errno, NULL);
    return check_inlet(client, other, failure);
}

/* Opens a FIFO to the server, which has just been made. Its mode is never more than it is to be. */
static int share(const fifo_client *client, int end)
{
    bool shared = client->group != (gid_t)-1, given = client->user != (uid_t)-1;
    if (!di_fifo_is_own(end))
        return -1;
    if ((shared || given) && fchown(end, client->user, client->group) < 0)
        return -1;
    return fchmod(end, shared ? 0660 : 0600);
}

/* Whether both are ends of the same FIFO, and errno: the name may have become another file's. */
static bool are_one(int reads, int writes)
{
    struct stat one, other;
    if (fstat(reads, &one) < 0 || fstat(writes, &other) < 0)
        return false;
    errno = EPERM;
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Makes one FIFO and opens both ends. Opening for reading never waits, and then there is a reader.
 */
static int make_fifo(const fifo_client *client, const char *path, int *ret_reads, int *ret_writes)
{
    if (mkfifo(path, 0600) < 0)
        return -1;
    *ret_reads = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    if (*ret_reads < 0 || share(client, *ret_reads) < 0)
        return -1;
    *ret_writes = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    return *ret_writes < 0 || !are_one(*ret_reads, *ret_writes) ? -1 : 0;
}

static int make_own(fifo_client *client, di_failure *failure)
{
    client->is_named = true;
    if (make_fifo(client, client->names.to_client.data, &client->in, &client->hold_in) < 0 ||
        make_fifo(client, client->names.to_server.data, &client->hold_out, &client->out) < 0) {
        int error = di_fail_system(failure, errno, "no FIFOs can be made beside the server's");
        return error == DARI_REFUSED ? DARI_ADDRESS : error;
    }
    return 0;
}

/* Waits for room in the inlet. Returns 0 or an error. */
static int await_room(int inlet, uint64_t deadline, di_failure *failure)
{
    struct pollfd one = {.fd = inlet, .events = POLLOUT};
    int ready = poll(&one, 1, di_poll_timeout(deadline));
    if (ready < 0 && errno != EINTR)
        return di_fail_system(failure, errno, NULL);
    return ready == 0 && di_now() >= deadline ? DARI_DEADLINE : 0;
}

static int ask(int inlet, char *request, uint64_t deadline, di_failure *failure)
{
    di_pipe_end end = di_pipe_end_own(inlet);
    for (;;) {
        struct iovec piece = {request, DI_FIFO_REQUEST};
        if (di_pipe_end_write(&end, &piece, 1) == (ssize_t)DI_FIFO_REQUEST)
            return 0;
        if (errno == EPIPE)
            return di_fail(failure, DARI_REFUSED, NULL);
        if (errno != EAGAIN && errno != EINTR)
            return di_fail_system(failure, errno, NULL);
        int error = await_room(inlet, deadline, failure);
        if (error < 0)
            return error;
    }
}

/* The server has the FIFOs, and removes their names, or has gone. The inlet is watched: its number
 * stays taken. */
static void let_go(di_pipes *pipes, fifo_client *client)
{
    pipes->await = NULL;
    client->is_named = false;
    close_end(&client->hold_in);
    close_end(&client->hold_out);
    dup3(pipes->in.descriptor, client->inlet, O_CLOEXEC);
}

/* Receives the server's welcome. */
static ssize_t await_welcome(di_pipes *pipes)
{
    fifo_client *client = pipes->user;
    struct pollfd inlet = {.fd = client->inlet};
    char byte;
    ssize_t got = di_pipe_end_read(&pipes->in, &byte, 1);
    if (got < 0 && errno == EAGAIN && poll(&inlet, 1, 0) > 0)
        /* What it said before it died is still there. */
        got = di_pipe_end_read(&pipes->in, &byte, 1);
    else if (got < 0)
        return got;
    if (got == 1 && byte == DI_FIFO_WELCOME) {
        let_go(pipes, client);
        return 1;
    }
    return 0;
}

static void free_client(void *user)
{
    fifo_client *client = user;
    if (client->is_named && client->owner == getpid())
        di_fifo_names_remove(&client->names);
    di_fifo_names_free(&client->names);
    close_end(&client->inlet);
    close_end(&client->in);
    close_end(&client->out);
    close_end(&client->hold_in);
    close_end(&client->hold_out);
    free(client);
}

/* Makes the FIFOs, asks, and makes the connection. */
static int begin(fifo_client *client, const char *path, uint32_t other, uint64_t deadline,
                 di_connection **ret_connection, di_failure *failure)
{
    char request[DI_FIFO_REQUEST];
    di_pipes *pipes = NULL;
    int error = open_inlet(client, path, other, failure);
    if (error == 0 && di_fifo_request_write(request) < 0)
        error = di_fail_system(failure, errno, NULL);
    if (error == 0)
        error = di_fifo_names_make(path, request + DI_FIFO_REQUEST - 1 - DI_FIFO_DIGITS,
                                   &client->names);
    if (error == 0)
        error = make_own(client, failure);
    if (error == 0)
        error = ask(client->inlet, request, deadline, failure);
    if (error < 0)
        return error;
    di_pipe_end in = di_pipe_end_own(client->in), out = di_pipe_end_own(client->out);
    error = di_pipes_create(&in, &out, -1, "fifo:", &pipes);
    if (error < 0)
        return error;
    di_connection *head = &pipes->stream.head;
    head->watches[head->watch_count++] = (di_watch){client->inlet, POLLERR, 0};
    client->in = client->out = -1;
    pipes->await = await_welcome;
    pipes->closed = free_client;
    pipes->user = client;
    *ret_connection = head;
    return 0;
}

static int fifo_connect(const char *path, uint64_t deadline, const di_connect_options *options,
                        di_connection **ret_connection, di_failure *failure)
{
    uint32_t other = options ? options->server_user : 0;
    fifo_client *client = calloc(1, sizeof *client);
    if (!client)
        return DARI_NO_MEMORY;
    client->owner = getpid();
    client->inlet = client->in = client->out = client->hold_in = client->hold_out = -1;
    client->user = (uid_t)-1;
    client->group = (gid_t)-1;
    int error = begin(client, path, other, deadline, ret_connection, failure);
    if (error < 0)
        free_client(client);
    return error;
}

const di_transport di_fifo_transport = {
    .prefix = "fifo:",
    .connect = fifo_connect,
    .listen = di_fifo_listen,
};
