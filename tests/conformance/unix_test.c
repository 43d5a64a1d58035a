/* SPDX-License-Identifier: MIT */
/* What is particular to unix: -- paths, their files and their owners. */
#include "conformance/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct unix_state {
    char directory[64];
    char path[128]; /* directory/s */
    char address[160];
    char lock[160];
    dari_server *server;
} unix_state;

static int begin(void **state)
{
    unix_state *self = calloc(1, sizeof *self);
    assert_non_null(self);
    strcpy(self->directory, "/tmp/dari-unix-XXXXXX");
    assert_non_null(mkdtemp(self->directory));
    snprintf(self->path, sizeof self->path, "%s/s", self->directory);
    snprintf(self->address, sizeof self->address, "unix:%s", self->path);
    snprintf(self->lock, sizeof self->lock, "%s.lock", self->path);
    assert_int_equal(dari_server_create(NULL, &self->server), 0);
    *state = self;
    return 0;
}

/* A closed server has left nothing behind. */
static int end(void **state)
{
    unix_state *self = *state;
    dari_server_destroy(self->server);
    assert_int_equal(rmdir(self->directory), 0);
    free(self);
    return 0;
}

/* The stand-in for setsockopt refuses to limit the time of sending. */
static bool refuses_limits;

int __real_setsockopt(int descriptor, int level, int name, const void *value, socklen_t size);
int __wrap_setsockopt(int descriptor, int level, int name, const void *value, socklen_t size);

int __wrap_setsockopt(int descriptor, int level, int name, const void *value, socklen_t size)
{
    if (refuses_limits && level == SOL_SOCKET && name == SO_SNDTIMEO) {
        errno = EIO;
        return -1;
    }
    return __real_setsockopt(descriptor, level, name, value, size);
}

static void connects(const char *address, int expected)
{
    dari_client *client = NULL;
    assert_int_equal(dari_connect(address, NULL, &client), expected);
    dari_client_close(client);
}

static void listens(dari_server *server, const char *address, int expected, const char *words)
{
    assert_int_equal(dari_server_listen(server, address), expected);
    if (words && !strstr(dari_server_message(server), words))
        fail_msg("\"%s\" does not say \"%s\"", dari_server_message(server), words);
}

/* "unix:" and a path of `length` bytes in the directory. */
static void make_long(const unix_state *self, size_t length, char *address)
{
    size_t start = strlen("unix:");
    memset(address, 'p', start + length);
    memcpy(address, "unix:", start);
    memcpy(address + start, self->directory, strlen(self->directory));
    address[start + strlen(self->directory)] = '/';
    address[start + length] = '\0';
}

static void paths_of_107_108_and_200_bytes(void **state)
{
    unix_state *self = *state;
    char address[300];
    dari_call call = {0};
    dari_client *client = NULL;
    make_long(self, 107, address);
    listens(self->server, address, 0, NULL);
    connects(address, 0);
    static const size_t lengths[] = {108, 200};
    for (size_t i = 0; i < 2; i++) {
        char words[64];
        snprintf(words, sizeof words, "the path is too long (%zu, at most 107)", lengths[i]);
        make_long(self, lengths[i], address);
        listens(self->server, address, DARI_ADDRESS, words);
        assert_int_equal(dari_connect(address, &(dari_client_options){.call = &call}, &client),
                         DARI_ADDRESS);
        assert_non_null(strstr(dari_call_message(&call), words));
        assert_null(client);
    }
    dari_call_end(&call);
}

static void abstract_names_of_107_and_108_bytes(void **state)
{
    unix_state *self = *state;
    char address[200];
    make_long(self, 107, address);
    address[5] = '@';
    listens(self->server, address, 0, NULL);
    connects(address, 0);
    make_long(self, 108, address);
    address[5] = '@';
    listens(self->server, address, DARI_ADDRESS, "too long");
    connects(address, DARI_ADDRESS);
}

static void a_missing_path(void **state)
{
    unix_state *self = *state;
    listens(self->server, "unix:", DARI_ADDRESS, "the path is missing");
    listens(self->server, "unix:@", DARI_ADDRESS, "the path is missing");
    connects("unix:", DARI_ADDRESS);
    connects("unix:@", DARI_ADDRESS);
}

