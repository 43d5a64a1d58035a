/* SPDX-License-Identifier: MIT */
/* The beginning and the end of a connection, and its table. */
#include "transport/shm_side.h"

#include "transport/unix_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* As those of streams. */
#define SHM_CAP (SIZE_MAX / 4)

/* The memory is there. Returns 0 or DARI_NO_MEMORY. */
static int open_rings(di_shm *shm)
{
    const di_shm_memory *memory = &shm->memory;
    di_ring_control *to_server = &memory->controls[0], *to_client = &memory->controls[1];
    if (shm->serves) {
        di_ring_reader_init(&shm->reader, to_server, memory->to_server, memory->to_server_size);
        di_ring_writer_init(&shm->writer, to_client, memory->to_client, memory->to_client_size);
    } else {
        di_ring_writer_init(&shm->writer, to_server, memory->to_server, memory->to_server_size);
        di_ring_reader_init(&shm->reader, to_client, memory->to_client, memory->to_client_size);
    }
    if (memory->loans) {
        shm->loans = di_shm_loans_create(memory->loans, memory->lending);
        if (!shm->loans)
            return DARI_NO_MEMORY;
        shm->head.in_place = shm->serves && shm->terms.in_place;
    }
    atomic_store_explicit(&shm->open, true, memory_order_release);
    return 0;
}

/* Goes on with the meeting. Returns DI_MOVED once the rings are there, DI_BLOCKED or an error. */
static int meet(di_shm *shm)
{
    int socket = di_connection_descriptor(&shm->head);
    uint64_t started;
    int result = shm->serves ? di_shm_hear_hello(socket, &shm->heard, &started)
                             : di_shm_hear_offer(socket, &shm->heard, shm->loan_size, &started,
                                                 &shm->memory);
    if (result != DI_MOVED)
        return result;
    /* The process that was found by its number is another one. */
    if (shm->process.by_number && started && shm->process.started &&
        started != shm->process.started)
        return DARI_CLOSED;
    int error = shm->serves ? di_shm_offer(socket, &shm->heard, shm->terms.ring_size,
                                           shm->terms.loans_max, shm->started, &shm->memory)
                            : 0;
    if (error == 0)
        error = open_rings(shm);
    return error < 0 ? error : DI_MOVED;
}

static int shm_receive(di_connection *connection, size_t want)
{
    di_shm *shm = (di_shm *)connection;
    int error = di_shm_is_open(shm) ? 0 : shm->refused ? shm->refused : meet(shm);
    if (error < 0)
        return error;
    if (di_shm_is_open(shm))
        return di_shm_take(shm, want);
    di_shm_look_at_process(shm);
    return di_shm_is_gone(shm) ? DARI_CLOSED : DI_BLOCKED;
}

static di_region *shm_loans(const di_connection *connection)
{
    const di_shm *shm = (const di_shm *)connection;
    return di_shm_is_open(shm) && !shm->serves ? shm->memory.loans : NULL;
}

static void shm_use_pool(di_connection *connection, di_pool *pool, bool keeps)
{
    di_buffer_set_pool(&((di_shm *)connection)->in.buffer, pool, keeps);
    di_buffer_set_pool(&((di_shm *)connection)->out, pool, keeps);
}

static void shm_peer(const di_connection *connection, di_peer *ret_peer)
{
    di_unix_peer(di_connection_descriptor(connection), "shm:", ret_peer);
}

static bool shm_ready(const di_connection *connection, bool to_receive)
{
    const di_shm *shm = (const di_shm *)connection;
    if (!di_shm_is_open(shm))
        return false;
    if (to_receive)
        di_ring_expect(&shm->reader);
    return (to_receive && (di_ring_has_bytes(&shm->reader) || di_shm_is_gone(shm))) ||
           di_shm_has_room_again(shm);
}

static uint32_t shm_taken(const di_connection *connection)
{
    const di_shm *shm = (const di_shm *)connection;
    return di_shm_is_open(shm) ? di_ring_taken(&shm->writer) : 0;
}

static void shm_shut(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    if (!di_shm_is_shut(shm) && di_shm_is_open(shm))
        atomic_store_explicit(&shm->shut_at, di_ring_written(&shm->reader), memory_order_relaxed);
    atomic_store_explicit(&shm->shut, true, memory_order_release);
    di_shm_set_gone(shm);
    shutdown(di_connection_descriptor(connection), SHUT_RDWR);
}

