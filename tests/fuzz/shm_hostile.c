/* SPDX-License-Identifier: MIT */
#include "fuzz/shm_hostile.h"

#include "ipc/memory.h"
#include "transport/transport.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define FLOOD 4000
#define DESCRIPTORS_MAX 20u
#define RESERVED_MAX 8u

/* Whose next step is taken within a system call. */
static hostile *meanwhile;

ssize_t __real_recv(int descriptor, void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int descriptor, void *bytes, size_t size, int flags);
ssize_t __real_send(int descriptor, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags);
int __real_poll(struct pollfd *all, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *all, nfds_t count, int timeout);

void *__real_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
void *__real_mmap64(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
int __real_munmap(void *memory, size_t size);
int __wrap_munmap(void *memory, size_t size);

static bool take_step(hostile *self, bool within);

static void within_a_call(void)
{
    if (meanwhile && meanwhile->later && --meanwhile->later == 0)
        take_step(meanwhile, true);
}

ssize_t __wrap_recv(int descriptor, void *bytes, size_t size, int flags)
{
    within_a_call();
    return __real_recv(descriptor, bytes, size, flags);
}

ssize_t __wrap_send(int descriptor, const void *bytes, size_t size, int flags)
{
    within_a_call();
    return __real_send(descriptor, bytes, size, flags);
}

int __wrap_poll(struct pollfd *all, nfds_t count, int timeout)
{
    within_a_call();
    return __real_poll(all, count, timeout);
}

/* Memory that is reserved for rings gets a page on either side that nobody may touch. */
static void *reserved[RESERVED_MAX];

static void *reserve(size_t size)
{
    size_t page = di_memory_page(), i = 0;
    uint8_t *memory = __real_mmap(NULL, size + 2 * page, PROT_NONE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    hostile_check(memory != MAP_FAILED);
    while (reserved[i])
        hostile_check(++i < RESERVED_MAX);
    return reserved[i] = memory + page;
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    bool reserves = !at && protection == PROT_NONE && flags & MAP_NORESERVE;
    return reserves ? reserve(size) : __real_mmap(at, size, protection, flags, descriptor, offset);
}

/* The name that mmap has where files are large. */
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    bool reserves = !at && protection == PROT_NONE && flags & MAP_NORESERVE;
    return reserves ? reserve(size)
                    : __real_mmap64(at, size, protection, flags, descriptor, offset);
}

int __wrap_munmap(void *memory, size_t size)
{
    size_t page = di_memory_page();
    for (size_t i = 0; i < RESERVED_MAX; i++)
        if (memory && reserved[i] == memory) {
            reserved[i] = NULL;
            return __real_munmap((uint8_t *)memory - page, size + 2 * page);
        }
    return __real_munmap(memory, size);
}

void hostile_check(bool holds)
{
    if (!holds)
        abort();
}

uint64_t hostile_descriptors(void)
{
    uint64_t open = 0;
    for (int i = 0; i < 64; i++)
        open |= (uint64_t)(fcntl(i, F_GETFD) >= 0) << i;
    return open;
}

/* The next number of the script, of so many bytes. */
static uint32_t next(hostile *self, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes && self->at < self->end; i++)
        value |= (uint32_t)*self->at++ << (8 * i);
    return value;
}

/* --- The meeting. --- */

/* A first message. */
typedef struct spoken {
    uint8_t bytes[128];
    size_t size;
    int descriptor; /* that goes with it, or -1 */
} spoken;

static void listen_to(int socket, int flags, spoken *ret_spoken)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {ret_spoken->bytes, sizeof ret_spoken->bytes};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
    struct cmsghdr *header = got < 0 ? NULL : CMSG_FIRSTHDR(&message);
    ret_spoken->size = got < 0 ? 0 : (size_t)got;
    ret_spoken->descriptor = -1;
    if (header)
        memcpy(&ret_spoken->descriptor, CMSG_DATA(header), sizeof(int));
}

