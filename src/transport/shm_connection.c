/* SPDX-License-Identifier: MIT */
#include "transport/shm_connection.h"

#include "ipc/ring.h"
#include "transport/inbound.h"
#include "transport/parts.h"
#include "transport/peer_process.h"
#include "transport/shm_loans.h"
#include "transport/shm_meeting.h"
#include "transport/unix_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* As those of streams. */
#define SHM_CAP (SIZE_MAX / 4)
/* Wake-ups that one system call takes. */
#define WAKES 256
/* Bytes that are moved before the other side is told of them, so that both work at once. */
#define PIECE_MAX ((uint32_t)32 << 10)
/* Bytes of small messages, the same for a reader that is awake. */
#define PIECE_MIN ((uint32_t)256)

/* Who looks at the socket. The thread that receives is asleep once it has announced that: then what
 * comes is left to wake it. Flush, in another thread perhaps, looks only while that one is awake.
 */
enum { AWAKE = 0, ASLEEP = 1, FLUSH_LOOKS = 2 };

typedef struct di_shm {
    di_connection head;
    bool serves;
    pid_t owner;        /* the process of this side: its children inherit this, and say nothing */
    di_shm_terms terms; /* a server's */
    size_t loan_size;   /* that a client wants */
    uint64_t started;   /* what this side says of its start */
    di_peer_process process; /* the other side's */
    di_shm_heard heard;
    int refused; /* an error of the meeting that receive has to tell, or 0 */
    di_shm_memory memory;
    di_shm_loans *loans; /* NULL: there is no memory for them */

    /* Sending. */
    di_ring_writer writer;
    di_buffer out;                /* what follows what is in the ring */
    bool in_ring;                 /* the room that is lent */
    int failed;                   /* an error that flush has to tell, or 0 */
    atomic_bool blocked;          /* flush waits for room, */
    _Atomic(uint32_t) blocked_at; /* since the reader was there */

    /* Receiving. */
    di_ring_reader reader;
    di_inbound in;

    /* Both. */
    atomic_bool open;          /* the rings are there */
    atomic_bool gone;          /* the other side is, */
    atomic_bool dead;          /* because its process is dead; */
    atomic_bool shut;          /* or this side has ended it, */
    _Atomic(uint32_t) shut_at; /* when the other side had written so much */
    atomic_int look;
    atomic_uint idle_wakes;
} di_shm;

static bool is_open(const di_shm *shm)
{
    return atomic_load_explicit(&shm->open, memory_order_acquire);
}

static bool is_gone(const di_shm *shm)
{
    return atomic_load_explicit(&shm->gone, memory_order_acquire);
}

static bool is_shut(const di_shm *shm)
{
    return atomic_load_explicit(&shm->shut, memory_order_acquire);
}

static void set_gone(di_shm *shm)
{
    atomic_store_explicit(&shm->gone, true, memory_order_release);
}

