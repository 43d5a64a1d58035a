/* SPDX-License-Identifier: MIT */
/* Who may connect, and to whom: each scheme that has names, tried as other users, which only root
 * can. */
#include "conformance/cases.h"

#include "base/clock.h"
#include "support/queues.h"

#include <dari/counters.h>

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Users and groups that nobody has. */
enum { GUEST = 4711, STRANGER = 4712, CLUB = 4713, OTHERS = 4714 };
/* What the kernel shows of those whom a namespace does not know. */
enum { NOBODY = 65534 };

/* What a scheme does for users whom it does not let in. */
typedef struct manner {
    const char *scheme;
    bool has_mode;   /* the kernel refuses them, at once */
    mode_t for_club; /* the mode of its file with a group, */
    mode_t for_all;  /* and with all */
    bool both;       /* it can have a group and users */
} manner;

static const manner manners[] = {
    {"unix_path", true, 0660, 0666, true},
    {"unix_abstract", false, 0, 0, true},
    {"shm", true, 0660, 0666, true},
    {"fifo", true, 0620, 0622, false},
    {"mq", true, 0, 0, false},
};

#define FOR_EACH_MANNER(it) \
    for (const manner *it = manners; it < manners + sizeof manners / sizeof *manners; it++)

/* A user, with one group beside those of no interest. */
typedef struct guise {
    uid_t user;
    gid_t first, second;
} guise;

static const guise guest = {GUEST, OTHERS, OTHERS};
static const guise stranger = {STRANGER, OTHERS, OTHERS};
static const guise member = {STRANGER, OTHERS, CLUB};
static const guise first_of_members = {STRANGER, CLUB, OTHERS};

static void need_root(void)
{
    if (geteuid() == 0)
        return;
    puts("# left out: only root can try as other users");
    skip();
}

static void begin(test_fixture *fixture, const char *scheme)
{
    *fixture = (test_fixture){.scheme = scheme_named(scheme)};
    fixture_begin(fixture);
    if (*fixture->directory)
        assert_int_equal(chmod(fixture->directory, 0777), 0);
}

static void become(const guise *who)
{
    if (setgroups(1, &who->second) < 0 || setresgid(who->first, who->first, who->first) < 0 ||
        setresuid(who->user, who->user, who->user) < 0)
        _exit(1);
}

/* Connects and calls as another user, in a child. Returns what came of it. */
static int call_as(const test_fixture *fixture, const guise *who, uint32_t server_user)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dari_client *client = NULL;
        dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_S);
        const dari_client_options options = {
            .call = &call, .no_reconnect = true, .server_user = server_user};
        become(who);
        int error = dari_connect(fixture->address, &options, &client);
        if (error == 0)
            error = nothing_1(client, &call);
        dari_client_close(client);
        _exit(-error);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static const char *path_of(const test_fixture *fixture)
{
    return strchr(fixture->address, ':') + 1;
}

/* Listens while the process's mask is one that would spoil the mode. */
static void serve_masked(test_fixture *fixture, mode_t mask)
{
    mode_t before = umask(mask);
    fixture_listen(fixture);
    umask(before);
    fixture_start(fixture);
}

static void check_mode(const test_fixture *fixture, mode_t mode, gid_t group)
{
    struct stat status;
    if (!fixture->scheme->has_path)
        return;
    assert_int_equal(stat(path_of(fixture), &status), 0);
    assert_int_equal(status.st_mode & 07777, mode);
    assert_int_equal(status.st_gid, group);
}

static uint64_t refused_by(const test_fixture *fixture)
{
    dari_counters counters;
    assert_int_equal(dari_server_counters(fixture->server, &counters), 0);
    uint64_t refused = counters.connections_refused;
    dari_counters_end(&counters);
    return refused;
}