static void speak(int socket, const uint8_t *bytes, size_t size, int descriptor, size_t copies)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    } control = {0};
    struct iovec piece = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (descriptor >= 0 && copies > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(copies * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(copies * sizeof(int));
        for (size_t i = 0; i < copies; i++)
            memcpy(CMSG_DATA(header) + i * sizeof(int), &descriptor, sizeof(int));
    }
    /* The other side may have hung up. */
    sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What an honest side says first. A server has mapped what it offers then. */
static void learn(hostile *self, spoken *ret_spoken)
{
    int ends[2];
    hostile_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    if (self->serves)
        hostile_check(di_shm_offer(ends[0], &(di_shm_heard){.descriptor = -1},
                                   (uint32_t)di_memory_page(), 0, 0, &self->rings) == 0);
    else
        hostile_check(di_shm_say_hello(ends[0], 0, self->loans) == 0);
    listen_to(ends[1], 0, ret_spoken);
    close(ends[0]);
    close(ends[1]);
}

/* Memory as it must not be; or NULL pages in the place of those that were offered. */
static int other_memory(size_t size, uint32_t kind)
{
    static const int seals[] = {0, F_SEAL_SHRINK | F_SEAL_GROW, SEALS & ~F_SEAL_GROW,
                                SEALS | F_SEAL_WRITE, SEALS};
    if (kind % 8 == 0)
        return open("/dev/zero", O_RDWR | O_CLOEXEC);
    if (kind % 8 == 1)
        return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int memory = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    hostile_check(memory >= 0);
    size_t whole = kind & 0x10 ? size + di_memory_page() : kind & 0x20 ? size / 2 : size;
    hostile_check(ftruncate(memory, (off_t)whole) == 0);
    if (!(kind & 0x40) && whole > 0)
        hostile_check(fallocate(memory, 0, 0, (off_t)whole) == 0);
    hostile_check(fcntl(memory, F_ADD_SEALS, seals[kind % 8 % 5]) == 0);
    return memory;
}

/* Changes a word of the first message. */
static void damage(hostile *self, spoken *what)
{
    uint32_t place = next(self, 1), way = next(self, 1), value = next(self, 4), word;
    if (what->size < sizeof word)
        return;
    uint8_t *at = what->bytes + place % (what->size / sizeof word) * sizeof word;
    memcpy(&word, at, sizeof word);
    word = way % 4 == 0   ? value
           : way % 4 == 1 ? word + (value & 1 ? 1 : UINT32_MAX)
           : way % 4 == 2 ? word << 1
                          : word;
    memcpy(at, &word, sizeof word);
}

void hostile_meet(hostile *self)
{
    const uint8_t *steps = self->at + HOSTILE_HEAD;
    spoken what;
    learn(self, &what);
    bool honest = next(self, 1) < HOSTILE_HONEST;
    size_t copies = 1, first = what.size;
    if (self->serves)
        self->memory = fcntl(what.descriptor, F_DUPFD_CLOEXEC, 0);
    if (!honest) {
        damage(self, &what);
        first = next(self, 1) % (what.size + 1);
        copies = next(self, 1);
        copies = copies % 4 ? 1 : copies / 4 % DESCRIPTORS_MAX;
        uint32_t kind = next(self, 1);
        struct stat status;
        if (kind & 0x80 && what.descriptor >= 0 && fstat(what.descriptor, &status) == 0) {
            close(what.descriptor);
            what.descriptor = other_memory((size_t)status.st_size, kind);
        }
    }
    int descriptor = what.descriptor;
    if (!honest && descriptor < 0 && copies != 1)
        descriptor = self->socket;
    speak(self->socket, what.bytes, first, descriptor, copies);
    if (first < what.size) {
        if (self->turn)
            self->turn(self->user);
        speak(self->socket, what.bytes + first, what.size - first, -1, 0);
    }
    if (what.descriptor >= 0)
        close(what.descriptor);
    self->at = steps;
}

/* Whichever side it is, it begins as an honest one. */
static void open_rings(hostile *self)
{
    const di_shm_memory *rings = &self->rings;
    if (self->serves) {
        di_ring_reader_init(&self->reader, &rings->controls[0], rings->to_server,
                            rings->to_server_size);
        di_ring_writer_init(&self->writer, &rings->controls[1], rings->to_client,
                            rings->to_client_size);
    } else {
        di_ring_writer_init(&self->writer, &rings->controls[0], rings->to_server,
                            rings->to_server_size);
        di_ring_reader_init(&self->reader, &rings->controls[1], rings->to_client,
                            rings->to_client_size);
        self->lender = (di_lender){.control = rings->lending};
    }
}

void hostile_hear(hostile *self)
{
    di_shm_heard heard = {.descriptor = -1};
    spoken offer;
    uint64_t started;
    listen_to(self->socket, MSG_PEEK, &offer);
    self->memory = offer.descriptor;
    if (di_shm_hear_offer(self->socket, &heard, self->loans, &started, &self->rings) == DI_MOVED)
        open_rings(self);
}

void hostile_begin(hostile *self, const uint8_t *script, size_t size, bool serves, int socket)
{
    *self = (hostile){.at = script, .end = script + size};
    self->serves = serves;
    self->socket = socket;
    self->memory = -1;
}

/* --- The steps. --- */

static void wake(hostile *self)
{
    __real_send(self->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Room for an honest writer, who knows nothing of his own lies. */
static uint32_t room(hostile *self)
{
    if (di_lender_look_for_room(&self->lender, &self->writer) < 0)
        return 0;
    return di_ring_known_room(&self->writer);
}

static void write_bytes(hostile *self, bool within)
{
    uint32_t size = next(self, 2);
    if (size > (size_t)(self->end - self->at))
        size = (uint32_t)(self->end - self->at);
    const uint8_t *bytes = self->at;
    self->at += size;
    while (size > 0) {
        if (room(self) == 0 && !within && self->turn)
            self->turn(self->user);
        uint32_t part = room(self);
        if (part == 0)
            return;
        if (part > size)
            part = size;
        memcpy(di_ring_room(&self->writer), bytes, part);
        di_ring_write(&self->writer, part);
        if (di_ring_publish(&self->writer))
            wake(self);
        bytes += part;
        size -= part;
    }
}

/* As an honest client does, but for where the bytes are. */
static void lend(hostile *self)
{
    uint32_t size = next(self, 4), offset = next(self, 4);
    if (!self->rings.loans || room(self) == 0 || !di_lender_has_slot(&self->lender))
        return;
    di_lend(&self->lender, &self->writer, offset, size);
    if (di_ring_publish(&self->writer))
        wake(self);
}

static void change_slot(hostile *self)
{
    di_lending_control *control = self->rings.lending;
    uint32_t place = next(self, 2), value = next(self, 4);
    if (!self->rings.loans)
        return;
    di_lending_slot *slot = &control->slots[place / 4 % DI_LENDING_SLOTS];
    _Atomic(uint32_t) *const words[] = {&control->tail, &slot->place, &slot->offset, &slot->size};
    atomic_store(words[place % 4], value);
}

/* Reads all, wake-ups too. */
static void take_all(hostile *self)
{
    char wakes[256];
    uint32_t size;
    while (__real_recv(self->socket, wakes, sizeof wakes, MSG_DONTWAIT) > 0)
        continue;
    di_ring_rise(&self->reader);
    if (di_ring_look_for_bytes(&self->reader, &size) == 0 && di_ring_read(&self->reader, size))
        wake(self);
}

static void change_word(hostile *self)
{
    di_ring_control *control = &self->rings.controls[next(self, 1) % 2];
    uint32_t way = next(self, 1), value = next(self, 4);
    _Atomic(uint32_t) *const words[] = {&control->tail, &control->head, &control->reader_left,
                                        &control->reader_sleeps, &control->writer_waits};
    _Atomic(uint32_t) *word = words[way / 8 % 5];
    switch (way % 8) {
    case 0:
        value += atomic_load(word);
        break;
    case 1: /* a little on or back */
        value = atomic_load(word) + value % 16 - 8;
        break;
    case 2:
        value = atomic_load(word) + value % (2 * self->writer.size + 2);
        break;
    case 3:
        value %= 2;
        break;
    case 4: /* somewhere in what has been written */
        value = self->writer.tail - value % (self->writer.size + 1);
        break;
    default:
        break;
    }
    atomic_store(word, value);
}

static void punch_hole(hostile *self)
{
    off_t page = (off_t)di_memory_page(), at = (off_t)(next(self, 1) % 3) * page;
    /* Where it is not what was offered, it may be sealed. */
    int result = fallocate(self->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, page);
    (void)result;
}

static void flood(hostile *self)
{
    static const char wakes[FLOOD];
    __real_send(self->socket, wakes, sizeof wakes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Steps for which no memory is needed. */
static bool take_plain_step(hostile *self, uint32_t step, bool within)
{
    switch (step) {
    case STEP_TURN:
        if (!within && self->turn)
            self->turn(self->user);
        return true;
    case STEP_WAKE:
        for (uint32_t left = next(self, 1); left > 0; left--)
            wake(self);
        return true;
    case STEP_FLOOD:
        flood(self);
        return true;
    case STEP_PASS:
        speak(self->socket, (const uint8_t *)"", 1, self->socket, next(self, 1) % DESCRIPTORS_MAX);
        return true;
    case STEP_LATER:
        self->later = 1 + next(self, 1) % 4;
        if (within || !self->turn)
            return true;
        self->turn(self->user);
        self->later = 0;
        return true;
    case STEP_HANG:
        shutdown(self->socket, next(self, 1) % 2 ? SHUT_WR : SHUT_RDWR);
        return true;
    default:
        return false;
    }
}

static void take_ring_step(hostile *self, uint32_t step, bool within)
{
    switch (step) {
    case STEP_WRITE:
        write_bytes(self, within);
        break;
    case STEP_TAKE:
        take_all(self);
        break;
    case STEP_SLEEP:
        di_ring_sleep(&self->reader);
        break;
    case STEP_WORD:
        change_word(self);
        break;
    case STEP_BYTE: {
        uint32_t at = next(self, 4) % self->writer.size;
        self->writer.data[at] = (uint8_t)next(self, 1);
        break;
    }
    case STEP_HOLE:
        punch_hole(self);
        break;
    case STEP_LEND:
        lend(self);
        break;
    case STEP_SLOT:
        change_slot(self);
        break;
    default:
        break;
    }
}

/* Returns whether there was one. */
static bool take_step(hostile *self, bool within)
{
    if (self->at >= self->end)
        return false;
    uint32_t step = next(self, 1) % STEP_COUNT;
    if (!take_plain_step(self, step, within) && self->writer.control)
        take_ring_step(self, step, within);
    return true;
}

void hostile_act(hostile *self)
{
    if (self->serves)
        open_rings(self);
    meanwhile = self;
    while (take_step(self, false))
        continue;
    meanwhile = NULL;
}

void hostile_end(hostile *self)
{
    close(self->socket);
    if (self->memory >= 0)
        close(self->memory);
    di_shm_memory_end(&self->rings);
}
