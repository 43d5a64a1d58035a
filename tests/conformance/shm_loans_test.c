/* SPDX-License-Identifier: MIT */
/* Clients by hand that lie about what they lend over shm:. Each is played once to a server that
 * copies loans, and once to one that reads them where they lie. */
#include "conformance/cases.h"

#include "ipc/lending.h"
#include "ipc/memory.h"
#include "loop/server.h"

#include <dari/loan.h>

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAGIC UINT32_C(0x69726164)
#define RING ((uint32_t)512 << 10)
#define LOANS ((uint32_t)1 << 20)
#define LARGE ((uint32_t)100000)
#define LENDING_AT 1024

/* The server of the case reads in place. */
static bool in_place;
static atomic_uint last_sum, unstable;

static uint32_t sum_of(const uint8_t *data, size_t size)
{
    uint32_t sum = (uint32_t)size;
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + data[i];
    return sum;
}

static int handle_sink(dari_request *request, const opaque_data *arg, uint32_t *ret)
{
    (void)request;
    *ret = sum_of(arg->data, arg->size);
    unstable += *ret != sum_of(arg->data, arg->size);
    last_sum = *ret;
    return 0;
}

static int handle_list(dari_request *request, const opaque_list *arg, opaque_list *ret)
{
    (void)request;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < arg->count; i++)
        sum = sum * 7 + sum_of(arg->items[i].data, arg->items[i].size);
    last_sum = sum;
    *ret = (opaque_list){0};
    return 0;
}

static int handle_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    *ret = arg->a + arg->b;
    return 0;
}

static const echo_1_handlers handlers = {
    .sink = handle_sink, .echo_list = handle_list, .add = handle_add};

static int begin(void **state)
{
    test_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->scheme = scheme_named("shm");
    fixture_begin(fixture);
    fixture->handlers = &handlers;
    fixture->options.shm_ring_size = RING;
    fixture->options.shm_loan_max = LOANS;
    fixture->options.shm_read_loans = in_place;
    last_sum = unstable = 0;
    *state = fixture;
    return 0;
}

static int begin_in_place(void **state)
{
    in_place = true;
    return begin(state);
}

static int begin_copying(void **state)
{
    in_place = false;
    return begin(state);
}

static int end(void **state)
{
    fixture_end(*state);
    free(*state);
    return 0;
}

/* --- A client by hand. --- */

typedef struct liar {
    int socket;
    void *controls, *to_server, *to_client, *loans;
    uint32_t granted;
    di_ring_writer writer;
    di_ring_reader reader;
    di_lender lender;
} liar;

static void map(int memory, size_t offset, size_t size, bool twice, void **ret_memory)
{
    assert_int_equal(di_memory_map(memory, offset, size, twice, true, ret_memory), 0);
}

static int receive_descriptor(int socket, void *bytes, size_t size)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec piece = {bytes, size};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    int descriptor;
    assert_int_equal(recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL), size);
    assert_non_null(CMSG_FIRSTHDR(&message));
    memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
    return descriptor;
}

/* Meets the server, and asks for `wanted` bytes. */
static void meet(const test_fixture *fixture, uint32_t wanted, liar *self)
{
    const uint32_t hello[6] = {MAGIC, DI_RING_LAYOUT, 0, 0, wanted, 0};
    uint32_t offer[8];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t page = di_memory_page();
    strcpy(address.sun_path, strchr(fixture->address, ':') + 1);
    self->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(self->socket, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(self->socket, hello, sizeof hello, MSG_NOSIGNAL), sizeof hello);
    int memory = receive_descriptor(self->socket, offer, sizeof offer);
    self->granted = offer[7];
    self->loans = NULL;
    map(memory, 0, page, false, &self->controls);
    map(memory, page, RING, true, &self->to_server);
    map(memory, page + RING, RING, true, &self->to_client);
    if (self->granted)
        map(memory, page + 2 * RING, self->granted, false, &self->loans);
    close(memory);
    di_ring_control *rings = self->controls;
    di_ring_writer_init(&self->writer, &rings[0], self->to_server, RING);
    di_ring_reader_init(&self->reader, &rings[1], self->to_client, RING);
    self->lender = (di_lender){0};
    self->lender.control = (void *)((uint8_t *)self->controls + LENDING_AT);
}

