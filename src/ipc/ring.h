/* SPDX-License-Identifier: MIT */
/* A ring of bytes in memory that two processes share: one writes, one reads, neither trusts the
 * other.
 *
 * Cursors count bytes since the beginning, modulo 2^32. Each side keeps its own to itself and
 * publishes a copy; what the other side publishes is read once and checked, so that a peer that
 * lies breaks its own ring and nothing else. The bytes are mapped twice in a row (memory.h), so
 * that any run of them is contiguous. Each word that is shared has a cache line, and the one beside
 * it that processors fetch with it, to itself.
 *
 * The ring makes no system call: its functions say when the other side is to be woken. No wake-up
 * is lost, because both sides say first what they do (publish, or announce that they wait) and look
 * then at what the other one has said, in one order that is the same for all
 * (memory_order_seq_cst): at least one of two that do so at once sees the other.
 *
 * A writer belongs to one thread at a time, and so does a reader. */
#ifndef DI_IPC_RING_H
#define DI_IPC_RING_H

#include <dari/error.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of what is below, and of the use that transports make of it. */
#define DI_RING_LAYOUT 2u
/* Bytes of a ring: a power of two, at least a page. */
#define DI_RING_MAX ((size_t)1 << 28)

/* What is shared beside the bytes. Zero at first. */
typedef struct di_ring_control {
    _Alignas(128) _Atomic(uint32_t) tail; /* what is written: the writer's */
    _Alignas(128) _Atomic(uint32_t) head; /* what is read: the reader's */
    _Atomic(uint32_t) reader_left;        /* no more is read */
    _Alignas(128) _Atomic(uint32_t) reader_sleeps;
    _Alignas(128) _Atomic(uint32_t) writer_waits; /* for room */
} di_ring_control;

_Static_assert(sizeof(di_ring_control) == 512, "the same in 32 and 64 bits");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "words are shared without a lock");

typedef struct di_ring_writer {
    di_ring_control *control;
    uint8_t *data;
    uint32_t size;
    uint32_t tail;      /* where the next byte goes */
    uint32_t published; /* what the reader may know of */
    uint32_t head;      /* how far the reader is, as far as is known */
} di_ring_writer;

typedef struct di_ring_reader {
    di_ring_control *control;
    const uint8_t *data;
    uint32_t size;
    _Atomic(uint32_t) head; /* of the next byte; written by the reader's thread, read by any */
    uint32_t tail;          /* how far the writer is, as far as is known */
    bool announced;         /* that it sleeps */
} di_ring_reader;

/* Both begin at the control block and the bytes as they are when new: all zero. */
static inline void di_ring_writer_init(di_ring_writer *writer, di_ring_control *control,
                                       uint8_t *data, uint32_t size)
{
    *writer = (di_ring_writer){.control = control, .data = data, .size = size};
}

static inline void di_ring_reader_init(di_ring_reader *reader, di_ring_control *control,
                                       const uint8_t *data, uint32_t size)
{
    *reader = (di_ring_reader){.control = control, .data = data, .size = size};
    atomic_init(&reader->head, 0);
}

/* The room that is known of. */
static inline uint32_t di_ring_known_room(const di_ring_writer *writer)
{
    return writer->size - (writer->tail - writer->head);
}

/* Bytes written, and not published. */
static inline uint32_t di_ring_unpublished(const di_ring_writer *writer)
{
    return writer->tail - writer->published;
}

/* Whether the reader has said that it reads no more. */
static inline bool di_ring_is_left(const di_ring_writer *writer)
{
    return atomic_load_explicit(&writer->control->reader_left, memory_order_acquire) != 0;
}

/* Bytes written that the reader does not say it has read. */
static inline uint32_t di_ring_unread(const di_ring_writer *writer)
{
    uint32_t head = atomic_load_explicit(&writer->control->head, memory_order_seq_cst);
    bool possible = head - writer->head <= writer->published - writer->head;
    return writer->tail - (possible ? head : writer->head);
}

/* How far the reader says that it is. By any thread. */
static inline uint32_t di_ring_taken(const di_ring_writer *writer)
{
    return atomic_load_explicit(&writer->control->head, memory_order_relaxed);
}

/* Looks how much room there is. Returns 0, or DARI_PROTOCOL: the reader claims to have read what it
 * cannot. */
static inline int di_ring_look_for_room(di_ring_writer *writer)
{
    uint32_t head = atomic_load_explicit(&writer->control->head, memory_order_seq_cst);
    if (head - writer->head > writer->published - writer->head)
        return DARI_PROTOCOL;
    writer->head = head;
    return 0;
}

/* Where the room is. */
static inline uint8_t *di_ring_room(const di_ring_writer *writer)
{
    return writer->data + (writer->tail & (writer->size - 1));
}

/* The first `size` bytes of the room are written, but not published; and the last `size` of such
 * bytes are no more, or of those that a reader will not read any more. */
static inline void di_ring_write(di_ring_writer *writer, uint32_t size)
{
    writer->tail += size;
}

static inline void di_ring_withdraw(di_ring_writer *writer, uint32_t size)
{
    writer->tail -= size;
    if (di_ring_unpublished(writer) > writer->size)
        writer->published = writer->tail;
}

