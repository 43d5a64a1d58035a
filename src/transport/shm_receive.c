/* SPDX-License-Identifier: MIT */
/* Receiving over shm:, and falling asleep where nothing comes. */
#include "transport/shm_side.h"

#include <string.h>

/* Takes back that this side sleeps. Returns whether it had said so. */
static bool rise(di_shm *shm)
{
    if (atomic_load(&shm->look) != DI_SHM_ASLEEP)
        return false;
    atomic_store(&shm->look, DI_SHM_AWAKE);
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
    if (di_shm_is_shut(shm))
        return look_for_last_bytes(shm, ret_size);
    bool woken = rise(shm);
    int error = woken ? di_shm_look_at_socket(shm) : 0;
    if (error == 0)
        error = di_ring_look_for_bytes(&shm->reader, ret_size);
    if (error < 0 || *ret_size > 0)
        return error;
    if (!woken)
        error = di_shm_look_around(shm);
    else if (!di_shm_is_gone(shm))
        error = di_shm_look_at_socket(shm);
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
        uint32_t piece = size < DI_SHM_PIECE_MAX ? size : DI_SHM_PIECE_MAX;
        memcpy(in->data + in->end, di_ring_bytes(&shm->reader), piece);
        di_buffer_commit(in, piece);
        if (di_ring_read(&shm->reader, piece))
            di_shm_wake(shm);
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
        di_shm_wake(shm);
    shm->head.places = shm->loans->count;
    return put < 0 ? put : 1;
}

int di_shm_take(di_shm *shm, size_t want)
{
    uint32_t size = 0;
    int error = look_for_bytes(shm, &size);
    if (error < 0)
        return error;
    if (size == 0)
        return di_shm_is_gone(shm) ? DARI_CLOSED : DI_BLOCKED;
    error = shm->loans && shm->serves ? put_loan(shm, want, &size) : 0;
    if (error == 0)
        error = take_bytes(shm, size, want);
    if (error < 0)
        return error;
    di_shm_count_progress(shm);
    return DI_MOVED;
}

uint8_t *di_shm_peek(const di_connection *connection, size_t *ret_size)
{
    return di_buffer_peek(&((const di_shm *)connection)->in.buffer, ret_size);
}

static __attribute__((noinline)) void consume_in_place(di_shm *shm, size_t size)
{
    shm->head.places = di_shm_forget_places(shm->loans, size);
    if (!di_inbound_empty(&shm->in, size))
        di_inbound_consume(&shm->in, size);
}

/* The memory stays while the connection is busy: di_shm_arm gives it back. */
void di_shm_consume(di_connection *connection, size_t size)
{
    di_shm *shm = (di_shm *)connection;
    if (connection->in_place)
        consume_in_place(shm, size);
    else if (!di_inbound_empty(&shm->in, size))
        di_inbound_consume(&shm->in, size);
}

di_hold *di_shm_hold(di_connection *connection)
{
    return di_hold_add(di_buffer_hold(&((di_shm *)connection)->in.buffer));
}

void di_shm_take_lent(di_connection *connection, di_hold *memory)
{
    di_inbound_lend(&((di_shm *)connection)->in, memory);
}

unsigned di_shm_places(const di_connection *connection, const uint8_t *from, size_t size,
                       di_part *ret_parts, di_region **ret_region)
{
    const di_shm *shm = (const di_shm *)connection;
    size_t there;
    uint8_t *bytes = di_buffer_peek(&shm->in.buffer, &there);
    *ret_region = shm->loans->region;
    return di_shm_list_places(shm->loans, bytes, from, size, ret_parts);
}

bool di_shm_arm(di_connection *connection)
{
    di_shm *shm = (di_shm *)connection;
    int awake = DI_SHM_AWAKE;
    if (!di_shm_is_open(shm))
        return true;
    bool fell_asleep = atomic_compare_exchange_strong(&shm->look, &awake, DI_SHM_ASLEEP);
    if (!fell_asleep && awake != DI_SHM_ASLEEP)
        return false;
    if (di_ring_sleep(&shm->reader) && !di_shm_has_room_again(shm) && !di_shm_is_gone(shm)) {
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

void di_shm_disarm(di_connection *connection)
{
    rise((di_shm *)connection);
}