static void part(liar *self)
{
    di_memory_unmap(self->controls, di_memory_page(), false);
    di_memory_unmap(self->to_server, RING, true);
    di_memory_unmap(self->to_client, RING, true);
    di_memory_unmap(self->loans, self->granted, false);
    close(self->socket);
}

static void put(liar *self, const void *bytes, size_t size)
{
    assert_true(di_ring_known_room(&self->writer) >= size);
    memcpy(di_ring_room(&self->writer), bytes, size);
    di_ring_write(&self->writer, (uint32_t)size);
}

static void put_word(liar *self, uint32_t word)
{
    uint8_t bytes[4];
    dari_put_u32(bytes, word);
    put(self, bytes, sizeof bytes);
}

static void lend(liar *self, uint32_t offset, uint32_t size)
{
    di_lend(&self->lender, &self->writer, offset, size);
}

static void publish(liar *self)
{
    di_ring_publish(&self->writer);
    send(self->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The mark and the header of a call with so many bytes of arguments. */
static void put_call(liar *self, uint32_t procedure, uint32_t size)
{
    uint8_t header[40];
    put_word(self, 0x80000000u | (40 + size));
    raw_call(header, 1, ECHO, ECHO_V1, procedure);
    put(self, header, sizeof header);
}

/* Waits for a reply, and returns its status: accept_stat. */
static uint32_t await_status(liar *self)
{
    uint32_t size;
    uint8_t reply[28];
    do {
        assert_int_equal(di_ring_look_for_bytes(&self->reader, &size), 0);
        sched_yield();
    } while (size < sizeof reply);
    memcpy(reply, di_ring_bytes(&self->reader), sizeof reply);
    di_ring_read(&self->reader, size);
    assert_int_equal(dari_get_u32(reply + 8), DI_REPLY);
    return dari_get_u32(reply + 24);
}

/* Waits for the end of the connection. */
static void await_end(int socket)
{
    char bytes[4096];
    struct pollfd one = {.fd = socket, .events = POLLIN};
    ssize_t got;
    do {
        assert_int_equal(poll(&one, 1, 10000), 1);
        got = recv(socket, bytes, sizeof bytes, MSG_DONTWAIT);
    } while (got > 0);
}

static void check_log(test_fixture *fixture, unsigned lines, int error)
{
    fixture_await_logged(fixture, lines);
    assert_non_null(strstr(fixture->log_text, dari_error_text(error)));
}

/* The server serves on. */
static void check_service(test_fixture *fixture)
{
    void *memory;
    uint32_t sum;
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.shm_loan_size = LOANS});
    check_add(client);
    assert_int_equal(dari_loan(client, LARGE, &memory), 0);
    memset(memory, 5, LARGE);
    const opaque_data data = {LARGE, memory};
    assert_int_equal(sink_1(client, &data, &sum, NULL), 0);
    assert_int_equal(sum, sum_of(memory, LARGE));
    dari_client_close(client);
}

static void fill(liar *self, uint8_t seed)
{
    uint8_t *bytes = self->loans;
    for (uint32_t i = 0; i < self->granted; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) + seed);
}

static void an_honest_client_by_hand(void **state)
{
    test_fixture *fixture = *state;
    liar self;
    fixture_serve(fixture);
    meet(fixture, UINT32_MAX, &self);
    assert_int_equal(self.granted, LOANS);
    for (uint32_t i = 0; i < 100; i++) {
        fill(&self, (uint8_t)i);
        put_call(&self, SINK, 4 + LARGE);
        put_word(&self, LARGE);
        lend(&self, i, LARGE);
        publish(&self);
        assert_int_equal(await_status(&self), 0);
        assert_int_equal(last_sum, sum_of((uint8_t *)self.loans + i, LARGE));
        assert_int_equal(di_lender_look_for_room(&self.lender, &self.writer), 0);
        assert_true(di_lender_has_slot(&self.lender));
    }
    part(&self);
    check_service(fixture);
    assert_int_equal(fixture->logged, 0);
}

