/* SPDX-License-Identifier: MIT */
#include "transport/shm_meeting.h"

#include "ipc/memory.h"
#include "transport/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAGIC UINT32_C(0x69726164) /* "dari" where numbers are little-endian */

/* The words of a message. */
enum {
    WORD_MAGIC = 0,
    WORD_LAYOUT = 1,
    WORD_STARTED = 2, /* two of them */
    WORD_WANTED = 4,  /* bytes for loans */
    HELLO_WORDS = 6,
    WORD_STATUS = 4,
    WORD_TO_SERVER = 5, /* the sizes of the rings */
    WORD_TO_CLIENT = 6,
    WORD_LOANS = 7, /* bytes for loans, whole pages */
    OFFER_WORDS = 8
};

/* The rings' words come first in the first page, the slots of loans behind them. */
#define LENDING_AT ((size_t)1024)

_Static_assert(2 * sizeof(di_ring_control) <= LENDING_AT, "one behind the other");
_Static_assert(LENDING_AT + sizeof(di_lending_control) <= 4096, "in the smallest page");

/* The status of an offer. */
enum { OFFERED = 0, NOTHING_TO_OFFER = 1 };

#define WORD_SIZE sizeof(uint32_t)
#define VERSION_SIZE (2 * WORD_SIZE)

_Static_assert(sizeof((di_shm_heard *)0)->words >= OFFER_WORDS * WORD_SIZE, "there is room");

static void write_head(uint32_t *words, uint64_t started)
{
    words[WORD_MAGIC] = MAGIC;
    words[WORD_LAYOUT] = DI_RING_LAYOUT;
    memcpy(&words[WORD_STARTED], &started, sizeof started);
}

/* The code for a failed system call on the socket. */
static int broken(void)
{
    return errno == EPIPE || errno == ECONNRESET ? DARI_CLOSED : DARI_ERRNO;
}

/* Sends a first message, for which a new socket has room, with a descriptor unless that is -1. */
static int say(int socket, const uint32_t *words, size_t count, int descriptor)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec piece = {(void *)(uintptr_t)words, count * WORD_SIZE};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof descriptor);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof descriptor);
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return broken();
    return (size_t)sent == piece.iov_len ? 0 : DARI_CLOSED;
}

int di_shm_say_hello(int socket, uint64_t started, size_t loans)
{
    uint32_t words[HELLO_WORDS] = {[WORD_WANTED] = (uint32_t)loans};
    write_head(words, started);
    return say(socket, words, HELLO_WORDS, -1);
}

/* Takes the descriptors that came with some bytes: one may come, once. Returns whether that is so;
 * all others are closed. */
static bool take_descriptors(struct msghdr *message, di_shm_heard *heard)
{
    bool fine = !(message->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(at) + i * sizeof descriptor, sizeof descriptor);
            if (heard->descriptor < 0) {
                heard->descriptor = descriptor;
            } else {
                close(descriptor);
                fine = false;
            }
        }
    }
    return fine;
}

/* Takes in some bytes of the first message, and not of what comes behind it. Returns DI_MOVED,
 * DI_BLOCKED or an error. */
static int hear_some(int socket, di_shm_heard *heard, size_t whole)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {(uint8_t *)heard->words + heard->size, whole - heard->size};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? DI_BLOCKED : broken();
    if (!take_descriptors(&message, heard))
        return DARI_PROTOCOL;
    heard->size += (size_t)got;
    return got == 0 ? DARI_CLOSED : DI_MOVED;
}

/* Hears a first message of `count` words whole, if the version is this one. */
static int hear(int socket, di_shm_heard *heard, size_t count, uint64_t *ret_started)
{
    size_t whole = count * WORD_SIZE;
    while (heard->size < whole) {
        int moved = hear_some(socket, heard, whole);
        if (moved != DI_MOVED)
            return moved;
        if (heard->size < VERSION_SIZE)
            continue;
        if (heard->words[WORD_MAGIC] != MAGIC)
            return DARI_PROTOCOL;
        if (heard->words[WORD_LAYOUT] != DI_RING_LAYOUT)
            return DARI_LAYOUT;
    }
    memcpy(ret_started, &heard->words[WORD_STARTED], sizeof *ret_started);
    return DI_MOVED;
}

/* Tells a client that it gets no memory. What becomes of that is its own affair. */
static void refuse(int socket)
{
    uint32_t words[OFFER_WORDS] = {[WORD_STATUS] = NOTHING_TO_OFFER};
    int cause = errno;
    write_head(words, 0);
    say(socket, words, OFFER_WORDS, -1);
    errno = cause;
}

int di_shm_hear_hello(int socket, di_shm_heard *heard, uint64_t *ret_started)
{
    int result = hear(socket, heard, HELLO_WORDS, ret_started);
    if (result == DARI_LAYOUT)
        refuse(socket);
    return result == DI_MOVED && heard->descriptor >= 0 ? DARI_PROTOCOL : result;
}

/* Where the memory for loans begins. */
static size_t loans_at(const di_shm_memory *memory)
{
    return di_memory_page() + memory->to_server_size + memory->to_client_size;
}