static void files_of_mode_0600_go_with_the_server(void **state)
{
    unix_state *self = *state;
    struct stat status;
    mode_t before = umask(0);
    listens(self->server, self->address, 0, NULL);
    umask(before);
    assert_int_equal(stat(self->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(self->lock, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    dari_server_destroy(self->server);
    self->server = NULL;
    assert_int_equal(access(self->path, F_OK), -1);
    assert_int_equal(access(self->lock, F_OK), -1);
}

static void a_living_owner_keeps_its_path(void **state)
{
    unix_state *self = *state;
    dari_server *second;
    assert_int_equal(dari_server_create(NULL, &second), 0);
    listens(self->server, self->address, 0, NULL);
    listens(second, self->address, DARI_IN_USE, "the path's lock is held");
    listens(self->server, self->address, DARI_IN_USE, "the path's lock is held");
    connects(self->address, 0);
    dari_server_destroy(self->server);
    self->server = second;
    listens(second, self->address, 0, NULL);
    connects(self->address, 0);
}

static void a_dead_owners_path_is_taken_over(void **state)
{
    unix_state *self = *state;
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dari_server *server;
        if (dari_server_create(NULL, &server) < 0 || dari_server_listen(server, self->address) < 0)
            _exit(1);
        if (write(told[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    listens(self->server, self->address, DARI_IN_USE, NULL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(access(self->path, F_OK), 0); /* left behind, */
    connects(self->address, DARI_REFUSED);
    listens(self->server, self->address, 0, NULL); /* and reclaimed */
    connects(self->address, 0);
}

static int make_foreign(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(descriptor, 4), 0);
    return descriptor;
}

static void another_programs_socket_is_left_alone(void **state)
{
    unix_state *self = *state;
    int foreign = make_foreign(self->path);
    listens(self->server, self->address, DARI_IN_USE, "another program's socket is there");
    assert_int_equal(access(self->path, F_OK), 0);
    assert_int_equal(access(self->lock, F_OK), -1);
    close(foreign);
    listens(self->server, self->address, 0, NULL);
    connects(self->address, 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    unix_state *self = *state;
    int file = open(self->path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    listens(self->server, self->address, DARI_IN_USE, "a file that is no socket is there");
    assert_int_equal(unlink(self->path), 0);
}

static void a_link_in_place_of_the_lock_is_not_followed(void **state)
{
    unix_state *self = *state;
    char target[128];
    snprintf(target, sizeof target, "%s/target", self->directory);
    assert_int_equal(symlink(target, self->lock), 0);
    listens(self->server, self->address, DARI_ERRNO, "lock file");
    assert_int_equal(access(target, F_OK), -1);
    assert_int_equal(unlink(self->lock), 0);
}

static void a_path_that_was_taken_by_force_is_not_removed(void **state)
{
    unix_state *self = *state;
    dari_server *second;
    assert_int_equal(dari_server_create(NULL, &second), 0);
    listens(self->server, self->address, 0, NULL);
    assert_int_equal(unlink(self->path), 0);
    assert_int_equal(unlink(self->lock), 0);
    listens(second, self->address, 0, NULL);
    dari_server_destroy(self->server);
    self->server = second;
    connects(self->address, 0);
}

static void a_directory_that_is_not_there(void **state)
{
    unix_state *self = *state;
    char address[200];
    snprintf(address, sizeof address, "unix:%s/none/s", self->directory);
    listens(self->server, address, DARI_ADDRESS, "No such file or directory");
    connects(address, DARI_REFUSED);
}

static void a_child_removes_nothing(void **state)
{
    unix_state *self = *state;
    listens(self->server, self->address, 0, NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dari_server_destroy(self->server);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(access(self->path, F_OK), 0);
    assert_int_equal(access(self->lock, F_OK), 0);
    connects(self->address, 0);
}

static void several_addresses(void **state)
{
    unix_state *self = *state;
    char second[200];
    snprintf(second, sizeof second, "unix:%s/t", self->directory);
    listens(self->server, self->address, 0, NULL);
    listens(self->server, second, 0, NULL);
    assert_string_equal(dari_server_address(self->server, 0), self->address);
    assert_string_equal(dari_server_address(self->server, 1), second);
    assert_null(dari_server_address(self->server, 2));
    connects(second, 0);
}

/* Who is connected learns of the server's end though a child holds the connection too. */
static void a_server_that_has_forked_ends(void **state)
{
    unix_state *self = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int hold[2];
    char byte;
    listens(self->server, self->address, 0, NULL);
    strcpy(address.sun_path, self->path);
    int caller = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(caller, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(dari_server_dispatch(self->server), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(hold[1]);
        close(caller);
        while (read(hold[0], &byte, 1) > 0)
            continue;
        _exit(0);
    }
    dari_server_destroy(self->server);
    self->server = NULL;
    struct pollfd end = {.fd = caller, .events = POLLIN};
    int told = poll(&end, 1, 10000);
    close(hold[0]);
    close(hold[1]);
    waitpid(pid, NULL, 0);
    assert_int_equal(told, 1);
    assert_int_equal(recv(caller, &byte, 1, MSG_DONTWAIT), 0);
    close(caller);
}

/* Without the limit, connecting might take for ever. */
static void a_limit_that_cannot_be_set(void **state)
{
    unix_state *self = *state;
    dari_call call = {0};
    dari_client *client = NULL;
    listens(self->server, self->address, 0, NULL);
    refuses_limits = true;
    int error = dari_connect(self->address, &(dari_client_options){.call = &call}, &client);
    refuses_limits = false;
    assert_int_equal(error, DARI_ERRNO);
    assert_int_equal(call.system_error, EIO);
    assert_null(client);
    dari_call_end(&call);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(paths_of_107_108_and_200_bytes),
        CASE(abstract_names_of_107_and_108_bytes),
        CASE(a_missing_path),
        CASE(files_of_mode_0600_go_with_the_server),
        CASE(a_living_owner_keeps_its_path),
        CASE(a_dead_owners_path_is_taken_over),
        CASE(another_programs_socket_is_left_alone),
        CASE(a_file_that_is_no_socket_is_left_alone),
        CASE(a_link_in_place_of_the_lock_is_not_followed),
        CASE(a_path_that_was_taken_by_force_is_not_removed),
        CASE(a_directory_that_is_not_there),
        CASE(a_child_removes_nothing),
        CASE(a_server_that_has_forked_ends),
        CASE(several_addresses),
        CASE(a_limit_that_cannot_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