static void references_to_nowhere(void **state)
{
    test_fixture *fixture = *state;
    static const uint32_t lies[][2] = {{0, 0},
                                       {LOANS, 1},
                                       {LOANS + 1, 0},
                                       {0, LOANS + 1},
                                       {1, LOANS},
                                       {LOANS - 1, 2},
                                       {UINT32_MAX, 2},
                                       {1, UINT32_MAX},
                                       {UINT32_MAX, UINT32_MAX},
                                       {1u << 31, 1u << 31}};
    fixture_serve(fixture);
    for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
        liar self;
        meet(fixture, LOANS, &self);
        put_call(&self, SINK, 4 + LARGE);
        put_word(&self, LARGE);
        lend(&self, lies[i][0], lies[i][1]);
        publish(&self);
        await_end(self.socket);
        part(&self);
        check_log(fixture, i + 1, DARI_PROTOCOL);
    }
    check_service(fixture);
}

static void more_references_than_slots(void **state)
{
    test_fixture *fixture = *state;
    static const uint32_t lies[] = {DI_LENDING_SLOTS + 1, 1u << 31, UINT32_MAX};
    fixture_serve(fixture);
    for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
        liar self;
        meet(fixture, LOANS, &self);
        atomic_store(&self.lender.control->tail, lies[i]);
        put_call(&self, SINK, 4);
        publish(&self);
        await_end(self.socket);
        part(&self);
        check_log(fixture, i + 1, DARI_PROTOCOL);
    }
    check_service(fixture);
}

/* References whose place has passed or is far ahead are none. */
static void references_out_of_place(void **state)
{
    test_fixture *fixture = *state;
    static const uint32_t places[] = {UINT32_MAX, 1u << 31, RING, RING * 2};
    fixture_serve(fixture);
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        liar self;
        meet(fixture, LOANS, &self);
        atomic_store(&self.lender.control->slots[0].place, places[i]);
        atomic_store(&self.lender.control->slots[0].size, LARGE);
        atomic_store(&self.lender.control->tail, 1);
        put_call(&self, SINK, 8);
        put_word(&self, 4);
        put(&self, "abcd", 4);
        publish(&self);
        assert_int_equal(await_status(&self), 0);
        assert_int_equal(last_sum, sum_of((const uint8_t *)"abcd", 4));
        part(&self);
    }
    check_service(fixture);
}

static void references_where_none_are_granted(void **state)
{
    test_fixture *fixture = *state;
    liar self;
    fixture_serve(fixture);
    meet(fixture, 0, &self);
    assert_int_equal(self.granted, 0);
    put_call(&self, SINK, 8);
    put_word(&self, 1);
    lend(&self, 0, LARGE); /* it is a zero byte */
    put(&self, "\0\0\0", 3);
    publish(&self);
    assert_int_equal(await_status(&self), 0);
    assert_int_equal(last_sum, sum_of((const uint8_t *)"", 1));
    part(&self);
    check_service(fixture);
}

/* A call of ECHO_LIST with two items, as it is on the stream. */
enum { LIST_SIZE = 4 + 40 + 4 + 4 + LARGE + 4 + LARGE };

static uint8_t *make_list_call(uint32_t *ret_sum)
{
    uint8_t *stream = malloc(LIST_SIZE);
    assert_non_null(stream);
    dari_put_u32(stream, 0x80000000u | (LIST_SIZE - 4));
    uint8_t *at = raw_call(stream + 4, 1, ECHO, ECHO_V1, ECHO_LIST);
    dari_put_u32(at, 2);
    dari_put_u32(at + 4, LARGE);
    dari_put_u32(at + 8 + LARGE, LARGE);
    for (uint32_t i = 0; i < LARGE; i++)
        at[8 + i] = at[12 + LARGE + i] = (uint8_t)(i * 3);
    *ret_sum = sum_of(at + 8, LARGE) * 7 + sum_of(at + 8, LARGE);
    return stream;
}

