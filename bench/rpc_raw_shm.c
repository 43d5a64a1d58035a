/* SPDX-License-Identifier: MIT */
/* The subject that shared memory is held against: two processes that spin. NOTHING is one word each
 * way, on a cache line of its own; ECHO goes by two rings of the same size as dari's, with the same
 * copies: into a ring and out of it, each way, in pieces that both sides work on at once.
 *
 * A server that finds nothing to do for a while sleeps on a futex until a client has something, as
 * the other subjects of a row run meanwhile. */
#include "codec.h"
#include "rpc_wire.h"

#include <dari/server.h>

#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_SIZE ((uint32_t)DARI_SHM_RING_SIZE_DEFAULT)
#define PIECE_MAX ((uint32_t)32 << 10)
/* Looks at a line that does not change, until whoever looks thinks that the other one sleeps. */
#define LOOKS 20000u
#define CALL_SIZE (WIRE_MARK + WIRE_CALL + WIRE_ECHO_BODY)
#define REPLY_SIZE (WIRE_MARK + WIRE_REPLY + WIRE_ECHO_BODY)

enum work { NO_WORK, LINES, RINGS };

typedef struct raw_ring {
    _Alignas(128) _Atomic(uint32_t) tail;
    _Alignas(128) _Atomic(uint32_t) head;
    _Alignas(128) uint8_t data[RING_SIZE];
} raw_ring;

typedef struct raw_shared {
    _Alignas(128) _Atomic(uint32_t) call;
    _Alignas(128) _Atomic(uint32_t) reply;
    _Alignas(128) _Atomic(uint32_t) asleep; /* the server is */
    _Atomic(uint32_t) work;
    raw_ring to_server;
    raw_ring to_client;
} raw_shared;

typedef struct raw_client {
    raw_shared *shared;
    uint32_t last; /* what `call` says, and what ends the server's look for another one */
    uint8_t *out;
    uint8_t *in;
} raw_client;