/* Wakes the other side. Where the socket has no room for that, it has been woken often enough. */
static void wake(di_shm *shm)
{
    ssize_t sent;
    do
        sent = send(di_connection_descriptor(&shm->head), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        set_gone(shm);
}

/* Sees whether the other process is dead. */
static void look_at_process(di_shm *shm)
{
    struct pollfd process = {.fd = shm->process.descriptor, .events = POLLIN};
    if (process.fd < 0 || poll(&process, 1, 0) <= 0)
        return;
    atomic_store_explicit(&shm->dead, true, memory_order_relaxed);
    set_gone(shm);
}

/* Takes the wake-ups that have come, and sees whether the other side has hung up or is dead.
 * Returns 0, or DARI_PROTOCOL where there were too many for nothing. */
static int look_at_socket(di_shm *shm)
{
    uint8_t wakes[WAKES];
    ssize_t got;
    do
        got = recv(di_connection_descriptor(&shm->head), wakes, sizeof wakes, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return atomic_fetch_add_explicit(&shm->idle_wakes, (unsigned)got, memory_order_relaxed) +
                           (unsigned)got >
                       DI_SHM_IDLE_WAKES_MAX
                   ? DARI_PROTOCOL
                   : 0;
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        set_gone(shm);
    look_at_process(shm);
    return 0;
}

/* The same for a side that nobody has woken: mostly there is nothing, which one call says. */
static int look_around(di_shm *shm)
{
    struct pollfd both[] = {{.fd = di_connection_descriptor(&shm->head), .events = POLLIN},
                            {.fd = shm->process.descriptor, .events = POLLIN}};
    int ready = poll(both, 2, 0);
    return ready == 0 ? 0 : look_at_socket(shm);
}

/* Something went on: what has come was not for nothing. */
static void count_progress(di_shm *shm)
{
    if (atomic_load_explicit(&shm->idle_wakes, memory_order_relaxed))
        atomic_store_explicit(&shm->idle_wakes, 0, memory_order_relaxed);
}

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

static int shm_reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    di_shm *shm = (di_shm *)connection;
    di_ring_writer *writer = &shm->writer;
    shm->in_ring = false;
    if (is_open(shm) && di_buffer_size(&shm->out) == 0 && size <= writer->size &&
        shm->failed == 0) {
        if (di_ring_known_room(writer) < size)
            shm->failed = di_ring_look_for_room(writer);
        shm->in_ring = shm->failed == 0 && di_ring_known_room(writer) >= size;
    }
    if (!shm->in_ring)
        return di_buffer_reserve(&shm->out, size, ret_room);
    *ret_room = di_ring_room(writer);
    return 0;
}

/* Publishes what is in the ring. */
static void publish(di_shm *shm)
{
    if (di_ring_publish(&shm->writer))
        wake(shm);
}

static void shm_commit(di_connection *connection, size_t size)
{
    di_shm *shm = (di_shm *)connection;
    if (shm->in_ring)
        di_ring_write(&shm->writer, (uint32_t)size);
    else
        di_buffer_commit(&shm->out, size);
}

static void shm_advance(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    if (is_open(shm) && di_ring_unpublished(&shm->writer) >= PIECE_MIN &&
        !di_ring_reader_sleeps(&shm->writer))
        publish(shm);
}

/* Moves the beginning of some bytes into the ring; what is large is published at once. Returns how
 * many, 0 where the ring is full and its reader will wake this side, or DARI_PROTOCOL. */
static int push(di_shm *shm, const uint8_t *bytes, size_t size)
{
    di_ring_writer *writer = &shm->writer;
    int error = 0;
    if (di_ring_known_room(writer) == 0)
        error = di_ring_look_for_room(writer);
    if (error == 0 && di_ring_known_room(writer) == 0) {
        publish(shm);
        error = di_ring_wait_for_room(writer);
        if (error > 0)
            return 0;
    }
    if (error < 0)
        return error;
    if (size > di_ring_known_room(writer))
        size = di_ring_known_room(writer);
    if (size > PIECE_MAX)
        size = PIECE_MAX;
    memcpy(di_ring_room(writer), bytes, size);
    di_ring_write(writer, (uint32_t)size);
    if (size == PIECE_MAX)
        publish(shm);
    return (int)size;
}

/* Puts a reference to a part in the ring, if it is a loan. Returns whether it has. */
static bool lend(di_shm *shm, const uint8_t *data, size_t size)
{
    if (!shm->loans || shm->serves || shm->failed)
        return false;
    int lent = di_shm_lend(shm->loans, &shm->writer, data, size);
    if (lent < 0)
        shm->failed = lent;
    shm->head.lent += lent > 0;
    return lent > 0;
}

/* Moves pieces, of which every second one is a part, into the ring as far as there is room. Returns
 * how many bytes. */
static size_t push_pieces(di_shm *shm, const struct iovec *pieces, size_t count)
{
    size_t sent = 0;
    for (size_t i = 0; i < count; i++) {
        size_t done = 0;
        if (i % 2 == 1 && lend(shm, pieces[i].iov_base, pieces[i].iov_len))
            done = pieces[i].iov_len;
        while (done < pieces[i].iov_len) {
            int more = push(shm, (uint8_t *)pieces[i].iov_base + done, pieces[i].iov_len - done);
            if (more < 0)
                shm->failed = more;
            if (more <= 0)
                return sent + done;
            done += (size_t)more;
        }
        sent += done;
    }
    publish(shm);
    return sent;
}

/* Writes a message, which lies in the room but for its parts, into the ring: those that are lent
 * leave a gap, over which the rest moves. */
static void write_parts(di_shm *shm, size_t size, const di_part *parts, size_t count)
{
    di_ring_writer *writer = &shm->writer;
    uint8_t *to = di_ring_room(writer); /* one address after the other, also behind the end */
    uint8_t *at = to, *end = at + size;
    for (size_t i = 0; i < count; i++) {
        size_t before = (size_t)(parts[i].at - at), there = 1;
        memmove(to, at, before);
        di_ring_write(writer, (uint32_t)before);
        if (!lend(shm, parts[i].data, parts[i].size)) {
            there = parts[i].size;
            memcpy(to + before, parts[i].data, there);
            di_ring_write(writer, (uint32_t)there);
        }
        to += before + there;
        at = parts[i].at + parts[i].size;
    }
    memmove(to, at, (size_t)(end - at));
    di_ring_write(writer, (uint32_t)(end - at));
}

static void shm_commit_parts(di_connection *connection, size_t size, const di_part *parts,
                             size_t count)
{
    di_shm *shm = (di_shm *)connection;
    if (shm->in_ring) {
        write_parts(shm, size, parts, count);
        publish(shm);
        return;
    }
    struct iovec pieces[DI_PIECES_MAX];
    di_buffer_commit(&shm->out, size);
    size_t piece_count = di_parts_list(&shm->out, parts, count, pieces);
    size_t sent = is_open(shm) && shm->failed == 0 ? push_pieces(shm, pieces, piece_count) : 0;
    di_parts_write(shm->out.data + shm->out.begin + sent, parts, count);
    di_buffer_consume(&shm->out, sent);
}

/* Whether the server has closed its side, or is dead. Of a client it does not matter. */
static bool has_left(const di_shm *shm)
{
    return !shm->serves && is_gone(shm) &&
           (di_ring_is_left(&shm->writer) ||
            atomic_load_explicit(&shm->dead, memory_order_relaxed));
}

/* What is left where nobody reads the ring any more, nor what that refers to. */
static __attribute__((noinline)) size_t never_sent(const di_shm *shm)
{
    uint32_t in_ring = di_ring_unread(&shm->writer);
    size_t size = in_ring + di_buffer_size(&shm->out);
    if (!shm->loans)
        return size;
    return size + (size_t)di_lender_lent(&shm->loans->lender, shm->writer.tail - in_ring);
}

/* What the other side will never read counts as not sent. */
static size_t shm_unsent(const di_connection *connection)
{
    const di_shm *shm = (const di_shm *)connection;
    if (!is_open(shm))
        return di_buffer_size(&shm->out);
    if (has_left(shm))
        return never_sent(shm);
    return di_ring_unpublished(&shm->writer) + di_buffer_size(&shm->out);
}

static void shm_withdraw(di_connection *connection, size_t size)
{
    di_shm *shm = (di_shm *)connection;
    size_t last = di_buffer_size(&shm->out) < size ? di_buffer_size(&shm->out) : size;
    if (last)
        di_buffer_withdraw(&shm->out, last);
    if (size > last && shm->loans)
        di_lender_withdraw(&shm->loans->lender, &shm->writer, size - last);
    else if (size > last)
        di_ring_withdraw(&shm->writer, (uint32_t)(size - last));
    if (di_buffer_size(&shm->out) == 0)
        atomic_store_explicit(&shm->blocked, false, memory_order_relaxed);
}

/* Whether a flush that is blocked would find room. */
static bool has_room_again(const di_shm *shm)
{
    return atomic_load_explicit(&shm->blocked, memory_order_relaxed) &&
           atomic_load_explicit(&shm->writer.control->head, memory_order_relaxed) !=
               atomic_load_explicit(&shm->blocked_at, memory_order_relaxed);
}

/* What flush returns that has found no room. A side that does not receive now has to take the
 * wake-ups here, or they would go on telling; with them perhaps the one for room that has come
 * meanwhile: then this is DI_MOVED. */
static int stay_blocked(di_shm *shm, bool progressed)
{
    atomic_store_explicit(&shm->blocked_at, shm->writer.head, memory_order_relaxed);
    atomic_store_explicit(&shm->blocked, true, memory_order_relaxed);
    int awake = AWAKE;
    if (!progressed && atomic_compare_exchange_strong(&shm->look, &awake, FLUSH_LOOKS)) {
        shm->failed = look_at_socket(shm);
        atomic_store(&shm->look, AWAKE);
        if (shm->failed == 0 && has_room_again(shm))
            return DI_MOVED;
    }
    if (shm->failed)
        return shm->failed;
    return is_gone(shm) ? DARI_CLOSED : DI_BLOCKED;
}

/* Whether sending is for nothing. A server sends on to one that is gone: it goes on with what that
 * one has sent. */
static bool is_over(const di_shm *shm)
{
    return shm->serves ? is_shut(shm) : is_gone(shm);
}

static int shm_flush(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    bool progressed = false;
    size_t size;
    const uint8_t *bytes;
    if (shm->failed)
        return shm->failed;
    if (is_over(shm))
        return DARI_CLOSED;
    if (!is_open(shm))
        return di_buffer_size(&shm->out) ? DI_BLOCKED : DI_MOVED;
    publish(shm);
    while (bytes = di_buffer_peek(&shm->out, &size), size > 0) {
        int more = push(shm, bytes, size);
        if (more < 0)
            return shm->failed = more;
        if (more == 0) {
            int blocked = stay_blocked(shm, progressed);
            if (blocked != DI_MOVED)
                return blocked;
            progressed = true;
            continue;
        }
        di_buffer_consume(&shm->out, (size_t)more);
        count_progress(shm);
        progressed = true;
    }
    publish(shm);
    if (atomic_load_explicit(&shm->blocked, memory_order_relaxed))
        atomic_store_explicit(&shm->blocked, false, memory_order_relaxed);
    return is_over(shm) ? DARI_CLOSED : DI_MOVED;
}

/* Takes back that this side sleeps. Returns whether it had said so. */
static bool rise(di_shm *shm)
{
    if (atomic_load(&shm->look) != ASLEEP)
        return false;
    atomic_store(&shm->look, AWAKE);
    di_ring_rise(&shm->reader);
    return true;
}

/* The same for a side that has ended the connection: only what was there before. */
static int look_for_last_bytes(di_shm *shm, uint32_t *ret_size)
{
    uint32_t last = atomic_load_explicit(&shm->shut_at, memory_order_relaxed) -
                    atomic_load_explicit(&shm->reader.head, memory_order_relaxed);
    int error = di_ring_look_for_bytes(&shm->reader, ret_size);
    if (*ret_size > last)
        *ret_size = last;
    return error;
}

/* Sees how many bytes are there: the socket is looked at first where this side was woken, and where
 * there is nothing, since what is published before a hang-up is there after it. Returns 0, or an
 * error. */
static int look_for_bytes(di_shm *shm, uint32_t *ret_size)
{
    if (is_shut(shm))
        return look_for_last_bytes(shm, ret_size);
    bool woken = rise(shm);
    int error = woken ? look_at_socket(shm) : 0;
    if (error == 0)
        error = di_ring_look_for_bytes(&shm->reader, ret_size);
    if (error < 0 || *ret_size > 0)
        return error;
    if (!woken)
        error = look_around(shm);
    else if (!is_gone(shm))
        error = look_at_socket(shm);
    return error < 0 ? error : di_ring_look_for_bytes(&shm->reader, ret_size);
}

/* Moves bytes out of the ring, as far as there is room for them. */
static int take_bytes(di_shm *shm, uint32_t size, size_t want)
{
    int error = di_inbound_make_room(&shm->in, want);
    if (error < 0)
        return error;
    di_buffer *in = &shm->in.buffer;
    if (size > di_buffer_room(in))
        size = (uint32_t)di_buffer_room(in);
    while (size > 0) {
        uint32_t piece = size < PIECE_MAX ? size : PIECE_MAX;
        memcpy(in->data + in->end, di_ring_bytes(&shm->reader), piece);
        di_buffer_commit(in, piece);
        if (di_ring_read(&shm->reader, piece))
            wake(shm);
        size -= piece;
    }
    return DI_MOVED;
}

/* Where a reference comes next, puts what it is to in its place; otherwise says how many bytes come
 * before one. Returns 1 where something was put, 0 or an error. */
static int put_loan(di_shm *shm, size_t want, uint32_t *size)
{
    uint32_t before;
    size_t whole_until = shm->head.in_place ? shm->head.whole_until : 0;
    shm->head.whole_until = 0;
    int found = di_shm_find_reference(shm->loans, &shm->reader, *size, &before);
    if (found <= 0)
        return found;
    *size = before;
    if (before > 0)
        return 0;
    int put = di_shm_put_loan(shm->loans, &shm->in, want, whole_until);
    if (put > 0 && di_ring_read(&shm->reader, 1))
        wake(shm);
    shm->head.places = shm->loans->count;
    return put < 0 ? put : 1;
}

static int shm_receive(di_connection *connection, size_t want)
{
    di_shm *shm = (di_shm *)connection;
    uint32_t size = 0;
    int error = is_open(shm) ? 0 : shm->refused ? shm->refused : meet(shm);
    if (error < 0)
        return error;
    if (!is_open(shm)) {
        look_at_process(shm);
        return is_gone(shm) ? DARI_CLOSED : DI_BLOCKED;
    }
    error = look_for_bytes(shm, &size);
    if (error < 0)
        return error;
    if (size == 0)
        return is_gone(shm) ? DARI_CLOSED : DI_BLOCKED;
    error = shm->loans && shm->serves ? put_loan(shm, want, &size) : 0;
    if (error == 0)
        error = take_bytes(shm, size, want);
    if (error < 0)
        return error;
    count_progress(shm);
    return DI_MOVED;
}

static uint8_t *shm_peek(const di_connection *connection, size_t *ret_size)
{
    return di_buffer_peek(&((const di_shm *)connection)->in.buffer, ret_size);
}

static __attribute__((noinline)) void consume_in_place(di_shm *shm, size_t size)
{
    shm->head.places = di_shm_forget_places(shm->loans, size);
    if (!di_inbound_empty(&shm->in, size))
        di_inbound_consume(&shm->in, size);
}

/* The memory stays while the connection is busy: shm_arm gives it back. */
static void shm_consume(di_connection *connection, size_t size)
{
    di_shm *shm = (di_shm *)connection;
    if (connection->in_place)
        consume_in_place(shm, size);
    else if (!di_inbound_empty(&shm->in, size))
        di_inbound_consume(&shm->in, size);
}

static di_hold *shm_hold(di_connection *connection)
{
    return di_hold_add(di_buffer_hold(&((di_shm *)connection)->in.buffer));
}

static void shm_lend(di_connection *connection, di_hold *memory)
{
    di_inbound_lend(&((di_shm *)connection)->in, memory);
}

static di_region *shm_loans(const di_connection *connection)
{
    const di_shm *shm = (const di_shm *)connection;
    return is_open(shm) && !shm->serves ? shm->memory.loans : NULL;
}

static unsigned shm_list_places(const di_connection *connection, const uint8_t *from, size_t size,
                                di_part *ret_parts, di_region **ret_region)
{
    const di_shm *shm = (const di_shm *)connection;
    size_t there;
    uint8_t *bytes = di_buffer_peek(&shm->in.buffer, &there);
    *ret_region = shm->loans->region;
    return di_shm_list_places(shm->loans, bytes, from, size, ret_parts);
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
    if (!is_open(shm))
        return false;
    if (to_receive)
        di_ring_expect(&shm->reader);
    return (to_receive && (di_ring_has_bytes(&shm->reader) || is_gone(shm))) || has_room_again(shm);
}

static uint32_t shm_taken(const di_connection *connection)
{
    const di_shm *shm = (const di_shm *)connection;
    return is_open(shm) ? di_ring_taken(&shm->writer) : 0;
}

static bool shm_arm(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    int awake = AWAKE;
    if (!is_open(shm))
        return true;
    bool fell_asleep = atomic_compare_exchange_strong(&shm->look, &awake, ASLEEP);
    if (!fell_asleep && awake != ASLEEP)
        return false;
    if (di_ring_sleep(&shm->reader) && !has_room_again(shm) && !is_gone(shm)) {
        /* Of a client another thread may be reading there, and there is no pool. */
        if (shm->in.buffer.pool)
            di_inbound_rest(&shm->in);
        return true;
    }
    /* Otherwise another thread may sleep, and count on being woken. */
    if (fell_asleep)
        rise(shm);
    return false;
}

static void shm_disarm(di_connection *connection)
{
    rise((di_shm *)connection);
}

static void shm_shut(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    if (!is_shut(shm) && is_open(shm))
        atomic_store_explicit(&shm->shut_at, di_ring_written(&shm->reader), memory_order_relaxed);
    atomic_store_explicit(&shm->shut, true, memory_order_release);
    set_gone(shm);
    shutdown(di_connection_descriptor(connection), SHUT_RDWR);
}

static void shm_close(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    if (shm->owner == getpid()) {
        if (is_open(shm))
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
    .reserve = shm_reserve,
    .commit = shm_commit,
    .commit_parts = shm_commit_parts,
    .advance = shm_advance,
    .flush = shm_flush,
    .unsent = shm_unsent,
    .withdraw = shm_withdraw,
    .receive = shm_receive,
    .peek = shm_peek,
    .consume = shm_consume,
    .hold = shm_hold,
    .lend = shm_lend,
    .loans = shm_loans,
    .list_places = shm_list_places,
    .use_pool = shm_use_pool,
    .peer = shm_peer,
    .ready = shm_ready,
    .taken = shm_taken,
    .arm = shm_arm,
    .disarm = shm_disarm,
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
        set_gone(shm);
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
        set_gone(shm);
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
        if (is_open(shm) || moved < 0)
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