/* Makes room again for a call and its references. */
static void catch_up(liar *self)
{
    assert_int_equal(di_lender_look_for_room(&self->lender, &self->writer), 0);
    assert_true(di_lender_has_slot(&self->lender));
}

/* The header, words and parts of opaque data go by reference. Where loans are copied, that is fine;
 * where not, they are read only as what they can be. */
static void references_to_anything(void **state)
{
    static const struct {
        uint32_t begin, end;
        bool fine; /* in place */
    } references[] = {
        {0, LIST_SIZE, true},           /* the mark, and all of the call */
        {4, LIST_SIZE, true},           /* all but the mark */
        {8, LIST_SIZE, true},           /* from the type of the message on */
        {12, 90000, true},              /* from the program on */
        {40, 90000, true},              /* from within the verifier on */
        {44, LIST_SIZE, true},          /* all arguments */
        {48, LIST_SIZE, false},         /* a length word, and all behind it */
        {52, LIST_SIZE, false},         /* both items, and the word between them */
        {52, 52 + LARGE, true},         /* one item */
        {56, 52 + LARGE, false},        /* its end */
        {52, 48 + LARGE, false},        /* its beginning */
        {53, 52 + LARGE, true},         /* not aligned: copied */
        {52, 56 + LARGE, false},        /* a word too much */
        {56 + LARGE, LIST_SIZE, true},  /* the last item */
        {60 + LARGE, LIST_SIZE, false}, /* its end */
        {52, 52 + 65535, true},         /* too little to stay: copied */
        {52, 53, true},
    };
    test_fixture *fixture = *state;
    uint32_t sum;
    uint8_t *stream = make_list_call(&sum);
    liar self;
    fixture_serve(fixture);
    meet(fixture, LOANS, &self);
    memcpy(self.loans, stream, LIST_SIZE);
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        uint32_t first = references[i].begin, last = references[i].end;
        bool fine = references[i].fine || !in_place;
        last_sum = 0;
        put(&self, stream, first);
        lend(&self, first, last - first);
        put(&self, stream + last, LIST_SIZE - last);
        publish(&self);
        assert_int_equal(await_status(&self), fine ? 0 : 4 /* GARBAGE_ARGS */);
        assert_int_equal(last_sum, fine ? sum : 0);
        catch_up(&self);
    }
    part(&self);
    free(stream);
    check_service(fixture);
}

/* The same memory many times, and more references in one message than stay where they are. */
static void references_that_overlap(void **state)
{
    enum { ITEMS = 20 };
    test_fixture *fixture = *state;
    liar self;
    fixture_serve(fixture);
    meet(fixture, LOANS, &self);
    fill(&self, 1);
    uint32_t sum = 0;
    put_call(&self, ECHO_LIST, 4 + ITEMS * (4 + LARGE));
    put_word(&self, ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++) {
        put_word(&self, LARGE);
        lend(&self, 4 * i, LARGE);
        sum = sum * 7 + sum_of((uint8_t *)self.loans + 4 * i, LARGE);
    }
    publish(&self);
    assert_int_equal(await_status(&self), 0);
    assert_int_equal(last_sum, sum);
    part(&self);
    check_service(fixture);
}

/* A record in fragments: what is lent moves, and so is copied. */
static void references_in_fragments(void **state)
{
    test_fixture *fixture = *state;
    uint32_t sum;
    uint8_t *stream = make_list_call(&sum);
    liar self;
    fixture_serve(fixture);
    meet(fixture, LOANS, &self);
    memcpy(self.loans, stream, LIST_SIZE);
    for (uint32_t cut = 48; cut <= 52 + LARGE; cut += 4 + LARGE) {
        put_word(&self, cut - 4);
        put(&self, stream + 4, 44);
        if (cut > 52) {
            put(&self, stream + 48, 4);
            lend(&self, 52, LARGE);
        }
        put_word(&self, 0x80000000u | (LIST_SIZE - cut));
        lend(&self, cut, LIST_SIZE - cut);
        publish(&self);
        assert_int_equal(await_status(&self), 0);
        assert_int_equal(last_sum, sum);
        catch_up(&self);
    }
    part(&self);
    free(stream);
    check_service(fixture);
}