static void shm_close(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    if (shm->owner == getpid()) {
        if (di_shm_is_open(shm))
            di_ring_leave(&shm->reader);
        /* Closing tells nobody where a child holds the socket too. */
        shutdown(di_connection_descriptor(connection), SHUT_RDWR);
    }
    close(di_connection_descriptor(connection));
    if (shm->process.descriptor >= 0)
        close(shm->process.descriptor);
    if (shm->heard.descriptor >= 0)
        close(shm->heard.descriptor);
    di_shm_memory_end(&shm->memory);
    free(shm->loans);
    di_buffer_free(&shm->out);
    di_inbound_end(&shm->in);
    free(shm);
}

static const di_connection_ops shm_ops = {
    .keeps_boundaries = false,
    .reserve = di_shm_reserve,
    .commit = di_shm_commit,
    .commit_parts = di_shm_commit_parts,
    .advance = di_shm_advance,
    .flush = di_shm_flush,
    .unsent = di_shm_unsent,
    .withdraw = di_shm_withdraw,
    .receive = shm_receive,
    .peek = di_shm_peek,
    .consume = di_shm_consume,
    .hold = di_shm_hold,
    .lend = di_shm_take_lent,
    .loans = shm_loans,
    .list_places = di_shm_places,
    .use_pool = shm_use_pool,
    .peer = shm_peer,
    .ready = shm_ready,
    .taken = shm_taken,
    .arm = di_shm_arm,
    .disarm = di_shm_disarm,
    .shut = shm_shut,
    .close = shm_close,
};

/* Either side, before anything has been said. */
static int create(int socket, bool serves, di_shm **ret_shm)
{
    di_shm *shm = calloc(1, sizeof *shm);
    if (!shm) {
        close(socket);
        return DARI_NO_MEMORY;
    }
    shm->head =
        (di_connection){.ops = &shm_ops, .watch_count = 1, .watches = {{socket, POLLIN, POLLIN}}};
    shm->serves = serves;
    shm->owner = getpid();
    shm->heard.descriptor = shm->process.descriptor = -1;
    di_buffer_init(&shm->out, SHM_CAP);
    di_buffer_init(&shm->in.buffer, SHM_CAP);
    int error = di_peer_process_open(socket, &shm->process);
    /* Receiving tells. */
    if (error == DARI_CLOSED)
        di_shm_set_gone(shm);
    else if (error < 0) {
        int cause = errno;
        shm_close(&shm->head);
        errno = cause;
        return error;
    }
    if (shm->process.descriptor >= 0)
        shm->head.watches[shm->head.watch_count++] =
            (di_watch){shm->process.descriptor, POLLIN, POLLIN};
    /* Where this side needs to know it, so does the other one: the kernel is the same. */
    if (shm->process.by_number)
        shm->started = di_process_started();
    *ret_shm = shm;
    return 0;
}

int di_shm_create_client(int socket, size_t loan_size, di_connection **ret_connection)
{
    di_shm *shm;
    int error = create(socket, false, &shm);
    if (error < 0)
        return error;
    shm->loan_size = loan_size;
    error = di_shm_say_hello(socket, shm->started, loan_size);
    if (error == DARI_CLOSED) {
        di_shm_set_gone(shm);
    } else if (error < 0) {
        int cause = errno;
        shm_close(&shm->head);
        errno = cause;
        return error;
    }
    *ret_connection = &shm->head;
    return 0;
}

/* Mostly the client's hello is there already, and the rings are made at once: what the system does
 * not have for them, a listener has to know. */
int di_shm_create_server(int socket, const di_shm_terms *terms, di_connection **ret_connection)
{
    di_shm *shm;
    int error = create(socket, true, &shm);
    if (error < 0)
        return error;
    shm->terms = *terms;
    int met = meet(shm);
    if (met == DARI_LAYOUT || met == DARI_PROTOCOL || met == DARI_CLOSED) {
        shm->refused = met;
        shutdown(socket, SHUT_RDWR); /* so that receive is called */
    } else if (met < 0) {
        int cause = errno;
        shm_close(&shm->head);
        errno = cause;
        return met;
    }
    *ret_connection = &shm->head;
    return 0;
}

int di_shm_await_meeting(di_connection *connection, uint64_t deadline)
{
    const di_shm *shm = (const di_shm *)connection;
    for (;;) {
        int moved = connection->ops->receive(connection, 1);
        if (di_shm_is_open(shm) || moved < 0)
            return moved < 0 ? moved : 0;
        struct pollfd watches[DI_WATCHES_MAX];
        for (unsigned i = 0; i < connection->watch_count; i++)
            watches[i] = (struct pollfd){connection->watches[i].descriptor, POLLIN, 0};
        int ready = poll(watches, connection->watch_count, di_poll_timeout(deadline));
        if (ready < 0 && errno != EINTR)
            return DARI_ERRNO;
        if (ready == 0 && di_now() >= deadline)
            return DARI_DEADLINE;
    }
}