/* The user is turned away, by the kernel or by the server. */
static void check_refused(test_fixture *fixture, const guise *who, bool by_kernel)
{
    char line[64];
    pthread_mutex_lock(&fixture->lock);
    unsigned logged = fixture->logged;
    pthread_mutex_unlock(&fixture->lock);
    uint64_t refused = refused_by(fixture);
    assert_int_equal(call_as(fixture, who, 0), by_kernel ? DARI_PERMISSION : DARI_CLOSED);
    if (by_kernel)
        return;
    fixture_await_logged(fixture, logged + 1);
    snprintf(line, sizeof line, "user %u may not connect", (unsigned)who->user);
    pthread_mutex_lock(&fixture->lock);
    bool told = strstr(fixture->log_text, line) && fixture->log_error == DARI_PERMISSION;
    pthread_mutex_unlock(&fixture->lock);
    assert_true(told);
    assert_int_equal(refused_by(fixture), refused + 1);
}

static void nobody_else_by_default(void **state)
{
    (void)state;
    need_root();
    FOR_EACH_MANNER(it)
    {
        test_fixture fixture;
        begin(&fixture, it->scheme);
        serve_masked(&fixture, 0);
        check_mode(&fixture, 0600, getegid());
        check_refused(&fixture, &guest, it->has_mode);
        check_refused(&fixture, &member, it->has_mode);
        fixture_end(&fixture);
    }
}

static void a_group(void **state)
{
    static const char *const names[] = {"4713", "04713"};
    (void)state;
    need_root();
    FOR_EACH_MANNER(it)
    {
        test_fixture fixture;
        begin(&fixture, it->scheme);
        fixture.options.access.group = names[(it - manners) % 2];
        serve_masked(&fixture, 0777);
        check_mode(&fixture, it->for_club, CLUB);
        assert_int_equal(call_as(&fixture, &member, 0), 0);
        assert_int_equal(call_as(&fixture, &first_of_members, 0), 0);
        check_refused(&fixture, &stranger, it->has_mode);
        dari_client *own = fixture_connect(&fixture, NULL);
        check_add(own);
        dari_client_close(own);
        fixture_end(&fixture);
    }
}

static void some_users(void **state)
{
    static const uint32_t users[] = {1, GUEST};
    (void)state;
    need_root();
    FOR_EACH_MANNER(it)
    {
        test_fixture fixture;
        begin(&fixture, it->scheme);
        fixture.options.access.users = users;
        fixture.options.access.user_count = 2;
        serve_masked(&fixture, 0777);
        check_mode(&fixture, it->for_all, getegid());
        assert_int_equal(call_as(&fixture, &guest, 0), 0);
        check_refused(&fixture, &stranger, false);
        check_refused(&fixture, &member, false);
        dari_client *own = fixture_connect(&fixture, NULL);
        check_add(own);
        dari_client_close(own);
        fixture_end(&fixture);
    }
}

static void a_group_and_users(void **state)
{
    static const uint32_t users[] = {GUEST};
    (void)state;
    need_root();
    FOR_EACH_MANNER(it)
    {
        test_fixture fixture;
        begin(&fixture, it->scheme);
        const dari_server_options options = {
            .access = {.group = "4713", .users = users, .user_count = 1}};
        if (it->both) {
            fixture.options.access = options.access;
            serve_masked(&fixture, 0777);
            assert_int_equal(call_as(&fixture, &guest, 0), 0);
            assert_int_equal(call_as(&fixture, &member, 0), 0);
            check_refused(&fixture, &stranger, false);
        } else {
            dari_server *server = NULL;
            assert_int_equal(dari_server_create(&options, &server), 0);
            assert_int_equal(dari_server_listen(server, fixture.address), DARI_INVALID);
            assert_non_null(strstr(dari_server_message(server), "a group or users, not both"));
            dari_server_destroy(server);
        }
        fixture_end(&fixture);
    }
}

static void everybody(void **state)
{
    (void)state;
    need_root();
    FOR_EACH_MANNER(it)
    {
        test_fixture fixture;
        begin(&fixture, it->scheme);
        fixture.options.access.all = true;
        serve_masked(&fixture, 0777);
        check_mode(&fixture, it->for_all, getegid());
        assert_int_equal(call_as(&fixture, &stranger, 0), 0);
        fixture_end(&fixture);
    }
}

