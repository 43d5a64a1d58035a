/* SPDX-License-Identifier: MIT */
/* What is particular to fifo: -- files and their owners, requests that name the wrong things, and
 * an inlet that all share. */
#include "conformance/harness.h"

#include "base/clock.h"
#include "transport/fifo_request.h"

#include <dari/counters.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const test_scheme scheme = {
    .name = "fifo", .address = "fifo:%s/fifo", .has_path = true, .forgets = true};

typedef struct fifo_state {
    test_fixture fixture;
    char path[128]; /* of the server's FIFO */
    char lock[160];
} fifo_state;

static int begin(void **state)
{
    fifo_state *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->fixture.scheme = &scheme;
    fixture_begin(&self->fixture);
    snprintf(self->path, sizeof self->path, "%s/fifo", self->fixture.directory);
    snprintf(self->lock, sizeof self->lock, "%s.lock", self->path);
    *state = self;
    return 0;
}

/* A closed server, and closed clients, have left nothing behind. */
static int end(void **state)
{
    fifo_state *self = *state;
    fixture_end(&self->fixture);
    free(self);
    return 0;
}

static void connects(const fifo_state *self, int expected)
{
    dari_client *client = NULL;
    assert_int_equal(dari_connect(self->fixture.address, NULL, &client), expected);
    dari_client_close(client);
}

/* Another server at the same address. */
static void listens(const fifo_state *self, int expected, const char *words)
{
    dari_server *server = NULL;
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(dari_server_listen(server, self->fixture.address), expected);
    if (words && !strstr(dari_server_message(server), words))
        fail_msg("\"%s\" does not say \"%s\"", dari_server_message(server), words);
    dari_server_destroy(server);
}

static void check_call(fifo_state *self)
{
    int32_t sum = 0;
    dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_S);
    dari_client *client = fixture_connect(&self->fixture, NULL);
    if (add_1(client, &(pair){40, 2}, &sum, &call) < 0)
        fail_msg("%s", dari_call_message(&call));
    assert_int_equal(sum, 42);
    dari_client_close(client);
    dari_call_end(&call);
}

/* FIFOs in the directory, which nobody else may open. */
static unsigned count_fifos(const fifo_state *self)
{
    unsigned count = 0;
    DIR *directory = opendir(self->fixture.directory);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat status;
        assert_int_equal(fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW), 0);
        count += S_ISFIFO(status.st_mode) && (status.st_mode & 07777) == 0600;
    }
    closedir(directory);
    return count;
}