/* Whether the reader has said that it sleeps. */
static inline bool di_ring_reader_sleeps(const di_ring_writer *writer)
{
    return atomic_load_explicit(&writer->control->reader_sleeps, memory_order_relaxed) != 0;
}

/* Says something, before one looks at what the other side has said: as a store of
 * memory_order_seq_cst, in one order with those, but the processor fetches the line of the word
 * together with the lines of what was written before, and not after them. */
static inline void di_ring_say(_Atomic(uint32_t) *word, uint32_t value)
{
#ifdef __SANITIZE_THREAD__ /* which knows no fences */
    atomic_store_explicit(word, value, memory_order_seq_cst);
#else
    atomic_store_explicit(word, value, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Publishes what is written. Returns whether the reader is to be woken. */
static inline bool di_ring_publish(di_ring_writer *writer)
{
    if (writer->tail == writer->published)
        return false;
    writer->published = writer->tail;
    di_ring_say(&writer->control->tail, writer->tail);
    _Atomic(uint32_t) *sleeps = &writer->control->reader_sleeps;
    return atomic_load_explicit(sleeps, memory_order_seq_cst) &&
           atomic_exchange_explicit(sleeps, 0, memory_order_seq_cst);
}

/* Announces that the writer, whose ring is full and published, waits for room, and looks once more.
 * Returns 1 where it may sleep until it is woken, 0 where there is room, or DARI_PROTOCOL. */
static inline int di_ring_wait_for_room(di_ring_writer *writer)
{
    atomic_store_explicit(&writer->control->writer_waits, 1, memory_order_seq_cst);
    int error = di_ring_look_for_room(writer);
    if (error < 0)
        return error;
    if (di_ring_known_room(writer) == 0)
        return 1;
    atomic_store_explicit(&writer->control->writer_waits, 0, memory_order_relaxed);
    return 0;
}

/* How far the writer says that it is. By any thread. */
static inline uint32_t di_ring_written(const di_ring_reader *reader)
{
    return atomic_load_explicit(&reader->control->tail, memory_order_relaxed);
}

/* Whether something is there to read. By any thread. */
static inline bool di_ring_has_bytes(const di_ring_reader *reader)
{
    return di_ring_written(reader) != atomic_load_explicit(&reader->head, memory_order_relaxed);
}

/* Fetches the line that the next bytes will come to. Who spins does so at each look: once bytes are
 * there, their line comes at the same time as the one of the cursor, and not after it. */
static inline void di_ring_expect(const di_ring_reader *reader)
{
    uint32_t head = atomic_load_explicit(&reader->head, memory_order_relaxed);
    const uint8_t *next = reader->data + (head & (reader->size - 1));
    __builtin_prefetch(next);
    __builtin_prefetch(next + 63);
}

/* Looks how much there is to read. Returns 0, or DARI_PROTOCOL: the writer claims to have written
 * more than there is room for. */
static inline int di_ring_look_for_bytes(di_ring_reader *reader, uint32_t *ret_size)
{
    uint32_t tail = atomic_load_explicit(&reader->control->tail, memory_order_seq_cst);
    uint32_t size = tail - atomic_load_explicit(&reader->head, memory_order_relaxed);
    if (size > reader->size)
        return DARI_PROTOCOL;
    reader->tail = tail;
    *ret_size = size;
    return 0;
}

/* Where they are. */
static inline const uint8_t *di_ring_bytes(const di_ring_reader *reader)
{
    uint32_t head = atomic_load_explicit(&reader->head, memory_order_relaxed);
    return reader->data + (head & (reader->size - 1));
}

/* The first `size` bytes are read. Returns whether the writer is to be woken: it waits, and at
 * least half of the ring is free. */
static inline bool di_ring_read(di_ring_reader *reader, uint32_t size)
{
    uint32_t head = atomic_load_explicit(&reader->head, memory_order_relaxed) + size;
    atomic_store_explicit(&reader->head, head, memory_order_relaxed);
    atomic_store_explicit(&reader->control->head, head, memory_order_seq_cst);
    _Atomic(uint32_t) *waits = &reader->control->writer_waits;
    return reader->tail - head <= reader->size / 2 &&
           atomic_load_explicit(waits, memory_order_seq_cst) &&
           atomic_exchange_explicit(waits, 0, memory_order_seq_cst);
}

/* Announces that the reader will sleep until it is woken, and looks once more. Returns whether it
 * may sleep; otherwise something is there. */
static inline bool di_ring_sleep(di_ring_reader *reader)
{
    reader->announced = true;
    atomic_store_explicit(&reader->control->reader_sleeps, 1, memory_order_seq_cst);
    uint32_t tail = atomic_load_explicit(&reader->control->tail, memory_order_seq_cst);
    return tail == atomic_load_explicit(&reader->head, memory_order_relaxed);
}

/* Says that nothing more is read. */
static inline void di_ring_leave(di_ring_reader *reader)
{
    atomic_store_explicit(&reader->control->reader_left, 1, memory_order_release);
}

/* Takes the announcement back. */
static inline void di_ring_rise(di_ring_reader *reader)
{
    if (reader->announced)
        atomic_store_explicit(&reader->control->reader_sleeps, 0, memory_order_relaxed);
    reader->announced = false;
}

#endif