/* A peer in more groups than there is room for at first. */
static void a_member_of_many_groups(void **state)
{
    gid_t groups[100];
    test_fixture fixture;
    int status;
    (void)state;
    need_root();
    for (size_t i = 0; i < 100; i++)
        groups[i] = (gid_t)(CLUB - 99 + i);
    begin(&fixture, "unix_abstract");
    fixture.options.access.group = "4713";
    fixture_serve(&fixture);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dari_client *client = NULL;
        if (setgroups(100, groups) < 0 || setresgid(OTHERS, OTHERS, OTHERS) < 0 ||
            setresuid(GUEST, GUEST, GUEST) < 0 ||
            dari_connect(fixture.address, &(dari_client_options){.no_reconnect = true}, &client) <
                0)
            _exit(1);
        _exit(nothing_1(client, NULL) == 0 ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    fixture_end(&fixture);
}

/* --- What cannot be. --- */

static void check_listen(const dari_access *access, const char *address, int expected,
                         const char *words)
{
    dari_server *server = NULL;
    assert_int_equal(dari_server_create(&(dari_server_options){.access = *access}, &server), 0);
    assert_int_equal(dari_server_listen(server, address), expected);
    assert_non_null(strstr(dari_server_message(server), words));
    dari_server_destroy(server);
}

static void groups_that_are_not_there(void **state)
{
    static const char *const names[] = {"no-such-group", "",           "-1",
                                        "4713x",         "4294967295", "99999999999999999999"};
    (void)state;
    FOR_EACH_MANNER(it)
    {
        test_fixture fixture;
        begin(&fixture, it->scheme);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            char words[64];
            snprintf(words, sizeof words, "listen: there is no group %s", names[i]);
            check_listen(&(dari_access){.group = names[i]}, fixture.address, DARI_INVALID, words);
        }
        fixture_end(&fixture);
    }
}

static void options_that_are_not_valid(void **state)
{
    static const uint32_t users[DARI_ACCESS_USERS_MAX + 1];
    dari_server *server = NULL;
    (void)state;
    dari_server_options options = {.access = {.user_count = 1}};
    assert_int_equal(dari_server_create(&options, &server), DARI_INVALID);
    options.access.users = users;
    options.access.user_count = DARI_ACCESS_USERS_MAX + 1;
    assert_int_equal(dari_server_create(&options, &server), DARI_INVALID);
    options.access.user_count = DARI_ACCESS_USERS_MAX;
    assert_int_equal(dari_server_create(&options, &server), 0);
    dari_server_destroy(server);
}

/* The name of a group is looked up; and nothing is left at the path where that fails. */
static int listen_for_roots_group(test_fixture *fixture)
{
    const dari_access roots = {.group = "root"};
    become(&guest);
    check_listen(&roots, fixture->address, DARI_PERMISSION, "cannot be given to the group");
    return fixture->scheme->has_path && access(path_of(fixture), F_OK) == 0 ? __LINE__ : 0;
}

static void groups_that_are_somebody_elses(void **state)
{
    (void)state;
    need_root();
    FOR_EACH_MANNER(it)
    {
        test_fixture fixture;
        if (!it->has_mode)
            continue;
        begin(&fixture, it->scheme);
        check_child(listen_for_roots_group, &fixture);
        fixture_end(&fixture);
    }
}

/* A name that is for nobody else is so from the beginning: that takes no look at /proc. */
static int listen_in_root(void)
{
    static const char *const addresses[] = {"unix:/own", "shm:/of-memory", "fifo:/to-me"};
    struct stat status;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        dari_server *server = NULL;
        if (dari_server_create(NULL, &server) < 0 || dari_server_listen(server, addresses[i]) < 0)
            return __LINE__;
        if (stat(strchr(addresses[i], '/'), &status) < 0 || (status.st_mode & 07777) != 0600)
            return __LINE__;
        dari_server_destroy(server);
    }
    return 0;
}

/* Comes back in the end: what a sanitizer or a profile writes then belongs elsewhere. */
static int listen_without_proc(test_fixture *fixture)
{
    int outside = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (outside < 0 || chroot(fixture->directory) < 0 || chdir("/") < 0)
        return __LINE__;
    int result = listen_in_root();
    if (fchdir(outside) < 0 || chroot(".") < 0)
        return __LINE__;
    close(outside);
    return result;
}