static raw_shared *map(int descriptor)
{
    raw_shared *memory = mmap(NULL, sizeof *memory, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_POPULATE, descriptor, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Waits until the word is another one. Returns whether it is before long. */
static bool changes(const _Atomic(uint32_t) *word, uint32_t from)
{
    for (unsigned look = 0; look < LOOKS; look++)
        if (atomic_load_explicit(word, memory_order_acquire) != from)
            return true;
    return false;
}

static void wake_server(raw_shared *shared)
{
    if (atomic_exchange(&shared->asleep, 0))
        syscall(SYS_futex, &shared->asleep, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The client's wait: for a server that may sleep. */
static void await(raw_shared *shared, const _Atomic(uint32_t) *word, uint32_t from)
{
    while (!changes(word, from))
        wake_server(shared);
}

/* Writes to a ring, with a time for the reader after each piece. */
static void put(raw_shared *shared, raw_ring *ring, const uint8_t *bytes, size_t size)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    while (size > 0) {
        uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
        uint32_t at = tail % RING_SIZE;
        uint32_t piece = RING_SIZE - (tail - head);
        if (piece == 0) {
            await(shared, &ring->head, head);
            continue;
        }
        piece = piece < PIECE_MAX ? piece : PIECE_MAX;
        piece = piece < RING_SIZE - at ? piece : RING_SIZE - at;
        piece = piece < size ? piece : (uint32_t)size;
        memcpy(ring->data + at, bytes, piece);
        tail += piece;
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
        bytes += piece;
        size -= piece;
    }
}

static void get(raw_shared *shared, raw_ring *ring, uint8_t *bytes, size_t size)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    while (size > 0) {
        uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
        uint32_t at = head % RING_SIZE;
        uint32_t piece = tail - head;
        if (piece == 0) {
            await(shared, &ring->tail, tail);
            continue;
        }
        piece = piece < PIECE_MAX ? piece : PIECE_MAX;
        piece = piece < RING_SIZE - at ? piece : RING_SIZE - at;
        piece = piece < size ? piece : (uint32_t)size;
        memcpy(bytes, ring->data + at, piece);
        head += piece;
        atomic_store_explicit(&ring->head, head, memory_order_release);
        bytes += piece;
        size -= piece;
    }
}

static void serve_lines(raw_shared *shared)
{
    uint32_t last = atomic_load_explicit(&shared->reply, memory_order_relaxed);
    while (changes(&shared->call, ~last)) {
        last = ~atomic_load_explicit(&shared->call, memory_order_acquire);
        atomic_store_explicit(&shared->reply, last, memory_order_release);
    }
}

/* What is echoed stays where it arrived, as in the raw server of sockets. */
static void serve_rings(raw_shared *shared, uint8_t *in)
{
    const uint32_t none = atomic_load_explicit(&shared->to_server.head, memory_order_relaxed);
    uint32_t procedure;
    if (!changes(&shared->to_server.tail, none))
        return;
    get(shared, &shared->to_server, in, CALL_SIZE);
    if (!wire_read_call(in + WIRE_MARK, &procedure) || procedure != WIRE_ECHO)
        _exit(1);
    uint8_t *reply = in + CALL_SIZE - REPLY_SIZE;
    wire_write_reply(reply + WIRE_MARK, codec_load_be32(in + WIRE_MARK));
    wire_write_mark(reply, REPLY_SIZE - WIRE_MARK);
    put(shared, &shared->to_client, reply, REPLY_SIZE);
}

static void serve(rpc_place *place, int ready)
{
    int descriptor = memfd_create("bench", MFD_CLOEXEC);
    uint8_t *in = malloc(CALL_SIZE);
    if (descriptor < 0 || !in || ftruncate(descriptor, sizeof(raw_shared)) < 0)
        return;
    raw_shared *shared = map(descriptor);
    if (!shared)
        return;
    atomic_init(&shared->reply, ~UINT32_C(0));
    snprintf(place->path, sizeof place->path, "/proc/%d/fd/%d", (int)getpid(), descriptor);
    rpc_server_ready(place, ready);
    while (true) {
        atomic_store(&shared->asleep, 1);
        syscall(SYS_futex, &shared->asleep, FUTEX_WAIT, 1, NULL, NULL, 0);
        atomic_store(&shared->asleep, 0);
        if (atomic_load(&shared->work) == LINES)
            serve_lines(shared);
        while (atomic_load(&shared->work) == RINGS &&
               changes(&shared->to_server.tail,
                       atomic_load_explicit(&shared->to_server.head, memory_order_relaxed)))
            serve_rings(shared, in);
    }
}

static void close_client(void *context)
{
    raw_client *client = context;
    munmap(client->shared, sizeof *client->shared);
    free(client->out);
    free(client->in);
    free(client);
}

static void *open_client(const rpc_place *place)
{
    int descriptor = open(place->path, O_RDWR | O_CLOEXEC);
    raw_shared *shared = descriptor < 0 ? NULL : map(descriptor);
    raw_client *client = shared ? calloc(1, sizeof *client) : NULL;
    if (descriptor >= 0)
        close(descriptor);
    if (client)
        client->shared = shared;
    return client;
}

static bool nothing(void *context, uint64_t rounds, uint64_t seed)
{
    raw_client *client = context;
    raw_shared *shared = client->shared;
    atomic_store(&shared->work, LINES);
    uint32_t last = client->last;
    for (uint64_t round = 0; round < rounds; round++) {
        uint32_t call = (uint32_t)measure_mix(seed, round);
        call += call == last;
        atomic_store_explicit(&shared->call, call, memory_order_release);
        await(shared, &shared->reply, ~last);
        if (atomic_load_explicit(&shared->reply, memory_order_relaxed) != ~call)
            return false;
        last = call;
    }
    client->last = last;
    return true;
}

static bool prepare_echo(raw_client *client)
{
    client->out = malloc(CALL_SIZE);
    client->in = malloc(REPLY_SIZE);
    if (!client->out || !client->in)
        return false;
    uint8_t *body = client->out + WIRE_MARK + WIRE_CALL;
    codec_store_be32(body, RPC_ECHO_SIZE);
    for (uint32_t i = 0; i < RPC_ECHO_SIZE; i++)
        body[4 + i] = (uint8_t)(i * 31);
    return true;
}

static bool echo(void *context, uint64_t rounds, uint64_t seed)
{
    raw_client *client = context;
    raw_shared *shared = client->shared;
    if (!client->out && !prepare_echo(client))
        return false;
    atomic_store(&shared->work, RINGS);
    uint8_t *body = client->out + WIRE_MARK + WIRE_CALL;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t mixed = measure_mix(seed, round);
        memcpy(body + 4 + mixed % (RPC_ECHO_SIZE - sizeof mixed), &mixed, sizeof mixed);
        wire_write_mark(client->out, CALL_SIZE - WIRE_MARK);
        wire_write_call(client->out + WIRE_MARK, (uint32_t)mixed, WIRE_ECHO);
        put(shared, &shared->to_server, client->out, CALL_SIZE);
        get(shared, &shared->to_client, client->in, REPLY_SIZE);
        if (!wire_read_reply(client->in + WIRE_MARK, (uint32_t)mixed) ||
            memcmp(client->in + WIRE_MARK + WIRE_REPLY, body, WIRE_ECHO_BODY) != 0)
            return false;
    }
    return true;
}

const rpc_subject rpc_raw_shm = {
    .name = "raw",
    .serve = serve,
    .open = open_client,
    .close = close_client,
    .nothing = nothing,
    .echo = echo,
};
