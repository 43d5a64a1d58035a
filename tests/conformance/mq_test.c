/* SPDX-License-Identifier: MIT */
/* What is particular to mq: -- names and their owners, limits, priorities, what the dead leave, and
 * peers that write what they like. All of it speaks to one queue by the same peers by hand, so it
 * is one file. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "ipc/queue.h"
#include "loop/client.h"
#include "loop/server.h"
#include "support/queues.h"
#include "transport/mq_address.h"
#include "transport/mq_seal.h"
#include "transport/mq_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const test_scheme scheme = {
    .name = "mq", .address = "mq:dari-test-%d-%d", .queue = true, .most = 40};

enum { NOBODY = 65534 };

static int begin(void **state)
{
    test_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->scheme = &scheme;
    fixture_begin(fixture);
    *state = fixture;
    return 0;
}

/* The name of the server's queue. */
static void name_queue(const test_fixture *fixture, char name[256])
{
    snprintf(name, 256, "/dari.%.*s", (int)strcspn(fixture->address + 3, "?"),
             fixture->address + 3);
}

static unsigned count_names(const test_fixture *fixture)
{
    char name[256], slot[DI_QUEUE_NAME_MAX + 1];
    unsigned count = 0;
    di_queue queue;
    di_queue_failure failure;
    name_queue(fixture, name);
    for (uint32_t i = 0; i <= DI_MQ_SLOTS; i++) {
        if (i < DI_MQ_SLOTS)
            di_mq_slot_name(name, i, slot);
        if (di_queue_open(i < DI_MQ_SLOTS ? slot : name, O_WRONLY, &queue, &failure) == 0) {
            di_queue_close(&queue);
            count++;
        }
    }
    return count;
}

/* Nothing is left of any test. */
static int end(void **state)
{
    test_fixture *fixture = *state;
    fixture_stop(fixture);
    assert_int_equal(count_names(fixture), 0);
    fixture_end(fixture);
    free(fixture);
    return 0;
}

static void says(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("\"%s\" does not say \"%s\"", text, words);
}

static void refuses(const char *address, int expected, const char *words)
{
    dari_client *client = NULL;
    dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_S);
    assert_int_equal(dari_connect(address, &(dari_client_options){.call = &call}, &client),
                     expected);
    assert_null(client);
    if (words)
        says(dari_call_message(&call), words);
    dari_call_end(&call);
}

static void listens(const char *address, int expected, const char *words)
{
    dari_server *server = NULL;
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(dari_server_listen(server, address), expected);
    if (words)
        says(dari_server_message(server), words);
    dari_server_destroy(server);
}