static void no_proc_by_default(void **state)
{
    test_fixture fixture;
    (void)state;
    need_root();
    begin(&fixture, "unix_path");
    check_child(listen_without_proc, &fixture);
    fixture_end(&fixture);
}

/* --- Servers of another user. --- */

static int ready[2]; /* the server listens */

/* Serves as the guest until it is killed. */
static pid_t serve_as_guest(test_fixture *fixture)
{
    static const guise host = {GUEST, OTHERS, CLUB};
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        become(&host);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
            _exit(1);
        fixture_listen(fixture);
        if (write(ready[1], "x", 1) == 1)
            dari_server_run(fixture->server);
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    return pid;
}

static void end_of_guest(test_fixture *fixture, pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    fixture_serve(fixture); /* takes over and removes what is left */
    fixture_end(fixture);
}

static int connect_to(const test_fixture *fixture, uint32_t server_user, const char *words)
{
    dari_client *client = NULL;
    dari_call call = {0};
    const dari_client_options options = {.call = &call, .server_user = server_user};
    int error = dari_connect(fixture->address, &options, &client);
    if (error == 0)
        check_add(client);
    else
        assert_non_null(strstr(dari_call_message(&call), words));
    dari_client_close(client);
    dari_call_end(&call);
    return error;
}

static void servers_of_another_user(void **state)
{
    static const char words[] = "another user";
    (void)state;
    need_root();
    FOR_EACH_MANNER(it)
    {
        test_fixture fixture;
        bool anybody = strcmp(it->scheme, "unix_path") == 0;
        begin(&fixture, it->scheme);
        pid_t pid = serve_as_guest(&fixture);
        assert_int_equal(connect_to(&fixture, 0, words), anybody ? 0 : DARI_PERMISSION);
        assert_int_equal(connect_to(&fixture, STRANGER, words), DARI_PERMISSION);
        assert_int_equal(connect_to(&fixture, GUEST, words), 0);
        end_of_guest(&fixture, pid);
    }
}

/* A file of the client's that somebody puts in the place of what it makes, at once; or NULL. */
static const char *to_be_swapped;

int __real_mkfifo(const char *path, mode_t mode);
int __wrap_mkfifo(const char *path, mode_t mode);

int __wrap_mkfifo(const char *path, mode_t mode)
{
    int result = __real_mkfifo(path, mode);
    if (result == 0 && to_be_swapped && (unlink(path) < 0 || link(to_be_swapped, path) < 0))
        _exit(1);
    return result;
}

/* What somebody puts in the place of a FIFO between the opening of its ends; or NULL. */
static const char *to_be_swapped_later;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int __wrap_open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? (mode_t)va_arg(more, unsigned) : 0;
    va_end(more);
    size_t size = strlen(path);
    if (to_be_swapped_later && (flags & O_ACCMODE) == O_WRONLY && size > 2 &&
        strcmp(path + size - 2, ".s") == 0 &&
        (unlink(path) < 0 || link(to_be_swapped_later, path) < 0))
        _exit(1);
    return __real_open64(path, flags, mode);
}

/* Nor are calls written into another file than the FIFO that the client has made. */
static void a_file_in_the_place_of_one_end(void **state)
{
    char path[128];
    struct stat status;
    (void)state;
    need_root();
    test_fixture fixture;
    begin(&fixture, "fifo");
    pid_t pid = serve_as_guest(&fixture);
    snprintf(path, sizeof path, "%s/secret", fixture.directory);
    assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
    to_be_swapped_later = path;
    assert_int_equal(connect_to(&fixture, GUEST, "no FIFOs can be made"), DARI_PERMISSION);
    to_be_swapped_later = NULL;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 0);
    assert_int_equal(unlink(path), 0);
    end_of_guest(&fixture, pid);
}