static void files_are_the_owners_alone(void **state)
{
    fifo_state *self = *state;
    struct stat status;
    mode_t before = umask(0);
    fixture_listen(&self->fixture);
    di_connection *client = raw_connect(&self->fixture);
    /* The server has not looked yet: its FIFO is there, and two of the client. */
    assert_int_equal(count_fifos(self), 3);
    umask(before);
    assert_int_equal(stat(self->lock, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    raw_close(client);
}

static void a_living_owner_keeps_its_path(void **state)
{
    fifo_state *self = *state;
    fixture_serve(&self->fixture);
    listens(self, DARI_IN_USE, "the path's lock is held");
    check_call(self);
}

/* Makes a server in a child, which is killed, with a client that was just connecting. */
static void leave_behind(fifo_state *self)
{
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dari_server *server;
        dari_client *client;
        if (dari_server_create(NULL, &server) < 0 ||
            dari_server_listen(server, self->fixture.address) < 0 ||
            dari_connect(self->fixture.address, NULL, &client) < 0)
            _exit(1);
        if (write(told[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    listens(self, DARI_IN_USE, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void what_the_dead_leave_is_taken_over(void **state)
{
    fifo_state *self = *state;
    leave_behind(self);
    assert_int_equal(access(self->path, F_OK), 0); /* left behind, */
    connects(self, DARI_REFUSED);
    fixture_serve(&self->fixture); /* and reclaimed, with the files of the client */
    check_call(self);
}

static void other_files_are_left_alone(void **state)
{
    fifo_state *self = *state;
    int file = open(self->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    listens(self, DARI_IN_USE, "a file that is no FIFO is there");
    connects(self, DARI_ADDRESS);
    assert_int_equal(unlink(self->path), 0);
    assert_int_equal(mkfifo(self->path, 0600), 0);
    int reader = open(self->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    listens(self, DARI_IN_USE, "another program's FIFO is there");
    close(reader);
    connects(self, DARI_REFUSED);
    fixture_serve(&self->fixture); /* nobody reads it: it is stale */
    check_call(self);
}

static void addresses_that_name_nothing(void **state)
{
    fifo_state *self = *state;
    dari_client *client = NULL;
    dari_server *server = NULL;
    connects(self, DARI_REFUSED);
    assert_int_equal(dari_connect("fifo:", NULL, &client), DARI_ADDRESS);
    assert_int_equal(dari_connect("fifo:/no/such/folder/x", NULL, &client), DARI_REFUSED);
    assert_int_equal(dari_connect("fifo:/tmp", NULL, &client), DARI_ADDRESS);
    assert_int_equal(dari_server_create(NULL, &server), 0);
    assert_int_equal(dari_server_listen(server, "fifo:"), DARI_ADDRESS);
    assert_int_equal(dari_server_listen(server, "fifo:/no/such/folder/x"), DARI_ADDRESS);
    dari_server_destroy(server);
}

/* Each of the ways in which a client dies that has asked: none leaves a file for long. */
static void clients_that_die_while_they_connect(void **state)
{
    fifo_state *self = *state;
    fixture_listen(&self->fixture);
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            dari_client *client;
            if (dari_connect(self->fixture.address, NULL, &client) == 0)
                raise(SIGKILL);
            _exit(1);
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    fixture_start(&self->fixture);
    check_call(self);
}

/* Hostile clients. They write what they like into the inlet. */

static int open_inlet(const fifo_state *self)
{
    int inlet = open(self->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(inlet >= 0);
    return inlet;
}

static void put(int inlet, const void *bytes, size_t size)
{
    ssize_t written;
    while ((written = write(inlet, bytes, size)) < 0 && errno == EAGAIN)
        poll(&(struct pollfd){.fd = inlet, .events = POLLOUT}, 1, 1000);
    assert_int_equal(written, size);
}

static void garbage_harms_nobody(void **state)
{
    fifo_state *self = *state;
    static const char *const lines[] = {
        "",
        "\n\n\n\n",
        "dari-fifo-1 ",
        "dari-fifo-1 0123456789abcdef0123456789abcde\n",    /* too short */
        "dari-fifo-1 0123456789abcdef0123456789abcdef0\n",  /* too long */
        "dari-fifo-1 ../../../../../../../../etc/passwd\n", /* no digits */
        "dari-fifo-1 0123456789ABCDEF0123456789ABCDEF\n",
        "dari-fifo-2 0123456789abcdef0123456789abcdef\n",
        "\ndari-fifo-1 0123456789abcdef0123456789abcdef\n", /* nothing there */
        "\ndari-fifo-1 0123456789abcdef0123456789abcdef",   /* no end */
    };
    char random[1000];
    uint32_t seed = 7;
    fixture_serve(&self->fixture);
    int inlet = open_inlet(self);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        put(inlet, lines[i], strlen(lines[i]));
        check_call(self); /* a request comes after each, and is understood */
    }
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < sizeof random; i++) {
            seed = seed * 1103515245 + 12345;
            random[i] = (char)(seed >> 16);
        }
        put(inlet, random, 1 + seed % sizeof random);
        if (round % 10 == 0)
            check_call(self);
    }
    close(inlet);
}

static void *flood(void *argument)
{
    char bytes[PIPE_BUF];
    memset(bytes, 'g', sizeof bytes);
    int inlet = *(int *)argument;
    for (int i = 0; i < 2000; i++)
        if (write(inlet, bytes, sizeof bytes) < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = inlet, .events = POLLOUT}, 1, 1000);
    return NULL;
}

/* Whoever is connected goes on, and whoever connects waits for room. */
static void a_flood_of_garbage_is_survived(void **state)
{
    fifo_state *self = *state;
    fixture_serve(&self->fixture);
    dari_client *client = fixture_connect(&self->fixture, NULL);
    int inlet = open_inlet(self);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, flood, &inlet), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(nothing_1(client, NULL), 0);
    check_call(self);
    pthread_join(thread, NULL);
    dari_client_close(client);
    close(inlet);
}

/* A pair of names, and the request for them. */
typedef struct forged {
    char request[DI_FIFO_REQUEST];
    di_fifo_names names;
} forged;

static void forge(const fifo_state *self, forged *ret)
{
    assert_int_equal(di_fifo_request_write(ret->request), 0);
    assert_int_equal(di_fifo_names_make(self->path,
                                        ret->request + DI_FIFO_REQUEST - 1 - DI_FIFO_DIGITS,
                                        &ret->names),
                     0);
}

static uint64_t accepted(const fifo_state *self)
{
    dari_counters counters;
    assert_int_equal(dari_server_counters(self->fixture.server, &counters), 0);
    uint64_t count = counters.connections_accepted;
    dari_counters_end(&counters);
    return count;
}

/* Asks for what is there, and sees that the server has not taken it. */
static void is_refused(fifo_state *self, forged *one)
{
    uint64_t before = accepted(self);
    int inlet = open_inlet(self);
    put(inlet, one->request, sizeof one->request);
    close(inlet);
    check_call(self); /* comes after it */
    assert_int_equal(accepted(self), before + 1);
    di_fifo_names_remove(&one->names);
    di_fifo_names_free(&one->names);
}

static void other_things_than_fifos_are_refused(void **state)
{
    fifo_state *self = *state;
    forged one;
    fixture_serve(&self->fixture);
    char target[160], text[8] = "";
    snprintf(target, sizeof target, "%s/target", self->fixture.directory);

    /* Regular files: nothing is written into them. */
    forge(self, &one);
    const char *const both[] = {one.names.to_server.data, one.names.to_client.data};
    for (int i = 0; i < 2; i++)
        close(open(both[i], O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    int file = open(both[1], O_RDONLY | O_CLOEXEC);
    is_refused(self, &one);
    assert_int_equal(read(file, text, sizeof text), 0);
    close(file);

    /* Symbolic links, to FIFOs that would do. */
    forge(self, &one);
    assert_int_equal(mkfifo(target, 0600), 0);
    int reader = open(target, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(symlink(target, one.names.to_server.data), 0);
    assert_int_equal(symlink(target, one.names.to_client.data), 0);
    is_refused(self, &one);
    assert_int_equal(read(reader, text, sizeof text), 0);
    close(reader);
    assert_int_equal(unlink(target), 0);

    /* Directories; and a FIFO that others may open. */
    forge(self, &one);
    snprintf(target, sizeof target, "%s", one.names.to_server.data);
    assert_int_equal(mkdir(target, 0700), 0);
    is_refused(self, &one);
    assert_int_equal(rmdir(target), 0);
    forge(self, &one);
    assert_int_equal(mkfifo(one.names.to_server.data, 0600), 0);
    assert_int_equal(mkfifo(one.names.to_client.data, 0600), 0);
    assert_int_equal(chmod(one.names.to_client.data, 0622), 0);
    reader = open(one.names.to_client.data, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    is_refused(self, &one);
    close(reader);

    if (geteuid() == 0) {
        /* A device, and FIFOs of two owners. */
        forge(self, &one);
        if (mknod(one.names.to_server.data, S_IFCHR | 0600, 0x103) == 0)
            is_refused(self, &one);
        else
            di_fifo_names_free(&one.names);
        forge(self, &one);
        assert_int_equal(mkfifo(one.names.to_server.data, 0600), 0);
        assert_int_equal(mkfifo(one.names.to_client.data, 0600), 0);
        reader = open(one.names.to_client.data, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        assert_int_equal(chown(one.names.to_client.data, 4711, 4711), 0);
        is_refused(self, &one);
        close(reader);
    }
}

/* As another user, in a child. */
static int call_as_another(fifo_state *self, int expected)
{
    dari_client *client = NULL;
    dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_S);
    if (setgid(4711) < 0 || setuid(4711) < 0)
        return 1;
    int error = dari_connect(self->fixture.address, &(dari_client_options){.call = &call}, &client);
    if (error == 0)
        error = nothing_1(client, &call);
    dari_client_close(client);
    return error == expected ? 0 : 2;
}

static void check_another(fifo_state *self, int expected)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(call_as_another(self, expected));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Who called last. */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static dari_peer seen;

static int see(dari_request *request)
{
    pthread_mutex_lock(&seen_lock);
    int error = dari_request_peer(request, &seen);
    pthread_mutex_unlock(&seen_lock);
    return error;
}

static void users_are_told_apart(void **state)
{
    fifo_state *self = *state;
    static const echo_1_handlers handlers = {.nothing = see};
    if (geteuid() != 0)
        skip();
    self->fixture.handlers = &handlers;
    fixture_serve(&self->fixture);
    assert_int_equal(chmod(self->fixture.directory, 0777), 0);
    check_another(self, DARI_PERMISSION);         /* as files are at first */
    assert_int_equal(chmod(self->path, 0622), 0); /* the owner lets others in */
    check_another(self, 0);
    pthread_mutex_lock(&seen_lock);
    assert_int_equal(seen.uid, 4711);
    assert_int_equal(seen.gid, 4711);
    assert_int_equal(seen.pid, 0); /* nobody knows */
    pthread_mutex_unlock(&seen_lock);
    /* A server of yet another user could not open what the client makes. */
    assert_int_equal(chown(self->path, 4712, 4712), 0);
    check_another(self, DARI_PERMISSION);
}

typedef struct crowd {
    fifo_state *self;
    pthread_t thread;
    int failed;
} crowd;

static void *come_and_go(void *argument)
{
    crowd *one = argument;
    uint8_t bytes[3 * PIPE_BUF];
    for (int i = 0; i < 25; i++) {
        dari_client *client = NULL;
        dari_call call = DARI_CALL(.deadline_ns = 20 * DARI_S);
        opaque_data ret;
        memset(bytes, i, sizeof bytes);
        if (dari_connect(one->self->fixture.address, &(dari_client_options){.call = &call},
                         &client) < 0 ||
            echo_data_1(client, &(opaque_data){sizeof bytes, bytes}, &ret, &call) < 0 ||
            ret.size != sizeof bytes || memcmp(ret.data, bytes, sizeof bytes) != 0)
            one->failed++;
        dari_client_close(client);
        dari_call_end(&call);
    }
    return NULL;
}

/* Requests, and messages larger than what a pipe takes at one stroke, never mix. */
static void many_connect_at_once(void **state)
{
    enum { COUNT = 16 };
    fifo_state *self = *state;
    crowd all[COUNT];
    fixture_serve(&self->fixture);
    for (int i = 0; i < COUNT; i++) {
        all[i] = (crowd){.self = self};
        assert_int_equal(pthread_create(&all[i].thread, NULL, come_and_go, &all[i]), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        pthread_join(all[i].thread, NULL);
        assert_int_equal(all[i].failed, 0);
    }
}

/* The server dies before it has looked at the request: the client learns of it at once. */
static void a_server_that_dies_unasked(void **state)
{
    fifo_state *self = *state;
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dari_server *server;
        if (dari_server_create(NULL, &server) < 0 ||
            dari_server_listen(server, self->fixture.address) < 0 || write(told[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    close(told[1]);
    dari_client *client =
        fixture_connect(&self->fixture, &(dari_client_options){.no_reconnect = true});
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    dari_call call = DARI_CALL(.deadline_ns = 20 * DARI_S);
    uint64_t began = di_now();
    assert_int_equal(nothing_1(client, &call), DARI_CLOSED);
    assert_true(di_now() - began < 10 * DARI_S);
    dari_client_close(client);
    dari_call_end(&call);
    fixture_serve(&self->fixture); /* takes the path over, which end wants removed */
    check_call(self);
}

static void call_for_ever(const fifo_state *self)
{
    uint8_t bytes[6000] = {0};
    for (;;) {
        dari_client *client = NULL;
        if (dari_connect(self->fixture.address, NULL, &client) < 0)
            _exit(1);
        for (int i = 0; i < 3; i++) {
            dari_call call = {0};
            opaque_data ret;
            if (echo_data_1(client, &(opaque_data){sizeof bytes, bytes}, &ret, &call) < 0)
                _exit(1);
            dari_call_end(&call);
        }
        dari_client_close(client);
    }
}

/* At any moment: while they connect, call, wait or close. */
static void clients_are_killed(void **state)
{
    fifo_state *self = *state;
    int trials = getenv("DARI_LONG") ? 1000 : 100;
    uint32_t seed = 11;
    fixture_serve(&self->fixture);
    unsigned before = count_descriptors();
    for (int i = 0; i < trials; i++) {
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            call_for_ever(self);
        seed = seed * 1103515245 + 12345;
        nanosleep(&(struct timespec){.tv_nsec = (long)((seed >> 8) % 3000000)}, NULL);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        if (i % 20 == 0)
            check_call(self);
    }
    check_call(self);
    uint64_t until = di_deadline_in(10 * DARI_S);
    while (count_descriptors() != before && di_now() < until)
        poll(NULL, 0, 1);
    assert_int_equal(count_descriptors(), before);
    /* What those left who had not asked yet the next start takes away. */
    fixture_stop(&self->fixture);
    fixture_serve(&self->fixture);
    assert_int_equal(count_fifos(self), 1);
    check_call(self);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(files_are_the_owners_alone),
        CASE(a_living_owner_keeps_its_path),
        CASE(what_the_dead_leave_is_taken_over),
        CASE(other_files_are_left_alone),
        CASE(addresses_that_name_nothing),
        CASE(clients_that_die_while_they_connect),
        CASE(garbage_harms_nobody),
        CASE(a_flood_of_garbage_is_survived),
        CASE(other_things_than_fifos_are_refused),
        CASE(users_are_told_apart),
        CASE(many_connect_at_once),
        CASE(a_server_that_dies_unasked),
        CASE(clients_are_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
