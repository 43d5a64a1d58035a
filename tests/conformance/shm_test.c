/* SPDX-License-Identifier: MIT */
/* What is particular to shm: -- peers that lie or are of another version, who may connect, limits,
 * and the death of either side. Each of these is played by the same client or server by hand, so it
 * is one file. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "ipc/memory.h"
#include "ipc/ring.h"
#include "loop/server.h"

#include <dari/loan.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define MAGIC UINT32_C(0x69726164)
#define RING ((uint32_t)64 << 10)
#define NOBODY 65534u

/* Stand-ins: a kernel that does not know SO_PEERPIDFD, and one that has no memory. */
static bool is_old_kernel, has_no_memory;

int __real_getsockopt(int descriptor, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int descriptor, int level, int name, void *value, socklen_t *size);
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);

int __wrap_getsockopt(int descriptor, int level, int name, void *value, socklen_t *size)
{
    if (is_old_kernel && level == SOL_SOCKET && name == SO_PEERPIDFD) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return __real_getsockopt(descriptor, level, name, value, size);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    if (has_no_memory) {
        errno = ENOMEM;
        return -1;
    }
    return __real_memfd_create(name, flags);
}

static const test_scheme *shm_scheme(void)
{
    for (size_t i = 0; i < scheme_count; i++)
        if (strcmp(schemes[i].name, "shm") == 0)
            return &schemes[i];
    return NULL;
}

static int begin(void **state)
{
    test_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->scheme = shm_scheme();
    fixture_begin(fixture);
    *state = fixture;
    return 0;
}

static int end(void **state)
{
    fixture_end(*state);
    free(*state);
    return 0;
}

static const char *path_of(const test_fixture *fixture)
{
    return strchr(fixture->address, ':') + 1;
}

/* --- A client by hand. --- */

typedef struct liar {
    int socket, memory;
    di_ring_control *controls;
    void *to_server, *to_client;
    uint32_t size;
    di_ring_writer writer;
} liar;

static int connect_to(const test_fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path_of(fixture));
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    return descriptor;
}

/* Sends bytes, and some copies of a descriptor. */
static void send_with(int socket, const void *bytes, size_t size, int descriptor, size_t copies)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))] = {0};
    struct iovec piece = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (copies) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(copies * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(copies * sizeof(int));
        for (size_t i = 0; i < copies; i++)
            memcpy(CMSG_DATA(header) + i * sizeof(int), &descriptor, sizeof descriptor);
    }
    assert_int_equal(sendmsg(socket, &message, MSG_NOSIGNAL), size);
}

static size_t receive_with(int socket, void *bytes, size_t size, int *ret_descriptor)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec piece = {bytes, size};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct pollfd one = {.fd = socket, .events = POLLIN};
    assert_int_equal(poll(&one, 1, 10000), 1);
    ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *ret_descriptor = -1;
    if (header)
        memcpy(ret_descriptor, CMSG_DATA(header), sizeof *ret_descriptor);
    return got > 0 ? (size_t)got : 0;
}

static const uint32_t hello[6] = {MAGIC, DI_RING_LAYOUT};

/* Meets the server as an honest client does. */
static void meet(const test_fixture *fixture, liar *self)
{
    uint32_t offer[8];
    size_t page = di_memory_page();
    void *controls;
    self->socket = connect_to(fixture);
    send_with(self->socket, hello, sizeof hello, -1, 0);
    assert_int_equal(receive_with(self->socket, offer, sizeof offer, &self->memory), sizeof offer);
    assert_int_equal(offer[0], MAGIC);
    assert_int_equal(offer[4], 0);
    assert_true(self->memory >= 0);
    self->size = offer[5];
    assert_int_equal(di_memory_map(self->memory, 0, page, false, true, &controls), 0);
    self->controls = controls;
    assert_int_equal(di_memory_map(self->memory, page, self->size, true, true, &self->to_server),
                     0);
    assert_int_equal(
        di_memory_map(self->memory, page + self->size, offer[6], true, true, &self->to_client), 0);
    di_ring_writer_init(&self->writer, &self->controls[0], self->to_server, self->size);
}