static int map_loans(int descriptor, bool serves, di_shm_memory *memory)
{
    void *loans;
    if (memory->loans_size == 0)
        return 0;
    int error =
        di_memory_map(descriptor, loans_at(memory), memory->loans_size, false, !serves, &loans);
    if (error < 0)
        return error;
    memory->loans = di_region_create(loans, memory->loans_size);
    if (memory->loans)
        return 0;
    di_memory_unmap(loans, memory->loans_size, false);
    return DARI_NO_MEMORY;
}

/* Maps what the descriptor is of. Each side can write only where it writes. */
static int map(int descriptor, bool serves, di_shm_memory *memory)
{
    size_t page = di_memory_page();
    void *controls;
    int error = di_memory_map(descriptor, 0, page, false, true, &controls);
    if (error < 0)
        return error;
    memory->controls = controls;
    memory->lending = (di_lending_control *)(void *)((uint8_t *)controls + LENDING_AT);
    error =
        di_memory_map(descriptor, page, memory->to_server_size, true, !serves, &memory->to_server);
    if (error == 0)
        error = di_memory_map(descriptor, page + memory->to_server_size, memory->to_client_size,
                              true, serves, &memory->to_client);
    if (error == 0)
        error = map_loans(descriptor, serves, memory);
    if (error < 0) {
        int cause = errno;
        di_shm_memory_end(memory);
        errno = cause;
    }
    return error;
}

static size_t whole_size(const di_shm_memory *memory)
{
    return loans_at(memory) + memory->loans_size;
}

/* Whole pages of at least that many bytes. */
static size_t whole_pages(size_t size)
{
    size_t page = di_memory_page();
    return (size + page - 1) / page * page;
}

/* The memory for loans that a client gets: what it wants, or what it may have. */
static uint32_t grant(size_t wanted, size_t most)
{
    if (most > DI_SHM_LOANS_MAX)
        most = DI_SHM_LOANS_MAX;
    return (uint32_t)whole_pages(wanted < most ? wanted : most);
}

int di_shm_offer(int socket, const di_shm_heard *hello, uint32_t ring_size, size_t loans_max,
                 uint64_t started, di_shm_memory *ret_memory)
{
    di_shm_memory memory = {.to_server_size = ring_size,
                            .to_client_size = ring_size,
                            .loans_size = grant(hello->words[WORD_WANTED], loans_max)};
    uint32_t words[OFFER_WORDS] = {[WORD_STATUS] = OFFERED,
                                   [WORD_TO_SERVER] = memory.to_server_size,
                                   [WORD_TO_CLIENT] = memory.to_client_size,
                                   [WORD_LOANS] = memory.loans_size};
    int descriptor = -1;
    const char *what;
    int error = di_memory_create(whole_size(&memory), &descriptor, &what);
    if (error == 0)
        error = map(descriptor, true, &memory);
    if (error < 0) {
        refuse(socket);
    } else {
        write_head(words, started);
        error = say(socket, words, OFFER_WORDS, descriptor);
    }
    int cause = errno;
    if (descriptor >= 0)
        close(descriptor);
    if (error < 0)
        di_shm_memory_end(&memory);
    else
        *ret_memory = memory;
    errno = cause;
    return error;
}

static bool is_ring_size(uint32_t size)
{
    return size >= di_memory_page() && size <= DI_RING_MAX && (size & (size - 1)) == 0;
}

/* Examines and maps what was offered. */
static int take_offer(const di_shm_heard *heard, size_t loans, di_shm_memory *ret_memory)
{
    di_shm_memory memory = {.to_server_size = heard->words[WORD_TO_SERVER],
                            .to_client_size = heard->words[WORD_TO_CLIENT],
                            .loans_size = heard->words[WORD_LOANS]};
    const char *wrong;
    if (heard->words[WORD_STATUS] == NOTHING_TO_OFFER)
        return DARI_CLOSED;
    if (heard->words[WORD_STATUS] != OFFERED || heard->descriptor < 0 ||
        !is_ring_size(memory.to_server_size) || !is_ring_size(memory.to_client_size) ||
        memory.loans_size > whole_pages(loans) || memory.loans_size % di_memory_page() != 0)
        return DARI_PROTOCOL;
    int error = di_memory_check(heard->descriptor, whole_size(&memory), &wrong);
    if (error == 0)
        error = map(heard->descriptor, false, &memory);
    if (error == 0)
        *ret_memory = memory;
    return error;
}

int di_shm_hear_offer(int socket, di_shm_heard *heard, size_t loans, uint64_t *ret_started,
                      di_shm_memory *ret_memory)
{
    int result = hear(socket, heard, OFFER_WORDS, ret_started);
    if (result != DI_MOVED)
        return result;
    int error = take_offer(heard, loans, ret_memory);
    int cause = errno;
    if (heard->descriptor >= 0)
        close(heard->descriptor);
    heard->descriptor = -1;
    errno = cause;
    return error < 0 ? error : DI_MOVED;
}

void di_shm_memory_end(di_shm_memory *memory)
{
    di_memory_unmap(memory->controls, di_memory_page(), false);
    di_memory_unmap(memory->to_server, memory->to_server_size, true);
    di_memory_unmap(memory->to_client, memory->to_client_size, true);
    di_region_release(memory->loans);
    *memory = (di_shm_memory){0};
}