/* Who can write to the directory has no file opened to him by that. */
static void a_file_in_the_place_of_a_fifo(void **state)
{
    char path[128];
    struct stat status;
    (void)state;
    need_root();
    for (int is_fifo = 0; is_fifo < 2; is_fifo++) {
        test_fixture fixture;
        begin(&fixture, "fifo");
        pid_t pid = serve_as_guest(&fixture);
        snprintf(path, sizeof path, "%s/secret", fixture.directory);
        assert_int_equal(is_fifo ? __real_mkfifo(path, 0600) : mknod(path, S_IFREG | 0600, 0), 0);
        to_be_swapped = path;
        assert_int_equal(connect_to(&fixture, GUEST, "no FIFOs can be made"), DARI_PERMISSION);
        /* Nor where the name is the server's. */
        dari_server *server = NULL;
        const dari_server_options options = {.access = {.all = true}};
        char address[160];
        snprintf(address, sizeof address, "fifo:%s/open", fixture.directory);
        assert_int_equal(dari_server_create(&options, &server), 0);
        assert_int_equal(dari_server_listen(server, address), DARI_PERMISSION);
        dari_server_destroy(server);
        to_be_swapped = NULL;
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_uid, 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(unlink(path), 0);
        end_of_guest(&fixture, pid);
    }
}

/* The child enters a namespace that knows one user and one group, which have the number `inside`
 * there and are GUEST and CLUB outside. Returns whether it may. */
static bool enter_namespace(unsigned inside, int told_by_parent, int tell_parent)
{
    char byte = 0;
    if (unshare(CLONE_NEWUSER) < 0)
        return false;
    return write(tell_parent, &byte, 1) == 1 && read(told_by_parent, &byte, 1) == 1 &&
           setgroups(0, NULL) == 0 && setresgid(inside, inside, inside) == 0 &&
           setresuid(inside, inside, inside) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
}