static void part(liar *self)
{
    di_memory_unmap(self->controls, di_memory_page(), false);
    di_memory_unmap(self->to_server, self->size, true);
    di_memory_unmap(self->to_client, self->size, true);
    close(self->memory);
    close(self->socket);
}

static void wake_server(const liar *self)
{
    send(self->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Sends a call as an honest client does; the server answers with as many bytes. */
static void call_echo(liar *self, uint32_t xid, uint32_t size)
{
    uint8_t *room = di_ring_room(&self->writer);
    dari_put_u32(room, 0x80000000u | (44 + size));
    uint8_t *at = raw_call(room + 4, xid, ECHO, ECHO_V1, 1);
    dari_put_u32(at, size);
    memset(at + 4, (int)xid, size);
    di_ring_write(&self->writer, 48 + size);
    di_ring_publish(&self->writer);
    wake_server(self);
}

/* Waits for the end of the connection. */
static void await_end(int socket)
{
    char bytes[4096];
    struct pollfd one = {.fd = socket, .events = POLLIN};
    for (;;) {
        assert_int_equal(poll(&one, 1, 10000), 1);
        ssize_t got = recv(socket, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            return;
    }
}

static void check_log(test_fixture *fixture, unsigned lines, int error)
{
    fixture_await_logged(fixture, lines);
    assert_int_equal(fixture->log_error, error);
    assert_non_null(strstr(fixture->log_text, dari_error_text(error)));
}

/* The server serves on. */
static void check_service(test_fixture *fixture)
{
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    check_echo(client, 500000);
    dari_client_close(client);
}

static void a_client_by_hand_is_served(void **state)
{
    test_fixture *fixture = *state;
    liar self;
    fixture->options.shm_ring_size = RING;
    fixture_serve(fixture);
    meet(fixture, &self);
    assert_int_equal(self.size, RING);
    call_echo(&self, 1, 100);
    fixture_await_entered(fixture, 1);
    part(&self);
    check_service(fixture);
    assert_int_equal(fixture->logged, 0);
}

static void a_client_that_lies_about_what_it_wrote(void **state)
{
    test_fixture *fixture = *state;
    const uint32_t lies[] = {RING + 1, RING * 2, 1u << 31, UINT32_MAX};
    fixture->options.shm_ring_size = RING;
    fixture_serve(fixture);
    for (unsigned i = 0; i < 4; i++) {
        liar self;
        meet(fixture, &self);
        atomic_store(&self.controls[0].tail, lies[i]);
        wake_server(&self);
        await_end(self.socket);
        part(&self);
        check_log(fixture, i + 1, DARI_PROTOCOL);
    }
    check_service(fixture);
}

/* Replies fill the ring until the server has to look how much of it was read. */
static void a_client_that_lies_about_what_it_read(void **state)
{
    test_fixture *fixture = *state;
    const uint32_t lies[] = {UINT32_MAX, 1u << 31, RING + 1, 3 * 20032 + 1};
    fixture->options.shm_ring_size = RING;
    fixture_serve(fixture);
    for (unsigned i = 0; i < 4; i++) {
        liar self;
        meet(fixture, &self);
        call_echo(&self, 1, 20000);
        fixture_await_entered(fixture, i + 1);
        atomic_store(&self.controls[1].head, lies[i]);
        call_echo(&self, 2, 20000);
        call_echo(&self, 3, 20000);
        while (atomic_load(&self.controls[0].head) != 3 * 20048)
            sched_yield();
        assert_int_equal(di_ring_look_for_room(&self.writer), 0);
        call_echo(&self, 4, 20000);
        await_end(self.socket);
        part(&self);
        check_log(fixture, i + 1, DARI_PROTOCOL);
        fixture->entered = i + 1;
    }
    check_service(fixture);
}

static void wake_ups_without_end(void **state)
{
    test_fixture *fixture = *state;
    liar self;
    char bytes[512] = {0};
    fixture_serve(fixture);
    meet(fixture, &self);
    while (send(self.socket, bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
        continue;
    await_end(self.socket);
    part(&self);
    check_log(fixture, 1, DARI_PROTOCOL);
    check_service(fixture);
}

/* Half of the rings turns to zero, again and again, while calls are made. */
static void a_client_that_punches_holes(void **state)
{
    test_fixture *fixture = *state;
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    off_t page = (off_t)di_memory_page();
    fixture->options.shm_ring_size = RING;
    fixture_serve(fixture);
    for (int i = 0; i < 20; i++) {
        liar self;
        meet(fixture, &self);
        for (uint32_t call = 1; call < 6; call++) {
            call_echo(&self, call, 10000);
            assert_int_equal(fallocate(self.memory, mode, (call % 2) * page, RING), 0);
        }
        part(&self);
    }
    check_service(fixture);
}

/* It calls for as long as it is read, and reads nothing. */
static void a_client_that_never_reads(void **state)
{
    test_fixture *fixture = *state;
    liar self;
    fixture->options.shm_ring_size = RING;
    fixture->options.queued_max = RING;
    fixture_serve(fixture);
    meet(fixture, &self);
    uint32_t xid = 0;
    uint64_t until = di_now() + 200 * DARI_MS;
    while (di_now() < until && xid < 1000) {
        assert_int_equal(di_ring_look_for_room(&self.writer), 0);
        if (di_ring_known_room(&self.writer) >= 10048)
            call_echo(&self, ++xid, 10000);
    }
    assert_in_range(xid, 10, 40); /* two rings, and what may wait */
    check_service(fixture);
    part(&self);
    check_service(fixture);
}

/* Every value of every word, at random, while it also calls. */
static void random_words(void **state)
{
    test_fixture *fixture = *state;
    uint64_t seed = 99;
    fixture->options.shm_ring_size = di_memory_page();
    fixture_serve(fixture);
    for (int round = 0; round < 200; round++) {
        liar self;
        meet(fixture, &self);
        for (int i = 0; i < 20; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            uint32_t value = (uint32_t)(seed >> 32);
            if (value % 3 == 0)
                value %= 2 * self.size;
            _Atomic(uint32_t) *words = (_Atomic(uint32_t) *)self.controls;
            atomic_store(&words[(seed >> 8) % (2 * sizeof *self.controls / 4)], value);
            ((uint8_t *)self.to_server)[(seed >> 16) % self.size] = (uint8_t)(seed >> 24);
            wake_server(&self);
        }
        part(&self);
    }
    check_service(fixture);
}

static void hello_of_another_kind(void **state)
{
    test_fixture *fixture = *state;
    static const uint32_t other_layout[4] = {MAGIC, DI_RING_LAYOUT + 1, 0, 0};
    static const uint32_t other_magic[4] = {0x12345678, DI_RING_LAYOUT, 0, 0};
    uint32_t offer[8] = {0};
    int descriptor;
    fixture_serve(fixture);
    int socket = connect_to(fixture);
    send_with(socket, other_layout, sizeof other_layout, -1, 0);
    assert_int_equal(receive_with(socket, offer, sizeof offer, &descriptor), sizeof offer);
    assert_int_equal(offer[0], MAGIC);
    assert_int_equal(offer[1], DI_RING_LAYOUT);
    assert_int_equal(descriptor, -1);
    await_end(socket);
    close(socket);
    check_log(fixture, 1, DARI_LAYOUT);
    socket = connect_to(fixture);
    send_with(socket, other_magic, sizeof other_magic, -1, 0);
    await_end(socket);
    close(socket);
    check_log(fixture, 2, DARI_PROTOCOL);
    check_service(fixture);
}

/* With hello, in pieces, and later on: none of them stays open. */
static void floods_of_descriptors(void **state)
{
    test_fixture *fixture = *state;
    fixture_serve(fixture);
    check_service(fixture);
    unsigned before = count_descriptors();
    for (size_t copies = 1; copies <= 64; copies *= 4) {
        int socket = connect_to(fixture);
        send_with(socket, hello, sizeof hello, 0, copies);
        await_end(socket);
        close(socket);
    }
    check_log(fixture, 4, DARI_PROTOCOL);
    liar self;
    meet(fixture, &self);
    for (int i = 0; i < 20; i++)
        send_with(self.socket, "", 1, 0, 64);
    call_echo(&self, 1, 100);
    fixture_await_entered(fixture, 1);
    part(&self);
    check_service(fixture);
    fixture_stop(fixture);
    assert_true(count_descriptors() < before);
}

/* Says only a part of it: a connection without data, which blocks nobody. */
static void half_a_hello(void **state)
{
    test_fixture *fixture = *state;
    fixture->options.first_call_ns = 50 * DARI_MS;
    fixture_serve(fixture);
    int socket = connect_to(fixture);
    send_with(socket, hello, 7, -1, 0);
    check_service(fixture);
    await_end(socket);
    close(socket);
}

/* --- A server by hand. --- */

typedef struct offer {
    uint32_t words[8];
    size_t size;    /* bytes of it that are sent */
    int descriptor; /* or -1 */
    size_t copies;
    int expected; /* what a call gets */
} offer;

static int listen_at(const test_fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path_of(fixture));
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(descriptor, 10), 0);
    return descriptor;
}

static int sealed(size_t size, int seals, unsigned flags)
{
    int descriptor = __real_memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    if (descriptor < 0)
        return -1;
    assert_int_equal(ftruncate(descriptor, (off_t)size), 0);
    if (!flags)
        assert_int_equal(fallocate(descriptor, 0, 0, (off_t)size), 0);
    assert_int_equal(fcntl(descriptor, F_ADD_SEALS, seals), 0);
    return descriptor;
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Offers it to a client, whose call fails as expected, and leaves no descriptor open. */
static void check_offer(const test_fixture *fixture, int listening, offer what)
{
    dari_client *client = NULL;
    dari_call call = {0};
    unsigned before = count_descriptors();
    assert_int_equal(
        dari_connect(fixture->address, &(dari_client_options){.no_reconnect = true}, &client), 0);
    int socket = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(socket >= 0);
    send_with(socket, what.words, what.size, what.descriptor, what.copies);
    shutdown(socket, SHUT_WR);
    assert_int_equal(nothing_1(client, &call), what.expected);
    assert_false(call.may_have_run);
    assert_non_null(strstr(dari_call_message(&call), dari_error_text(what.expected)));
    dari_client_close(client);
    close(socket);
    dari_call_end(&call);
    assert_int_equal(count_descriptors(), before);
    if (what.descriptor > 2)
        close(what.descriptor);
}

static void offers_that_are_refused(void **state)
{
    test_fixture *fixture = *state;
    int listening = listen_at(fixture), pipes[2];
    uint32_t page = (uint32_t)di_memory_page();
    size_t size = 3 * (size_t)page;
    const offer fine = {.words = {MAGIC, DI_RING_LAYOUT, 0, 0, 0, page, page, 0},
                        .size = sizeof fine.words,
                        .copies = 1,
                        .expected = DARI_PROTOCOL};
#define FINE_BUT(field, value)                     \
    do {                                           \
        offer wrong = fine;                        \
        wrong.descriptor = sealed(size, SEALS, 0); \
        wrong.field = (value);                     \
        check_offer(fixture, listening, wrong);    \
    } while (0)
#define OF_OTHER_MEMORY(made)                   \
    do {                                        \
        offer wrong = fine;                     \
        wrong.descriptor = (made);              \
        check_offer(fixture, listening, wrong); \
    } while (0)
    offer other = fine;
    /* Fine, but then nobody is there. */
    other.descriptor = sealed(size, SEALS, 0);
    other.expected = DARI_CLOSED;
    check_offer(fixture, listening, other);
    /* Words. */
    FINE_BUT(words[0], 1);
    FINE_BUT(words[4], 7);
    FINE_BUT(words[5], 0);
    FINE_BUT(words[5], page - 1);
    FINE_BUT(words[5], page * 2);
    FINE_BUT(words[6], UINT32_MAX);
    FINE_BUT(words[6], 1u << 31);
    FINE_BUT(words[6], page * 3);
    FINE_BUT(words[7], page); /* loans that nobody wants */
    FINE_BUT(words[7], 1);
    FINE_BUT(words[7], UINT32_MAX);
    FINE_BUT(copies, 0);
    FINE_BUT(copies, 2);
    FINE_BUT(copies, 64);
    /* Memory. */
    static const int seals[] = {0, F_SEAL_SHRINK | F_SEAL_GROW, SEALS & ~F_SEAL_GROW,
                                SEALS | F_SEAL_WRITE};
    for (size_t i = 0; i < sizeof seals / sizeof *seals; i++)
        OF_OTHER_MEMORY(sealed(size, seals[i], 0));
    OF_OTHER_MEMORY(sealed(size + page, SEALS, 0));
    OF_OTHER_MEMORY(sealed(page, SEALS, 0));
    int huge = sealed((size_t)2 << 20, SEALS, MFD_HUGETLB);
    if (huge >= 0)
        OF_OTHER_MEMORY(huge);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    close(pipes[1]);
    OF_OTHER_MEMORY(pipes[0]);
    OF_OTHER_MEMORY(open("/dev/zero", O_RDWR | O_CLOEXEC));
    /* Another version, none to give, and too little said. */
    other = fine;
    other.descriptor = -1;
    other.copies = 0;
    other.words[1] = DI_RING_LAYOUT + 1;
    other.expected = DARI_LAYOUT;
    check_offer(fixture, listening, other);
    other.words[1] = DI_RING_LAYOUT;
    other.words[4] = 1;
    other.expected = DARI_CLOSED;
    check_offer(fixture, listening, other);
    other.words[4] = 0;
    other.size = 20;
    check_offer(fixture, listening, other);
    close(listening);
    unlink(path_of(fixture));
}

/* A server that makes an honest offer, and then writes what it likes. */
static void server_that_lies(const test_fixture *fixture, int listening, uint32_t tail,
                             size_t wakes)
{
    size_t page = di_memory_page();
    uint32_t words[8] = {MAGIC, DI_RING_LAYOUT, 0, 0, 0, (uint32_t)page, (uint32_t)page, 0};
    int memory = sealed(3 * page, SEALS, 0);
    void *controls;
    char bytes[2000] = {0};
    dari_client *client = NULL;
    dari_call call = {0};
    assert_int_equal(di_memory_map(memory, 0, page, false, true, &controls), 0);
    assert_int_equal(
        dari_connect(fixture->address, &(dari_client_options){.no_reconnect = true}, &client), 0);
    int socket = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    send_with(socket, words, sizeof words, memory, 1);
    atomic_store(&((di_ring_control *)controls)[1].tail, tail);
    if (wakes)
        assert_int_equal(send(socket, bytes, wakes, MSG_NOSIGNAL), wakes);
    assert_int_equal(nothing_1(client, &call), DARI_PROTOCOL);
    dari_client_close(client);
    close(socket);
    close(memory);
    di_memory_unmap(controls, page, false);
    dari_call_end(&call);
}

static void servers_that_lie(void **state)
{
    test_fixture *fixture = *state;
    int listening = listen_at(fixture);
    uint32_t page = (uint32_t)di_memory_page();
    server_that_lies(fixture, listening, page + 1, 0);
    server_that_lies(fixture, listening, UINT32_MAX, 0);
    server_that_lies(fixture, listening, 0, 2000);
    close(listening);
    unlink(path_of(fixture));
}

/* --- Sizes and limits. --- */

static void rings_of_many_sizes(void **state)
{
    test_fixture *fixture = *state;
    static const size_t sizes[] = {1, 4096, 4097, 100000, (size_t)1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t power = di_memory_page();
        while (power < sizes[i])
            power *= 2;
        fixture->options.shm_ring_size = sizes[i];
        fixture_serve(fixture);
        liar self;
        meet(fixture, &self);
        assert_int_equal(self.size, power);
        part(&self);
        check_service(fixture);
        fixture_stop(fixture);
    }
}

static void limits_are_named(void **state)
{
    test_fixture *fixture = *state;
    dari_server *server = NULL;
    dari_server_options options = {.shm_ring_size = DARI_SHM_RING_SIZE_MAX + 1};
    assert_int_equal(dari_server_create(&options, &server), 0);
    assert_int_equal(dari_server_listen(server, fixture->address), DARI_LIMIT);
    assert_non_null(strstr(dari_server_message(server), "the rings are too large"));
    dari_server_destroy(server);
    options = (dari_server_options){.shm_loan_max = DARI_SHM_LOAN_SIZE_MAX + 1};
    assert_int_equal(dari_server_create(&options, &server), 0);
    assert_int_equal(dari_server_listen(server, fixture->address), DARI_LIMIT);
    assert_non_null(strstr(dari_server_message(server), "the memory for loans is too large"));
    dari_server_destroy(server);
    dari_call call = {0};
    dari_client *client = NULL;
    const dari_client_options too_much = {.call = &call,
                                          .shm_loan_size = DARI_SHM_LOAN_SIZE_MAX + 1};
    assert_int_equal(dari_connect(fixture->address, &too_much, &client), DARI_LIMIT);
    assert_non_null(strstr(dari_call_message(&call), "the memory for loans is too large"));
    assert_int_equal(dari_server_create(NULL, &server), 0);
    has_no_memory = true;
    assert_int_equal(dari_server_listen(server, fixture->address), DARI_NO_MEMORY);
    has_no_memory = false;
    assert_non_null(strstr(dari_server_message(server), "no descriptor for the shared memory"));
    assert_non_null(strstr(dari_server_message(server), "Cannot allocate memory"));
    assert_int_equal(access(path_of(fixture), F_OK), -1);
    dari_server_destroy(server);
}

/* Memory that runs out later on: a client is told, the log says why, and it goes on. */
static void memory_runs_out(void **state)
{
    test_fixture *fixture = *state;
    fixture_serve(fixture);
    check_service(fixture);
    has_no_memory = true;
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.no_reconnect = true});
    assert_int_equal(nothing_1(client, NULL), DARI_CLOSED);
    dari_client_close(client);
    fixture_await_logged(fixture, 1);
    assert_int_equal(fixture->log_error, DARI_NO_MEMORY);
    has_no_memory = false;
    check_service(fixture);
}

/* --- Names and rights. --- */

static int with_name(test_fixture *fixture)
{
    dari_server *server = NULL;
    dari_client *client = NULL;
    dari_call call = {0};
    char path[128];
    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return __LINE__;
    if (dari_server_create(NULL, &server) < 0)
        return __LINE__;
    unsetenv("XDG_RUNTIME_DIR");
    if (dari_server_listen(server, "shm:calc") != DARI_ADDRESS ||
        !strstr(dari_server_message(server), "XDG_RUNTIME_DIR is not set"))
        return __LINE__;
    setenv("XDG_RUNTIME_DIR", fixture->directory, 1);
    static const char *const wrong[] = {"shm:", "shm:.", "shm:..", "shm:a/b"};
    for (int i = 0; i < 4; i++)
        if (dari_server_listen(server, wrong[i]) != DARI_ADDRESS)
            return __LINE__;
    /* Nobody listens, and the client makes nothing. */
    if (dari_connect("shm:calc", &(dari_client_options){.call = &call}, &client) != DARI_REFUSED)
        return __LINE__;
    snprintf(path, sizeof path, "%s/dari", fixture->directory);
    if (access(path, F_OK) == 0)
        return __LINE__;
    if (dari_server_listen(server, "shm:calc") < 0)
        return __LINE__;
    struct stat status;
    if (stat(path, &status) < 0 || (status.st_mode & 0777) != 0700)
        return __LINE__;
    if (dari_connect("shm:calc", NULL, &client) < 0)
        return __LINE__;
    dari_client_close(client);
    /* Others could put something there. */
    if (chmod(path, 0777) < 0 || dari_connect("shm:calc", NULL, &client) != DARI_PERMISSION ||
        chmod(path, 0700) < 0)
        return __LINE__;
    dari_server_destroy(server);
    dari_call_end(&call);
    return rmdir(path) < 0 ? __LINE__ : 0;
}

static void names_are_in_a_directory_of_ones_own(void **state)
{
    test_fixture *fixture = *state;
    if (geteuid() == 0)
        assert_int_equal(chown(fixture->directory, NOBODY, NOBODY), 0);
    check_child(with_name, fixture);
}

static int connect_as_nobody(test_fixture *fixture)
{
    dari_client *client = NULL;
    if (setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return __LINE__;
    return dari_connect(fixture->address, NULL, &client) == DARI_PERMISSION ? 0 : __LINE__;
}

static void another_user_may_not_connect(void **state)
{
    test_fixture *fixture = *state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    fixture_serve(fixture);
    check_child(connect_as_nobody, fixture);
}

/* The server of another user is refused, unless that user is named. */
static void a_server_of_another_user(void **state)
{
    test_fixture *fixture = *state;
    int told[2];
    char byte;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(fixture->directory, NOBODY, NOBODY), 0);
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
            _exit(1);
        fixture_listen(fixture);
        if (write(told[1], "x", 1) == 1)
            dari_server_run(fixture->server);
        _exit(1);
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    dari_client *client = NULL;
    dari_call call = {0};
    assert_int_equal(dari_connect(fixture->address, &(dari_client_options){.call = &call}, &client),
                     DARI_PERMISSION);
    assert_non_null(strstr(dari_call_message(&call), "the server is another user's"));
    assert_int_equal(
        dari_connect(fixture->address, &(dari_client_options){.server_user = NOBODY}, &client), 0);
    check_add(client);
    dari_client_close(client);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(told[0]);
    close(told[1]);
    dari_call_end(&call);
    fixture_serve(fixture); /* takes over and removes what is left */
}

/* --- Death. --- */

static uint32_t sessions_of(test_fixture *fixture)
{
    dari_counters counters;
    assert_int_equal(dari_server_counters(fixture->server, &counters), 0);
    uint32_t open = (uint32_t)counters.connections_open;
    dari_counters_end(&counters);
    return open;
}

static uint64_t time_between(const struct timespec *before, const struct timespec *after)
{
    int64_t seconds = after->tv_sec - before->tv_sec;
    return (uint64_t)(seconds * 1000000000 + after->tv_nsec - before->tv_nsec);
}

/* Replies of workers fill the ring while the loop sleeps; then the client sends wake-ups and
 * leaves: the loop must neither turn without end nor miss that. */
static void a_client_leaves_while_replies_wait(void **state)
{
    test_fixture *fixture = *state;
    liar self;
    clockid_t clock;
    struct timespec before, after;
    fixture->options.shm_ring_size = RING;
    fixture->options.queued_max = 4096;
    fixture->options.workers = 1;
    fixture->options.spin = DARI_SPIN_NEVER;
    fixture_serve(fixture);
    fixture_close_gate(fixture);
    meet(fixture, &self);
    for (uint32_t xid = 1; xid <= 6; xid++) {
        while (di_ring_look_for_room(&self.writer) == 0 && di_ring_known_room(&self.writer) < 20048)
            sched_yield();
        call_echo(&self, xid, 20000);
    }
    while (atomic_load(&self.controls[0].head) != 6 * 20048 ||
           !atomic_load(&self.controls[0].reader_sleeps))
        sched_yield();
    fixture_open_gate(fixture);
    while (!atomic_load(&self.controls[1].writer_waits))
        sched_yield();
    fixture_await_entered(fixture, 6);
    assert_int_equal(pthread_getcpuclockid(fixture->thread, &clock), 0);
    wake_server(&self);
    clock_gettime(clock, &before);
    poll(NULL, 0, 200);
    clock_gettime(clock, &after);
    assert_true(time_between(&before, &after) < 50 * DARI_MS);
    part(&self);
    uint64_t until = di_now() + 10000 * DARI_MS;
    while (sessions_of(fixture) > 0 && di_now() < until)
        sched_yield();
    assert_int_equal(sessions_of(fixture), 0);
}

/* A client whose child holds its connection open is killed: the server sees that all the same. */
static void check_forked_client(test_fixture *fixture)
{
    int told[2], hold[2];
    char byte;
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dari_client *client = NULL;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(hold[1]);
        if (dari_connect(fixture->address, NULL, &client) < 0 || nothing_1(client, NULL) < 0)
            _exit(1);
        if (fork() == 0) {
            /* Until the test closes its end. */
            while (read(hold[0], &byte, 1) > 0)
                continue;
            _exit(0);
        }
        if (write(told[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(hold[0]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(sessions_of(fixture), 1);
    uint64_t before = di_now();
    kill(pid, SIGKILL);
    while (sessions_of(fixture) > 0 && di_now() - before < 10 * DARI_S)
        sched_yield();
    assert_int_equal(sessions_of(fixture), 0);
    waitpid(pid, NULL, 0);
    close(hold[1]);
    close(told[0]);
    close(told[1]);
}

static void a_forked_client_is_killed(void **state)
{
    test_fixture *fixture = *state;
    fixture_serve(fixture);
    check_forked_client(fixture);
    check_service(fixture);
}

static void a_forked_client_is_killed_on_an_old_kernel(void **state)
{
    test_fixture *fixture = *state;
    is_old_kernel = true;
    fixture_serve(fixture);
    check_forked_client(fixture);
    check_service(fixture);
    is_old_kernel = false;
}

/* The server dies while a call waits, whether the client spins or sleeps, and though a child of the
 * server holds the connection: the call ends at once. */
static void check_dying_server(test_fixture *fixture, enum dari_spin spin, bool forks)
{
    int told[2], hold[2];
    char byte;
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(hold[1]);
        fixture->options.spin = spin;
        fixture_listen(fixture);
        if (write(told[1], "x", 1) != 1)
            _exit(1);
        while (fixture->server->connections == 0 && dari_server_dispatch(fixture->server) >= 0)
            sched_yield();
        if (forks && fork() == 0) {
            while (read(hold[0], &byte, 1) > 0)
                continue;
            _exit(0);
        }
        fixture->stop_at = fixture->entered + 2;
        dari_server_run(fixture->server);
        kill(getpid(), SIGKILL); /* before the reply of that call can be of use */
    }
    close(hold[0]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    dari_client *client = NULL;
    dari_call call = DARI_CALL(.deadline_ns = 60 * DARI_S);
    assert_int_equal(dari_connect(fixture->address,
                                  &(dari_client_options){.spin = spin, .no_reconnect = true},
                                  &client),
                     0);
    uint64_t before = di_now();
    int error = 0;
    for (int i = 0; i < 10 && error == 0; i++)
        error = nothing_1(client, &call);
    assert_int_equal(error, DARI_CLOSED);
    assert_true(di_now() - before < 20 * DARI_S);
    dari_client_close(client);
    dari_call_end(&call);
    close(hold[1]);
    close(told[0]);
    close(told[1]);
    /* Its child has the lock of the path until it has ended too. */
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    fixture_serve(fixture);
    check_service(fixture);
    fixture_stop(fixture);
}

static void a_server_dies(void **state)
{
    check_dying_server(*state, DARI_SPIN_NEVER, false);
    check_dying_server(*state, DARI_SPIN_LATENCY, false);
}

static void a_forked_server_dies(void **state)
{
    test_fixture *fixture = *state;
    check_dying_server(fixture, DARI_SPIN_NEVER, true);
    check_dying_server(fixture, DARI_SPIN_LATENCY, true);
}

/* A server ends while a child that it forked holds its connections open. */
static void a_forked_server_ends(void **state)
{
    test_fixture *fixture = *state;
    int hold[2];
    char byte;
    liar self;
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    fixture_serve(fixture);
    meet(fixture, &self);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(hold[1]);
        close(self.socket);
        while (read(hold[0], &byte, 1) > 0)
            continue;
        _exit(0);
    }
    fixture_stop(fixture);
    await_end(self.socket);
    part(&self);
    close(hold[0]);
    close(hold[1]);
    waitpid(pid, NULL, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_client_by_hand_is_served),
        TEST(a_client_that_lies_about_what_it_wrote),
        TEST(a_client_that_lies_about_what_it_read),
        TEST(wake_ups_without_end),
        TEST(a_client_that_punches_holes),
        TEST(a_client_that_never_reads),
        TEST(random_words),
        TEST(hello_of_another_kind),
        TEST(floods_of_descriptors),
        TEST(half_a_hello),
        TEST(offers_that_are_refused),
        TEST(servers_that_lie),
        TEST(rings_of_many_sizes),
        TEST(limits_are_named),
        TEST(memory_runs_out),
        TEST(names_are_in_a_directory_of_ones_own),
        TEST(another_user_may_not_connect),
        TEST(a_server_of_another_user),
        TEST(a_client_leaves_while_replies_wait),
        TEST(a_forked_client_is_killed),
        TEST(a_forked_client_is_killed_on_an_old_kernel),
        TEST(a_server_dies),
        TEST(a_forked_server_dies),
        TEST(a_forked_server_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
