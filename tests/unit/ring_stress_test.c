/* SPDX-License-Identifier: MIT */
/* Two processes, one that writes messages into a ring and one that reads them, which spin, sleep or
 * do both at random while they wait: every byte arrives, and no wake-up is lost. */
#include "ipc/memory.h"
#include "ipc/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGES UINT64_C(1000000)
#define MESSAGES_LONG UINT64_C(100000000)
#define MESSAGE_MAX 256u
/* How long a sleeper waits before a wake-up counts as lost. */
#define PATIENCE_MS 30000

enum waiting { SPINNING, SLEEPING, MIXED };

/* One side of the ring. */
typedef struct side {
    enum waiting waiting;
    uint64_t seed;
    uint64_t count; /* of messages */
    int socket;
    di_ring_writer writer;
    di_ring_reader reader;
} side;

/* Ends this process, the child, or the test. */
static void check(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "%s\n", what);
    _exit(1);
}

static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Both sides know what the next message is: its number, random bytes, and their sum. */
static uint32_t make_message(uint64_t *seed, uint64_t number, uint64_t words[MESSAGE_MAX / 8])
{
    uint32_t count = 2 + (uint32_t)(draw(seed) % (MESSAGE_MAX / 8 - 1));
    uint64_t sum = words[0] = number;
    for (uint32_t i = 1; i < count - 1; i++)
        sum += words[i] = draw(seed);
    words[count - 1] = ~sum;
    return 8 * count;
}

static void wake(const side *self)
{
    send(self->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void sleep_until_woken(const side *self)
{
    struct pollfd woken = {.fd = self->socket, .events = POLLIN};
    char bytes[16];
    check(poll(&woken, 1, PATIENCE_MS) == 1, "a wake-up is lost");
    check(recv(self->socket, bytes, sizeof bytes, MSG_DONTWAIT) > 0, "the other side is gone");
}

/* How often to look before sleeping. */
static uint64_t looks(side *self)
{
    if (self->waiting == MIXED)
        return draw(&self->seed) % 1000;
    return self->waiting == SLEEPING ? 0 : UINT64_MAX;
}

/* Where both share a processor, the other one has to get on. */
static void pause_between_looks(uint64_t look)
{
    if (look % 256 == 255)
        sched_yield();
}

static void await_room(side *self)
{
    uint64_t most = looks(self);
    for (uint64_t i = 0; i < most; i++) {
        check(di_ring_look_for_room(&self->writer) == 0, "the reader lies");
        if (di_ring_known_room(&self->writer))
            return;
        pause_between_looks(i);
    }
    int may_sleep = di_ring_wait_for_room(&self->writer);
    check(may_sleep >= 0, "the reader lies");
    if (may_sleep)
        sleep_until_woken(self);
}

static uint32_t await_bytes(side *self)
{
    uint32_t size;
    uint64_t most = looks(self);
    for (uint64_t i = 0; i < most && !di_ring_has_bytes(&self->reader); i++)
        pause_between_looks(i);
    if (!di_ring_has_bytes(&self->reader) && di_ring_sleep(&self->reader))
        sleep_until_woken(self);
    di_ring_rise(&self->reader);
    check(di_ring_look_for_bytes(&self->reader, &size) == 0, "the writer lies");
    return size;
}

static void publish(side *self)
{
    if (di_ring_publish(&self->writer))
        wake(self);
}

static void write_bytes(side *self, const uint8_t *bytes, uint32_t size)
{
    while (size > 0) {
        check(di_ring_look_for_room(&self->writer) == 0, "the reader lies");
        uint32_t room = di_ring_known_room(&self->writer);
        if (room == 0) {
            publish(self);
            await_room(self);
            continue;
        }
        uint32_t piece = room < size ? room : size;
        memcpy(di_ring_room(&self->writer), bytes, piece);
        di_ring_write(&self->writer, piece);
        bytes += piece;
        size -= piece;
    }
}

static void write_all(side *self)
{
    uint64_t seed = 7, words[MESSAGE_MAX / 8];
    for (uint64_t number = 0; number < self->count; number++) {
        uint32_t size = make_message(&seed, number, words);
        write_bytes(self, (const uint8_t *)words, size);
        if (draw(&self->seed) % 4)
            publish(self);
    }
    publish(self);
}

static void read_bytes(side *self, uint8_t *bytes, uint32_t size)
{
    while (size > 0) {
        uint32_t there = await_bytes(self);
        uint32_t piece = there < size ? there : size;
        memcpy(bytes, di_ring_bytes(&self->reader), piece);
        if (piece && di_ring_read(&self->reader, piece))
            wake(self);
        bytes += piece;
        size -= piece;
    }
}

static void read_all(side *self)
{
    uint64_t seed = 7, expected[MESSAGE_MAX / 8], arrived[MESSAGE_MAX / 8];
    for (uint64_t number = 0; number < self->count; number++) {
        uint32_t size = make_message(&seed, number, expected);
        read_bytes(self, (uint8_t *)arrived, size);
        check(memcmp(arrived, expected, size) == 0, "a message is not as it was written");
    }
}

static void run(enum waiting writing, enum waiting reading)
{
    size_t page = di_memory_page();
    int descriptor, ends[2], status;
    const char *words;
    void *control, *data;
    assert_int_equal(di_memory_create(2 * page, &descriptor, &words), 0);
    assert_int_equal(di_memory_map(descriptor, 0, page, false, true, &control), 0);
    assert_int_equal(di_memory_map(descriptor, page, page, true, true, &data), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    close(descriptor);
    side self = {.count = getenv("DARI_LONG") ? MESSAGES_LONG : MESSAGES};
    pid_t writer = fork();
    assert_true(writer >= 0);
    self.seed = writer ? 3 : 5;
    self.waiting = writer ? reading : writing;
    self.socket = ends[writer ? 0 : 1];
    close(ends[writer ? 1 : 0]);
    di_ring_writer_init(&self.writer, control, data, (uint32_t)page);
    di_ring_reader_init(&self.reader, control, data, (uint32_t)page);
    if (writer == 0) {
        write_all(&self);
        _exit(0);
    }
    read_all(&self);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    close(self.socket);
    di_memory_unmap(control, page, false);
    di_memory_unmap(data, page, true);
}

static void both_spin(void **state)
{
    (void)state;
    run(SPINNING, SPINNING);
}

static void both_sleep(void **state)
{
    (void)state;
    run(SLEEPING, SLEEPING);
}

static void the_reader_sleeps(void **state)
{
    (void)state;
    run(SPINNING, SLEEPING);
}

static void the_writer_sleeps(void **state)
{
    (void)state;
    run(SLEEPING, SPINNING);
}

static void both_do_both(void **state)
{
    (void)state;
    run(MIXED, MIXED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_spin),         cmocka_unit_test(both_sleep),
        cmocka_unit_test(the_reader_sleeps), cmocka_unit_test(the_writer_sleeps),
        cmocka_unit_test(both_do_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