static void write_map(pid_t pid, const char *name, unsigned inside, unsigned outside)
{
    char path[64], map[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int length = snprintf(map, sizeof map, "%u %u 1\n", inside, outside);
    int file = open(path, O_WRONLY);
    assert_true(file >= 0);
    assert_int_equal(write(file, map, (size_t)length), length);
    close(file);
}

/* Runs `run` in a child in such a namespace; `signal_end` is for it to write to. Returns the child,
 * or -1 where there are no namespaces. */
static pid_t start_in_namespace(void (*run)(const test_fixture *fixture, int signal_end),
                                const test_fixture *fixture, unsigned inside, int *ret_ready)
{
    int to_child[2], from_child[2];
    char byte = 0;
    assert_int_equal(pipe2(to_child, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from_child, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(from_child[0]);
        if (enter_namespace(inside, to_child[0], from_child[1]))
            run(fixture, from_child[1]);
        _exit(125);
    }
    close(from_child[1]);
    bool may = read(from_child[0], &byte, 1) == 1;
    if (may) {
        write_map(pid, "uid_map", inside, GUEST);
        write_map(pid, "gid_map", inside, CLUB);
        assert_int_equal(write(to_child[1], &byte, 1), 1);
    } else {
        waitpid(pid, NULL, 0);
    }
    close(to_child[0]);
    close(to_child[1]);
    *ret_ready = from_child[0];
    return may ? pid : -1;
}

static void connect_there(const test_fixture *fixture, int signal_end)
{
    dari_client *client = NULL;
    (void)signal_end;
    int error = dari_connect(fixture->address, NULL, &client);
    dari_client_close(client);
    _exit(-error);
}

/* Of a user whom the namespace does not know, the kernel says that he is nobody: who is that there
 * does not take a server for his own. */
static void a_server_of_an_unknown_user(void **state)
{
    static const char *const addressed[] = {"unix_abstract", "shm", "fifo", "mq"};
    (void)state;
    need_root();
    for (size_t i = 0; i < sizeof addressed / sizeof *addressed; i++) {
        test_fixture fixture;
        int status, signal_end;
        begin(&fixture, addressed[i]);
        fixture.options.access.all = true;
        fixture_serve(&fixture);
        pid_t pid = start_in_namespace(connect_there, &fixture, NOBODY, &signal_end);
        close(signal_end);
        if (pid > 0) {
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFEXITED(status));
            assert_int_equal(-WEXITSTATUS(status), DARI_PERMISSION);
        }
        fixture_end(&fixture);
        if (pid < 0)
            skip();
    }
}

/* Whom the namespace knows is himself, whoever else is unknown. */
static void a_server_of_a_known_user(void **state)
{
    test_fixture fixture;
    int status, signal_end;
    (void)state;
    need_root();
    begin(&fixture, "unix_abstract");
    pid_t server = serve_as_guest(&fixture);
    pid_t pid = start_in_namespace(connect_there, &fixture, STRANGER, &signal_end);
    close(signal_end);
    if (pid > 0) {
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    end_of_guest(&fixture, server);
    if (pid < 0)
        skip();
}

static void serve_there(const test_fixture *fixture, int signal_end)
{
    dari_server *server = NULL;
    const uint32_t users[] = {NOBODY};
    char group[16];
    snprintf(group, sizeof group, "%u", (unsigned)NOBODY);
    const dari_server_options options = {
        .access = {.users = users, .user_count = 1, .group = group}};
    if (dari_server_create(&options, &server) == 0 &&
        dari_server_listen(server, fixture->address) == 0 && write(signal_end, "", 1) == 1)
        dari_server_run(server);
}

/* The same of a client: that he is not the server's own user, nor one, nor in a group, that is
 * named. */
static void a_client_of_an_unknown_user(void **state)
{
    test_fixture fixture;
    char byte;
    int signal_end;
    (void)state;
    need_root();
    begin(&fixture, "unix_abstract");
    pid_t pid = start_in_namespace(serve_there, &fixture, NOBODY, &signal_end);
    if (pid > 0) {
        assert_int_equal(read(signal_end, &byte, 1), 1);
        int error = call_as(&fixture, &stranger, GUEST);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(error, DARI_CLOSED);
    }
    close(signal_end);
    fixture_end(&fixture);
    if (pid < 0)
        skip();
}

/* A group brings together two users of whom neither is root; not over queues. */
static void servers_of_another_user_by_a_group(void **state)
{
    (void)state;
    need_root();
    FOR_EACH_MANNER(it)
    {
        test_fixture fixture;
        bool anybody = strcmp(it->scheme, "unix_path") == 0;
        bool never = strcmp(it->scheme, "mq") == 0;
        begin(&fixture, it->scheme);
        fixture.options.access.group = "4713";
        pid_t pid = serve_as_guest(&fixture);
        assert_int_equal(call_as(&fixture, &member, 0), anybody ? 0 : DARI_PERMISSION);
        assert_int_equal(call_as(&fixture, &member, GUEST), never ? DARI_PERMISSION : 0);
        assert_int_equal(call_as(&fixture, &stranger, GUEST),
                         it->has_mode ? DARI_PERMISSION : DARI_CLOSED);
        end_of_guest(&fixture, pid);
    }
}

/* A group that others stand beside is none that could keep them from what a client makes: who has
 * it in common with the server is refused as everybody is whom that cannot answer. */
static void a_server_for_all_that_cannot_answer(void **state)
{
    static const guise neighbour = {STRANGER, OTHERS, OTHERS}; /* of the server's own group */
    (void)state;
    need_root();
    test_fixture fixture;
    begin(&fixture, "fifo");
    fixture.options.access.all = true;
    pid_t pid = serve_as_guest(&fixture);
    assert_int_equal(call_as(&fixture, &neighbour, GUEST), DARI_PERMISSION);
    end_of_guest(&fixture, pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_else_by_default),
        cmocka_unit_test(a_group),
        cmocka_unit_test(some_users),
        cmocka_unit_test(a_group_and_users),
        cmocka_unit_test(everybody),
        cmocka_unit_test(a_member_of_many_groups),
        cmocka_unit_test(groups_that_are_not_there),
        cmocka_unit_test(options_that_are_not_valid),
        cmocka_unit_test(groups_that_are_somebody_elses),
        cmocka_unit_test(no_proc_by_default),
        cmocka_unit_test(servers_of_another_user),
        cmocka_unit_test(a_file_in_the_place_of_a_fifo),
        cmocka_unit_test(a_file_in_the_place_of_one_end),
        cmocka_unit_test(servers_of_another_user_by_a_group),
        cmocka_unit_test(a_server_for_all_that_cannot_answer),
        cmocka_unit_test(a_server_of_an_unknown_user),
        cmocka_unit_test(a_server_of_a_known_user),
        cmocka_unit_test(a_client_of_an_unknown_user),
    };
    use_queues_of_ones_own();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