/* Runs `child` in a process of its own, which stays until it is killed, once it has returned 0. */
static pid_t start(int (*child)(test_fixture *), test_fixture *fixture)
{
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        byte = (char)child(fixture);
        if (write(told[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    assert_int_equal(byte, 0);
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void names_that_are_none(void **state)
{
    char address[300];
    (void)state;
    static const char *const wrong[][2] = {
        {"mq:", "the name is missing"},
        {"mq:?bytes=64", "the name is missing"},
        {"mq:a/b", "a slash or a colon"},
        {"mq:a:1", "a slash or a colon"},
        {"mq:a?bytes=63", "bytes= is a number from 64 to 16384"},
        {"mq:a?messages=0", "messages= is a number from 1"},
        {"mq:a?size=3", "only messages= and bytes="},
        {"mq:a?bytes=64,messages=3", "separated by &"},
        {"mq:a?bytes=64&", "only messages="},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        listens(wrong[i][0], DARI_ADDRESS, wrong[i][1]);
        refuses(wrong[i][0], DARI_ADDRESS, wrong[i][1]);
    }
    for (size_t size = 245; size <= 247; size++) {
        snprintf(address, sizeof address, "mq:%0*d", (int)size, 7);
        listens(address, size < 247 ? 0 : DARI_ADDRESS,
                size == 247 ? "the name is too long (247, at most 246)" : NULL);
    }
}

static int listen_and_stay(test_fixture *fixture)
{
    fixture_listen(fixture);
    return 0;
}

static void a_dead_owners_name_is_taken_over(void **state)
{
    test_fixture *fixture = *state;
    refuses(fixture->address, DARI_REFUSED, "nobody listens there (No such file or directory)");
    pid_t pid = start(listen_and_stay, fixture);
    listens(fixture->address, DARI_IN_USE, "the queue's lock is held: by a living owner");
    stop(pid);
    assert_int_equal(count_names(fixture), 1);
    refuses(fixture->address, DARI_REFUSED, "nobody listens there (Connection refused)");
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    assert_int_equal(count_names(fixture), 1);
    dari_client_close(client);
}

static void a_child_removes_and_tells_nothing(void **state)
{
    test_fixture *fixture = *state;
    fixture_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    step(fixture->server, 1000);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dari_client_close(client);
        dari_server_destroy(fixture->server);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    fixture_start(fixture);
    check_add(client);
    assert_int_equal(fixture->server->connections, 1);
    dari_client_close(client);
}

#define CHECK(condition)     \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

static int connect_as_nobody(test_fixture *fixture)
{
    dari_client *client = NULL;
    dari_server *server = NULL;
    dari_call call = {0};
    CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    CHECK(dari_connect(fixture->address, &(dari_client_options){.call = &call}, &client) ==
          DARI_PERMISSION);
    CHECK(strstr(dari_call_message(&call), "the queue belongs to another user"));
    CHECK(dari_server_create(NULL, &server) == 0);
    CHECK(dari_server_listen(server, fixture->address) == DARI_PERMISSION);
    dari_server_destroy(server);
    dari_call_end(&call);
    return 0;
}

static int listen_as_nobody(test_fixture *fixture)
{
    fixture->options.access.all = true;
    CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    fixture_serve(fixture);
    return 0;
}

static int call_as_nobody(test_fixture *fixture)
{
    dari_client *client = NULL;
    int32_t sum = 0;
    CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    CHECK(dari_connect(fixture->address, NULL, &client) == 0);
    CHECK(add_1(client, &(pair){40, 2}, &sum, NULL) == 0 && sum == 42);
    dari_client_close(client);
    return 0;
}

static atomic_uint caller_uid;

static int tell_uid(dari_request *request, const pair *arg, int32_t *ret)
{
    dari_peer peer;
    if (dari_request_peer(request, &peer) == 0)
        caller_uid = peer.uid;
    *ret = arg->a + arg->b;
    return 0;
}

static void other_users_are_refused_unless_they_are_let_in(void **state)
{
    test_fixture *fixture = *state;
    if (geteuid() != 0)
        skip();
    fixture_serve(fixture);
    check_child(connect_as_nobody, fixture);
    fixture_stop(fixture);
    echo_1_handlers handlers = echo_handlers;
    handlers.add = tell_uid;
    fixture->handlers = &handlers;
    fixture->options.access.all = true;
    fixture_serve(fixture);
    check_child(call_as_nobody, fixture);
    assert_int_equal(caller_uid, NOBODY);
}

static void a_server_of_another_user_is_not_called(void **state)
{
    test_fixture *fixture = *state;
    if (geteuid() != 0)
        skip();
    pid_t pid = start(listen_as_nobody, fixture);
    refuses(fixture->address, DARI_PERMISSION, "the server's queue belongs to another user");
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.server_user = NOBODY});
    check_add(client);
    dari_client_close(client);
    stop(pid);
    fixture_serve(fixture); /* and its name is reclaimed */
}

static int meet_limits(test_fixture *fixture)
{
    char address[256];
    struct rlimit none = {0, 0};
    dari_client *client = NULL;
    dari_server *server = NULL;
    dari_call call = {0};
    CHECK(geteuid() != 0 || (setgid(NOBODY) == 0 && setuid(NOBODY) == 0));
    CHECK(dari_server_create(NULL, &server) == 0);
    snprintf(address, sizeof address, "%s?messages=65536", fixture->address);
    CHECK(dari_server_listen(server, address) == DARI_LIMIT);
    CHECK(strstr(dari_server_message(server), "fs.mqueue.msg_max"));
    CHECK(strstr(dari_server_message(server), "(65536, at most "));
    fixture_listen(fixture);
    snprintf(address, sizeof address, "%s?bytes=16384", fixture->address);
    CHECK(dari_connect(address, &(dari_client_options){.call = &call}, &client) == DARI_LIMIT);
    CHECK(strstr(dari_call_message(&call), "fs.mqueue.msgsize_max"));
    CHECK(setrlimit(RLIMIT_MSGQUEUE, &none) == 0);
    CHECK(dari_connect(fixture->address, &(dari_client_options){.call = &call}, &client) ==
          DARI_LIMIT);
    CHECK(strstr(dari_call_message(&call), "RLIMIT_MSGQUEUE") &&
          strstr(dari_call_message(&call), "ulimit -q"));
    CHECK(!strstr(dari_call_message(&call), "at most"));
    snprintf(address, sizeof address, "%s-2", fixture->address);
    CHECK(dari_server_listen(server, address) == DARI_LIMIT);
    CHECK(strstr(dari_server_message(server), "RLIMIT_MSGQUEUE"));
    dari_server_destroy(server);
    fixture_stop(fixture);
    dari_call_end(&call);
    return 0;
}

static void limits_are_named(void **state)
{
    check_child(meet_limits, *state);
}

static int fill_the_system(test_fixture *fixture)
{
    dari_client *clients[20] = {NULL};
    dari_call call = {0};
    int i = 0;
    /* The limit is that of a namespace. */
    FILE *file = unshare(CLONE_NEWIPC) == 0 ? fopen("/proc/sys/fs/mqueue/queues_max", "w") : NULL;
    if (!file)
        return 0;
    CHECK(fputs("10", file) >= 0 && fclose(file) == 0);
    fixture_serve(fixture);
    CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    while (i < 20 &&
           dari_connect(fixture->address, &(dari_client_options){.call = &call}, &clients[i]) == 0)
        i++;
    CHECK(i == 9);
    CHECK(call.error == DARI_LIMIT);
    CHECK(strstr(dari_call_message(&call), "fs.mqueue.queues_max"));
    while (i-- > 0)
        dari_client_close(clients[i]);
    fixture_stop(fixture);
    return 0;
}

static void as_many_queues_as_the_system_has(void **state)
{
    test_fixture *fixture = *state;
    if (geteuid() != 0)
        skip();
    fixture->options.access.all = true;
    check_child(fill_the_system, fixture);
}

static void the_smallest_queues(void **state)
{
    test_fixture *fixture = *state;
    char address[256];
    strcat(fixture->address, "?messages=1&bytes=64");
    fixture_serve(fixture);
    assert_null(strchr(fixture->address, '?'));
    snprintf(address, sizeof address, "%s?bytes=64&messages=1", fixture->address);
    strcpy(fixture->address, address);
    dari_client *client = fixture_connect(fixture, NULL);
    static const size_t sizes[] = {0, 1, 3, 100, 5000, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_echo(client, sizes[i]);
    dari_client_close(client);
}

static char order[8];

static int note_order(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    order[strlen(order)] = (char)arg->a;
    *ret = arg->a + arg->b;
    return 0;
}

static void done(void *user, const int32_t *ret, dari_call *call)
{
    (void)call;
    assert_non_null(ret);
    ++*(unsigned *)user;
}

static void a_call_overtakes_those_of_other_clients(void **state)
{
    test_fixture *fixture = *state;
    echo_1_handlers handlers = echo_handlers;
    handlers.add = note_order;
    fixture->handlers = &handlers;
    fixture_listen(fixture);
    dari_client *one = fixture_connect(fixture, NULL), *other = fixture_connect(fixture, NULL);
    static const struct {
        bool other;
        char name;
        uint32_t priority;
    } sent[] = {{false, 'a', 0}, {false, 'b', 5}, {true, 'c', 0}, {true, 'd', 31}, {true, 'e', 1}};
    enum { COUNT = sizeof sent / sizeof *sent };
    dari_call calls[COUNT];
    unsigned answered = 0;
    memset(order, 0, sizeof order);
    for (int i = 0; i < COUNT; i++) {
        dari_client *client = sent[i].other ? other : one;
        calls[i] = DARI_CALL(.priority = sent[i].priority);
        assert_int_equal(add_1_start(client, &(pair){sent[i].name, 0}, &calls[i], done, &answered),
                         0);
        assert_true(dari_client_dispatch(client) >= 0);
    }
    while (answered < COUNT) {
        step(fixture->server, 10);
        assert_true(dari_client_dispatch(one) >= 0);
        assert_true(dari_client_dispatch(other) >= 0);
    }
    /* By priority d, b, e, a, c; but d waits for c, and b for a. */
    assert_string_equal(order, "abcde");
    memset(order, 0, sizeof order);
    answered = 0;
    for (int i = 0; i < 4; i++) {
        calls[i].priority = i == 3 ? 7 : 0;
        assert_int_equal(
            add_1_start(i == 3 ? other : one, &(pair){'p' + i, 0}, &calls[i], done, &answered), 0);
        assert_true(dari_client_dispatch(i == 3 ? other : one) >= 0);
    }
    while (answered < 4) {
        step(fixture->server, 10);
        assert_true(dari_client_dispatch(one) >= 0);
        assert_true(dari_client_dispatch(other) >= 0);
    }
    assert_string_equal(order, "spqr");
    dari_call wrong = DARI_CALL(.priority = DARI_PRIORITY_MAX + 1);
    assert_int_equal(nothing_1(one, &wrong), DARI_INVALID);
    dari_client_close(one);
    dari_client_close(other);
    for (int i = 0; i < COUNT; i++)
        dari_call_end(&calls[i]);
    dari_call_end(&wrong);
}

static int serve_and_stay(test_fixture *fixture)
{
    fixture_serve(fixture);
    fixture_close_gate(fixture);
    return 0;
}

static void *kill_later(void *argument)
{
    const pid_t *pid = argument;
    poll(NULL, 0, 50);
    kill(*pid, SIGKILL);
    return NULL;
}

/* Its death ends a call that waits, not the call's deadline. */
static void a_dead_server_is_seen_at_once(void **state)
{
    test_fixture *fixture = *state;
    pid_t pid = start(serve_and_stay, fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.no_reconnect = true});
    dari_call call = DARI_CALL(.deadline_ns = 100 * DARI_S);
    pthread_t killer;
    pthread_create(&killer, NULL, kill_later, &pid);
    uint64_t before = di_now();
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    assert_true(di_now() - before < 10 * DARI_S);
    assert_true(call.may_have_run);
    pthread_join(killer, NULL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    dari_client_close(client);
    dari_call_end(&call);
    fixture_listen(fixture);
}

static int connect_and_call(test_fixture *fixture)
{
    dari_client *client = NULL;
    CHECK(dari_connect(fixture->address, NULL, &client) == 0);
    CHECK(nothing_1(client, NULL) == 0);
    return 0;
}

static int hold[2]; /* children stay until the test closes it */

static int connect_and_fork(test_fixture *fixture)
{
    char byte;
    int line = connect_and_call(fixture);
    close(hold[1]);
    if (line == 0 && fork() == 0) {
        while (read(hold[0], &byte, 1) > 0)
            continue;
        _exit(0);
    }
    return line;
}

static int connect_and_send(test_fixture *fixture)
{
    dari_client *client = NULL;
    CHECK(dari_connect(fixture->address, NULL, &client) == 0);
    CHECK(nothing_1_oneway(client, NULL) == 0);
    return 0;
}

static void await_connections(test_fixture *fixture, unsigned count)
{
    for (int i = 0; i < 1000 && fixture->server->connections != count; i++)
        step(fixture->server, 10);
    assert_int_equal(fixture->server->connections, count);
}

static void a_dead_client_is_forgotten_at_once(void **state)
{
    test_fixture *fixture = *state;
    fixture_serve(fixture);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t pids[2] = {start(connect_and_call, fixture), start(connect_and_fork, fixture)};
    assert_int_equal(count_names(fixture), 1);
    dari_server_stop(fixture->server);
    pthread_join(fixture->thread, NULL);
    fixture->running = false;
    assert_int_equal(fixture->server->connections, 2);
    stop(pids[0]);
    stop(pids[1]); /* whose child has what it had */
    await_connections(fixture, 0);
    close(hold[0]);
    close(hold[1]);
}

/* What it has sent is served, and the name of its queue removed. */
static void a_client_that_dies_before_it_is_accepted(void **state)
{
    test_fixture *fixture = *state;
    fixture_listen(fixture);
    stop(start(connect_and_send, fixture));
    assert_int_equal(count_names(fixture), 2);
    while (fixture->entered == 0)
        step(fixture->server, 1000);
    await_connections(fixture, 0);
    assert_int_equal(count_names(fixture), 1);
}

/* In one message of the queue. */
enum { MANY_CALLS = 2 * DI_CALLS_PER_TURN + 1 };

static int connect_and_send_much(test_fixture *fixture)
{
    di_connection *peer = raw_connect(fixture);
    for (uint32_t xid = 1; xid <= MANY_CALLS; xid++)
        queue_echo(peer, xid, 4);
    CHECK(peer->ops->flush(peer) == DI_MOVED);
    return 0;
}

/* All that it has sent is served first, which takes more than a turn. */
static void a_client_that_sends_much_and_dies_before_it_is_accepted(void **state)
{
    test_fixture *fixture = *state;
    fixture_listen(fixture);
    stop(start(connect_and_send_much, fixture));
    while (fixture->entered < MANY_CALLS)
        step(fixture->server, 1000);
    await_connections(fixture, 0);
}

/* More than a client's queue has room for comes back, and it takes none of it. */
static di_connection *ask_for_much(test_fixture *fixture)
{
    di_connection *peer = raw_connect(fixture);
    for (uint32_t xid = 1; xid <= 3; xid++)
        queue_echo(peer, xid, 8000);
    return peer->ops->flush(peer) == DI_MOVED ? peer : NULL;
}

static int ask_and_stay(test_fixture *fixture)
{
    CHECK(ask_for_much(fixture));
    return 0;
}

static void await_full_replies(test_fixture *fixture)
{
    const di_session *session;
    do
        step(fixture->server, 1000);
    while (fixture->entered < 3);
    session = fixture->server->sessions;
    assert_true(session->channel.connection->ops->unsent(session->channel.connection) > 0);
}

/* The replies that wait for it wait for nobody. */
static void a_client_leaves_before_its_replies(void **state)
{
    test_fixture *fixture = *state;
    fixture_listen(fixture);
    di_connection *peer = ask_for_much(fixture);
    assert_non_null(peer);
    await_full_replies(fixture);
    raw_close(peer);
    await_connections(fixture, 0);
}

/* Nor where it has said that it leaves, and keeps its queue. */
static void a_client_stays_behind_its_bye(void **state)
{
    test_fixture *fixture = *state;
    fixture_listen(fixture);
    di_connection *peer = ask_for_much(fixture);
    assert_non_null(peer);
    await_full_replies(fixture);
    peer->ops->shut(peer);
    await_connections(fixture, 0);
    raw_close(peer);
}

/* A child of this process, which has inherited all that there is and stays until `hold` closes. */
static pid_t fork_and_hold(void)
{
    char byte;
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(hold[1]);
        while (read(hold[0], &byte, 1) > 0)
            continue;
        _exit(0);
    }
    close(hold[0]);
    return pid;
}

/* Has a client leave that finds no room to say so, while the server ends and waits for it to take
 * its replies. */
static void leave_without_a_word(test_fixture *fixture, bool with_child)
{
    di_queue requests;
    di_queue_failure failure;
    char name[256];
    fixture_listen(fixture);
    di_connection *peer = ask_for_much(fixture);
    assert_non_null(peer);
    await_full_replies(fixture);
    pid_t child = with_child ? fork_and_hold() : 0;
    name_queue(fixture, name);
    assert_int_equal(di_queue_open(name, O_WRONLY, &requests, &failure), 0);
    dari_server_finish(fixture->server, 10 * DARI_S);
    step(fixture->server, 1000);
    assert_int_equal(fixture->server->connections, 1);
    while (di_queue_send(&requests, "", 0, 0) == 1)
        continue;
    di_queue_close(&requests);
    raw_close(peer);
    assert_int_equal(dari_server_run(fixture->server), 0);
    if (with_child) {
        close(hold[1]);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
}

static void a_client_leaves_without_a_word(void **state)
{
    leave_without_a_word(*state, false);
}

/* Whoever has inherited its queue reads nothing either. */
static void a_client_with_a_child_leaves_without_a_word(void **state)
{
    leave_without_a_word(*state, true);
}

/* Not even where it is not read from, since so many wait. */
static void a_client_dies_before_its_replies(void **state)
{
    test_fixture *fixture = *state;
    fixture->options.queued_max = 1;
    fixture_listen(fixture);
    pid_t pid = start(ask_and_stay, fixture);
    for (int i = 0; i < 1000 && !(fixture->server->sessions && fixture->server->sessions->held);
         i++)
        step(fixture->server, 10);
    assert_true(fixture->server->sessions->held);
    stop(pid);
    await_connections(fixture, 0);
}

/* A process that speaks for itself. */
typedef struct writer {
    di_queue requests;
    di_queue replies;
    uint64_t id;
    uint32_t slot;
    char name[256];
} writer;

static writer open_writer(const test_fixture *fixture)
{
    writer self = {.id = 77};
    di_queue_failure failure;
    name_queue(fixture, self.name);
    assert_int_equal(di_queue_open(self.name, O_RDWR, &self.requests, &failure), 0);
    return self;
}

static void write_part(const writer *self, uint8_t kind, uint64_t at, const void *bytes,
                       size_t size, unsigned priority)
{
    const di_mq_head head = {.kind = kind, .client = self->id, .at = at};
    while (di_mq_send(&self->requests, &head, bytes, size, priority) == 0) {
        struct pollfd room = {.fd = self->requests.descriptor, .events = POLLOUT};
        assert_int_equal(poll(&room, 1, 10000), 1);
    }
}

/* Makes the client's queue. */
static void make_replies(writer *self)
{
    static const di_queue_shape shape = {.messages = 4, .bytes = 2048};
    char slot[DI_QUEUE_NAME_MAX + 1];
    di_queue_failure failure;
    self->slot = 5;
    di_mq_slot_name(self->name, self->slot, slot);
    assert_int_equal(di_queue_create(slot, &shape, false, &self->replies, &failure), 0);
    assert_int_equal(di_queue_seal(&self->replies, di_mq_seal(self->id)), 0);
}

static uint64_t own_namespace(void)
{
    uint64_t number = 0;
    assert_int_equal(di_mq_pid_namespace(&number), 0);
    return number;
}

static void write_hello(const writer *self)
{
    const di_mq_hello hello = {
        .inode = self->replies.inode, .pid_namespace = own_namespace(), .slot = self->slot};
    write_part(self, DI_MQ_HELLO, 0, &hello, sizeof hello, 31);
}

/* Becomes a client. */
static void greet(writer *self)
{
    make_replies(self);
    write_hello(self);
}

static void close_writer(writer *self, bool greeted)
{
    di_queue_close(&self->requests);
    if (greeted)
        di_queue_close(&self->replies);
}

/* Waits for a message of the server's, and returns its kind. */
static uint8_t read_word(const writer *self, di_mq_head *ret_head)
{
    uint8_t message[2048];
    size_t size;
    struct pollfd some = {.fd = self->replies.descriptor, .events = POLLIN};
    assert_int_equal(poll(&some, 1, 10000), 1);
    assert_int_equal(di_queue_receive(&self->replies, message, &size), 1);
    assert_true(size >= sizeof *ret_head);
    memcpy(ret_head, message, sizeof *ret_head);
    return ret_head->kind;
}

/* A client that sends its hello while the server ends removes its name itself. */
static void a_server_that_goes_before_it_accepts(void **state)
{
    test_fixture *fixture = *state;
    di_listener *listener = raw_listen(fixture);
    writer self = open_writer(fixture);
    di_connection *client = raw_connect(fixture);
    /* The hello is gone, as if it had come too late. */
    while (di_queue_count(&self.requests) > 0) {
        uint8_t message[DI_MQ_REQUESTS_BYTES];
        size_t size;
        assert_int_equal(di_queue_receive(&self.requests, message, &size), 1);
    }
    listener->ops->close(listener);
    assert_int_equal(count_names(fixture), 1);
    assert_true(raw_ended(client));
    raw_close(client);
    close_writer(&self, false);
}

/* The first name for clients' queues, of a client that got no further. */
static int leave_a_queue(test_fixture *fixture)
{
    static const di_queue_shape shape = {.messages = 1, .bytes = 64};
    char name[256], slot[DI_QUEUE_NAME_MAX + 1];
    di_queue queue;
    di_queue_failure failure;
    name_queue(fixture, name);
    di_mq_slot_name(name, 0, slot);
    return di_queue_create(slot, &shape, false, &queue, &failure);
}

static void a_client_that_dies_before_its_hello(void **state)
{
    test_fixture *fixture = *state;
    fixture_serve(fixture);
    stop(start(leave_a_queue, fixture));
    assert_int_equal(count_names(fixture), 2);
    dari_client *client = fixture_connect(fixture, NULL);
    check_add(client);
    assert_int_equal(count_names(fixture), 1);
    dari_client_close(client);
    fixture_stop(fixture);
    stop(start(leave_a_queue, fixture));
    fixture_listen(fixture);
    assert_int_equal(count_names(fixture), 1);
}

/* Before the hello of a client another one greets with its queue, which would make it the client to
 * the server. The client itself is accepted after that. */
static void nobody_greets_in_the_name_of_another(void **state)
{
    test_fixture *fixture = *state;
    fixture_listen(fixture);
    writer self = open_writer(fixture), other = open_writer(fixture);
    /* RFC 8439, A.1, the first test vector. */
    assert_int_equal(di_mq_seal(0), UINT64_C(0x903df1a0ade0b876));
    make_replies(&self);
    other.id = self.id + 1;
    other.replies = self.replies;
    other.slot = self.slot;
    write_hello(&other);
    while (di_queue_count(&self.requests) > 0)
        step(fixture->server, 10);
    step(fixture->server, 0);
    assert_int_equal(fixture->server->connections, 0);
    write_hello(&self);
    await_connections(fixture, 1);
    close_writer(&self, true);
    close_writer(&other, false);
}

/* Where others may write, they could have sent what a client has sent that is there no more. */
static void the_dead_are_known_where_none_but_the_owner_writes(void **state)
{
    test_fixture *fixture = *state;
    for (int shared = 0; shared < 2; shared++) {
        di_peer peer = {0};
        const di_access access = {.all = shared};
        di_listener *listener = raw_listen(fixture);
        assert_int_equal(listener->ops->admit(listener, &access, &(di_failure){0}), 0);
        writer self = open_writer(fixture);
        greet(&self);
        di_queue_close(&self.replies);
        di_connection *connection = raw_accept(listener);
        connection->ops->peer(connection, &peer);
        assert_int_equal(peer.has_process, !shared);
        assert_int_equal(peer.uid, shared ? 0 : geteuid());
        raw_close(connection);
        listener->ops->close(listener);
        close_writer(&self, false);
    }
}

static void parts_that_overtake_each_other(void **state)
{
    test_fixture *fixture = *state;
    fixture_listen(fixture);
    writer self = open_writer(fixture);
    di_mq_head head;
    greet(&self);
    uint8_t message[64], record[64];
    size_t size = (size_t)(raw_call(message, 9, ECHO, ECHO_V1, 0) - message);
    size = (size_t)(raw_record(record, message, size) - record);
    /* A byte each, the last ones first. */
    uint64_t at = size * (DI_MQ_HEAD + 1);
    fixture_start(fixture);
    for (size_t i = size; i-- > 0;) {
        at -= DI_MQ_HEAD + 1;
        write_part(&self, DI_MQ_PART, at, record + i, 1, (unsigned)i % 32);
    }
    assert_int_equal(read_word(&self, &head), DI_MQ_PART);
    assert_int_equal(fixture->entered, 1);
    close_writer(&self, true);
}

/* Each breaks one rule; then its connection ends, and a client beside it knows nothing of it. */
static void who_breaks_the_rules_ends_its_own_connection(void **state)
{
    test_fixture *fixture = *state;
    static const uint8_t bytes[100];
    fixture_serve(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    for (int rule = 0; rule < 11; rule++) {
        writer self = open_writer(fixture);
        di_mq_head head;
        self.id = 1000 + (uint64_t)rule;
        greet(&self);
        switch (rule) {
        case 0: /* beyond what was granted */
            write_part(&self, DI_MQ_PART, DI_MQ_WINDOW, bytes, 1, 0);
            break;
        case 1: /* the same place twice */
            write_part(&self, DI_MQ_PART, 0, bytes, 4, 0);
            write_part(&self, DI_MQ_PART, 0, bytes, 4, 0);
            break;
        case 2: /* the same early place twice */
            write_part(&self, DI_MQ_PART, 500, bytes, 4, 0);
            write_part(&self, DI_MQ_PART, 500, bytes, 4, 0);
            break;
        case 3: /* early parts that overlap */
            write_part(&self, DI_MQ_PART, 50, bytes, 4, 0);
            write_part(&self, DI_MQ_PART, 0, bytes, 100, 0);
            break;
        case 4: /* the same among themselves, while a part before them is not there: from behind, */
            write_part(&self, DI_MQ_PART, 501, bytes, 100, 0);
            write_part(&self, DI_MQ_PART, 500, bytes, 100, 0);
            break;
        case 5: /* from before, */
            write_part(&self, DI_MQ_PART, 500, bytes, 100, 0);
            write_part(&self, DI_MQ_PART, 501, bytes, 100, 0);
            break;
        case 6: /* and behind the end */
            write_part(&self, DI_MQ_BYE, 500, NULL, 0, 0);
            write_part(&self, DI_MQ_PART, 600, bytes, 4, 0);
            break;
        case 7: /* an end before the end */
            write_part(&self, DI_MQ_PART, 600, bytes, 4, 0);
            write_part(&self, DI_MQ_BYE, 500, NULL, 0, 0);
            break;
        case 8: /* nothing */
            write_part(&self, DI_MQ_PART, 0, NULL, 0, 0);
            break;
        case 9: /* no kind */
            write_part(&self, 99, 0, bytes, 4, 0);
            break;
        default: /* a place beyond all */
            write_part(&self, DI_MQ_BYE, UINT64_MAX, NULL, 0, 0);
            break;
        }
        assert_int_equal(read_word(&self, &head), DI_MQ_BYE);
        close_writer(&self, true);
        check_add(client);
    }
    dari_client_close(client);
}

static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Words of any size from anybody, with the numbers of nobody: dropped, and the others are served
 * all the same. */
static void garbage_in_the_servers_queue(void **state)
{
    test_fixture *fixture = *state;
    uint8_t bytes[DI_MQ_REQUESTS_BYTES];
    uint32_t seed = 5;
    fixture_serve(fixture);
    writer self = open_writer(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    for (int round = 0; round < 2000; round++) {
        size_t size = draw(&seed) % 3 ? draw(&seed) % 80 : draw(&seed) % sizeof bytes;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)draw(&seed);
        if (size > 0)
            bytes[0] = (uint8_t)(draw(&seed) % 7);
        while (di_queue_send(&self.requests, bytes, size, draw(&seed) % 32) == 0) {
            struct pollfd room = {.fd = self.requests.descriptor, .events = POLLOUT};
            assert_int_equal(poll(&room, 1, 10000), 1);
        }
        if (round % 50 == 0)
            check_echo(client, draw(&seed) % 20000);
    }
    check_add(client);
    /* One that greets in the name of another client has no queue of its own. */
    self.id = 4711;
    const di_mq_hello hello = {.inode = 1, .pid_namespace = own_namespace(), .slot = 70};
    write_part(&self, DI_MQ_HELLO, 0, &hello, sizeof hello, 31);
    check_add(client);
    close_writer(&self, false);
    dari_client_close(client);
    fixture_stop(fixture);
    assert_int_equal(fixture->logged, 0);
}

/* What anybody else writes to a client's queue is nothing to it; what the server leaves out ends
 * the connection. */
static void garbage_in_a_clients_queue(void **state)
{
    test_fixture *fixture = *state;
    di_listener *listener = raw_listen(fixture);
    di_connection *client = raw_connect(fixture), *peer = raw_accept(listener);
    const di_queue replies = {.descriptor = peer->watches[0].descriptor, .bytes = 2048};
    di_mq_head head = {.kind = DI_MQ_PART, .client = 1};
    uint8_t byte = 7;
    assert_int_equal(di_mq_send(&replies, &head, "x", 1, 0), 1);
    assert_int_equal(di_queue_send(&replies, "x", 1, 0), 1);
    raw_send(peer, &byte, 1);
    assert_true(raw_read(client, &byte, 1));
    assert_int_equal(byte, 7);
    /* One message of two is taken away. */
    size_t size;
    uint8_t message[2048];
    raw_send(peer, &byte, 1);
    assert_int_equal(di_queue_receive(&replies, message, &size), 1);
    raw_send(peer, &byte, 1);
    assert_false(raw_read(client, &byte, 1));
    raw_close(client);
    raw_close(peer);
    listener->ops->close(listener);
}

/* Of queue_order.c. */
extern unsigned queue_echoes;

/* A server that says nothing, but without end: the client comes to look at its deadline. */
static void grants_without_end(void **state)
{
    enum { MANY = 100000 };
    test_fixture *fixture = *state;
    di_listener *listener = raw_listen(fixture);
    di_connection *client = raw_connect(fixture), *peer = raw_accept(listener);
    const di_queue replies = {.descriptor = peer->watches[0].descriptor, .bytes = 2048};
    const di_queue inlet = {.descriptor = listener->descriptor, .bytes = DI_MQ_REQUESTS_BYTES};
    uint8_t message[DI_MQ_REQUESTS_BYTES];
    size_t size;
    di_mq_head head;
    /* The client's number is in its messages. */
    raw_send(client, (const uint8_t *)"x", 1);
    assert_int_equal(di_queue_receive(&inlet, message, &size), 1);
    memcpy(&head, message, sizeof head);
    head.kind = DI_MQ_GRANT;
    assert_int_equal(di_mq_send(&replies, &head, NULL, 0, 0), 1);
    queue_echoes = MANY;
    assert_int_equal(client->ops->receive(client, 1), DI_BLOCKED);
    assert_true(queue_echoes > MANY - 100);
    queue_echoes = 0;
    raw_close(client);
    raw_close(peer);
    listener->ops->close(listener);
}

/* A client that could not say that it goes, for want of room, is found when others come. */
static void a_client_that_goes_without_a_word(void **state)
{
    test_fixture *fixture = *state;
    fixture_listen(fixture);
    dari_client *client = fixture_connect(fixture, NULL);
    await_connections(fixture, 1);
    writer self = open_writer(fixture);
    while (di_queue_send(&self.requests, "x", 1, 0) > 0)
        continue;
    dari_client_close(client);
    while (di_queue_count(&self.requests) > 0)
        step(fixture->server, 10);
    assert_int_equal(fixture->server->connections, 1);
    for (int i = 0; i < 64 && fixture->server->connections > 0; i++) {
        dari_client_close(fixture_connect(fixture, NULL));
        while (di_queue_count(&self.requests) > 0)
            step(fixture->server, 10);
        step(fixture->server, 0);
    }
    await_connections(fixture, 0);
    close_writer(&self, false);
}

/* A connection that the server closes while the client's queue is full: its next call is told. */
static void a_server_that_closes_without_a_word(void **state)
{
    test_fixture *fixture = *state;
    di_listener *listener = raw_listen(fixture);
    dari_client *client = fixture_connect(fixture, &(dari_client_options){.no_reconnect = true});
    di_connection *peer = raw_accept(listener);
    uint8_t reply[64], record[64];
    size_t size = (size_t)(raw_reply(reply, 12345) - reply);
    size = (size_t)(raw_record(record, reply, size) - record);
    for (unsigned i = 0; i < DI_MQ_REPLIES_MESSAGES; i++)
        raw_send(peer, record, size);
    raw_close(peer);
    dari_call call = {0};
    for (unsigned i = 0; i < DI_MQ_REPLIES_MESSAGES; i++)
        assert_true(dari_client_dispatch(client) >= 0);
    assert_int_equal(client->pending.dropped, DI_MQ_REPLIES_MESSAGES);
    client->reconnect.used = 0; /* it lies idle */
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    assert_false(call.may_have_run);
    dari_client_close(client);
    listener->ops->close(listener);
    dari_call_end(&call);
}

/* A queue whose owner notes another version. */
static void another_version_is_not_called(void **state)
{
    test_fixture *fixture = *state;
    static const di_queue_shape shape = {.messages = 2, .bytes = 256, .note = DI_MQ_VERSION + 1};
    char name[256];
    di_queue queue;
    di_queue_failure failure;
    name_queue(fixture, name);
    assert_int_equal(di_queue_create(name, &shape, true, &queue, &failure), 0);
    refuses(fixture->address, DARI_LAYOUT, dari_error_text(DARI_LAYOUT));
    assert_int_equal(di_queue_remove_name(&queue, name), 1);
    di_queue_close(&queue);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(names_that_are_none),
        CASE(a_dead_owners_name_is_taken_over),
        CASE(a_child_removes_and_tells_nothing),
        CASE(other_users_are_refused_unless_they_are_let_in),
        CASE(a_server_of_another_user_is_not_called),
        CASE(limits_are_named),
        CASE(as_many_queues_as_the_system_has),
        CASE(the_smallest_queues),
        CASE(a_call_overtakes_those_of_other_clients),
        CASE(a_dead_server_is_seen_at_once),
        CASE(a_dead_client_is_forgotten_at_once),
        CASE(a_client_that_dies_before_it_is_accepted),
        CASE(a_client_that_sends_much_and_dies_before_it_is_accepted),
        CASE(a_client_leaves_before_its_replies),
        CASE(a_client_stays_behind_its_bye),
        CASE(a_client_leaves_without_a_word),
        CASE(a_client_with_a_child_leaves_without_a_word),
        CASE(a_client_dies_before_its_replies),
        CASE(a_client_that_dies_before_its_hello),
        CASE(a_server_that_goes_before_it_accepts),
        CASE(nobody_greets_in_the_name_of_another),
        CASE(the_dead_are_known_where_none_but_the_owner_writes),
        CASE(parts_that_overtake_each_other),
        CASE(who_breaks_the_rules_ends_its_own_connection),
        CASE(garbage_in_the_servers_queue),
        CASE(garbage_in_a_clients_queue),
        CASE(grants_without_end),
        CASE(a_client_that_goes_without_a_word),
        CASE(a_server_that_closes_without_a_word),
        CASE(another_version_is_not_called),
    };
    use_queues_of_ones_own();
    take_turns_with_queues();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