/* What is lent counts as what is sent: a message is too large with it, and one that ends before is
 * followed by nonsense. */
static void references_beyond_the_message(void **state)
{
    test_fixture *fixture = *state;
    liar self;
    fixture->options.message_max = 300000;
    fixture_serve(fixture);
    meet(fixture, LOANS, &self);
    memset(self.loans, 0xff, LOANS);
    put_call(&self, SINK, 4 + LOANS);
    put_word(&self, LOANS);
    lend(&self, 0, LOANS);
    publish(&self);
    assert_int_equal(await_status(&self), 4);
    catch_up(&self);
    put_call(&self, SINK, 4 + LARGE);
    put_word(&self, LARGE);
    lend(&self, 0, LARGE);
    publish(&self);
    assert_int_equal(await_status(&self), 0);
    catch_up(&self);
    put_call(&self, SINK, 4 + 4);
    put_word(&self, 4);
    lend(&self, 0, LOANS);
    publish(&self);
    assert_int_equal(await_status(&self), 0);
    part(&self);
    check_service(fixture);
}

typedef struct changer {
    _Atomic(uint8_t) *bytes;
    atomic_bool over;
} changer;

static void *change(void *argument)
{
    changer *self = argument;
    for (uint32_t i = 0; !atomic_load(&self->over); i++)
        atomic_store_explicit(&self->bytes[i * 4099 % LARGE], (uint8_t)i, memory_order_relaxed);
    return NULL;
}

/* While it is read. What has been copied stays as it is; a length never changes. */
static void loans_that_change(void **state)
{
    test_fixture *fixture = *state;
    liar self;
    pthread_t thread;
    fixture_serve(fixture);
    meet(fixture, LOANS, &self);
    changer changes = {.bytes = self.loans};
    assert_int_equal(pthread_create(&thread, NULL, change, &changes), 0);
    for (int i = 0; i < 20; i++) {
        put_call(&self, SINK, 4 + LARGE);
        put_word(&self, LARGE);
        lend(&self, 0, LARGE);
        publish(&self);
        assert_int_equal(await_status(&self), 0);
        catch_up(&self);
    }
    atomic_store(&changes.over, true);
    pthread_join(thread, NULL);
    if (!in_place)
        assert_int_equal(unstable, 0);
    part(&self);
    check_service(fixture);
}

/* Every value of every word, at random, while calls are made. */
static void random_words(void **state)
{
    test_fixture *fixture = *state;
    uint64_t seed = 7;
    fixture_serve(fixture);
    for (int round = 0; round < 60; round++) {
        liar self;
        meet(fixture, LOANS, &self);
        for (int i = 0; i < 10; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            uint32_t value = (uint32_t)(seed >> 32) % (2 * LOANS);
            _Atomic(uint32_t) *words = (void *)self.lender.control;
            put_call(&self, SINK, 4 + LARGE);
            put_word(&self, LARGE);
            lend(&self, 0, LARGE);
            atomic_store(&words[(seed >> 8) % (sizeof *self.lender.control / 4 / 8)], value);
            publish(&self);
        }
        part(&self);
    }
    check_service(fixture);
}

int main(void)
{
#define TEST(name)                                          \
    {"copied: " #name, name, begin_copying, end, NULL},     \
    {                                                       \
        "in place: " #name, name, begin_in_place, end, NULL \
    }
    const struct CMUnitTest tests[] = {
        TEST(an_honest_client_by_hand),
        TEST(references_to_nowhere),
        TEST(more_references_than_slots),
        TEST(references_out_of_place),
        TEST(references_where_none_are_granted),
        TEST(references_to_anything),
        TEST(references_that_overlap),
        TEST(references_in_fragments),
        TEST(references_beyond_the_message),
        TEST(loans_that_change),
        TEST(random_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
