/* SPDX-License-Identifier: MIT */
/* Sending over shm:: into the ring at once where there is room, otherwise from a buffer. */
#include "transport/shm_side.h"

#include "transport/parts.h"

#include <string.h>
#include <sys/uio.h>

/* Bytes of small messages after which a reader that is awake is told, so that both work at once. */
#define PIECE_MIN ((uint32_t)256)

static int look_for_room(di_shm *shm)
{
    return shm->loans ? di_lender_look_for_room(&shm->loans->lender, &shm->writer)
                      : di_ring_look_for_room(&shm->writer);
}

int di_shm_reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    di_shm *shm = (di_shm *)connection;
    di_ring_writer *writer = &shm->writer;
    shm->in_ring = false;
    if (di_shm_is_open(shm) && di_buffer_size(&shm->out) == 0 && size <= writer->size &&
        shm->failed == 0) {
        if (di_ring_known_room(writer) < size)
            shm->failed = look_for_room(shm);
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
        di_shm_wake(shm);
}

void di_shm_commit(di_connection *connection, size_t size)
{
    di_shm *shm = (di_shm *)connection;
    if (shm->in_ring)
        di_ring_write(&shm->writer, (uint32_t)size);
    else
        di_buffer_commit(&shm->out, size);
}

void di_shm_advance(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    if (di_shm_is_open(shm) && di_ring_unpublished(&shm->writer) >= PIECE_MIN &&
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
        error = look_for_room(shm);
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
    if (size > DI_SHM_PIECE_MAX)
        size = DI_SHM_PIECE_MAX;
    memcpy(di_ring_room(writer), bytes, size);
    di_ring_write(writer, (uint32_t)size);
    if (size == DI_SHM_PIECE_MAX)
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

void di_shm_commit_parts(di_connection *connection, size_t size, const di_part *parts, size_t count)
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
    size_t sent =
        di_shm_is_open(shm) && shm->failed == 0 ? push_pieces(shm, pieces, piece_count) : 0;
    di_parts_write(shm->out.data + shm->out.begin + sent, parts, count);
    di_buffer_consume(&shm->out, sent);
}

/* Whether the server has closed its side, or is dead. Of a client it does not matter. */
static bool has_left(const di_shm *shm)
{
    return !shm->serves && di_shm_is_gone(shm) &&
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
size_t di_shm_unsent(const di_connection *connection)
{
    const di_shm *shm = (const di_shm *)connection;
    if (!di_shm_is_open(shm))
        return di_buffer_size(&shm->out);
    if (has_left(shm))
        return never_sent(shm);
    return di_ring_unpublished(&shm->writer) + di_buffer_size(&shm->out);
}

void di_shm_withdraw(di_connection *connection, size_t size)
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

/* What flush returns that has found no room. A side that does not receive now has to take the
 * wake-ups here, or they would go on telling; with them perhaps the one for room that has come
 * meanwhile: then this is DI_MOVED. */
static int stay_blocked(di_shm *shm, bool progressed)
{
    atomic_store_explicit(&shm->blocked_at, shm->writer.head, memory_order_relaxed);
    atomic_store_explicit(&shm->blocked, true, memory_order_relaxed);
    int awake = DI_SHM_AWAKE;
    if (!progressed && atomic_compare_exchange_strong(&shm->look, &awake, DI_SHM_FLUSH_LOOKS)) {
        shm->failed = di_shm_look_at_socket(shm);
        atomic_store(&shm->look, DI_SHM_AWAKE);
        if (shm->failed == 0 && di_shm_has_room_again(shm))
            return DI_MOVED;
    }
    if (shm->failed)
        return shm->failed;
    return di_shm_is_gone(shm) ? DARI_CLOSED : DI_BLOCKED;
}

/* Whether sending is for nothing. A server sends on to one that is gone: it goes on with what that
 * one has sent. */
static bool is_over(const di_shm *shm)
{
    return shm->serves ? di_shm_is_shut(shm) : di_shm_is_gone(shm);
}

int di_shm_flush(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    bool progressed = false;
    size_t size;
    const uint8_t *bytes;
    if (shm->failed)
        return shm->failed;
    if (is_over(shm))
        return DARI_CLOSED;
    if (!di_shm_is_open(shm))
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
        di_shm_count_progress(shm);
        progressed = true;
    }
    publish(shm);
    if (atomic_load_explicit(&shm->blocked, memory_order_relaxed))
        atomic_store_explicit(&shm->blocked, false, memory_order_relaxed);
    return is_over(shm) ? DARI_CLOSED : DI_MOVED;
}
