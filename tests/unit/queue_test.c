/* SPDX-License-Identifier: MIT */
/* Queues, their owners and their limits. */
#include "ipc/queue.h"

#include "support/child.h"

#include <dari/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const di_queue_shape small = {.messages = 2, .bytes = 64, .note = 7};

typedef struct queue_state {
    char name[64];
} queue_state;

static int begin(void **state)
{
    static int number;
    queue_state *self = calloc(1, sizeof *self);
    assert_non_null(self);
    snprintf(self->name, sizeof self->name, "/dari-queue-test-%d-%d", getpid(), ++number);
    *state = self;
    return 0;
}

static int end(void **state)
{
    queue_state *self = *state;
    mq_unlink(self->name);
    free(self);
    return 0;
}

static di_queue create(const char *name)
{
    di_queue queue = {0};
    di_queue_failure failure = {0};
    assert_int_equal(di_queue_create(name, &small, false, &queue, &failure), 0);
    return queue;
}

/* Runs `child` in a process of its own, which stays until it is killed, once it has begun. */
static pid_t start(int (*child)(const queue_state *), const queue_state *self)
{
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        byte = (char)child(self);
        if (write(told[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(byte, 0);
    close(told[0]);
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Runs `child`, whose limits and user are its own; it returns 0 or the line that failed. */
static void check_child(int (*child)(const queue_state *), const queue_state *self)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_exit(child(self) & 0xff);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child failed: status %#x, line %d", (unsigned)status, WEXITSTATUS(status));
}

static void messages_go_by_priority_then_age(void **state)
{
    queue_state *self = *state;
    di_queue queue = create(self->name), other;
    di_queue_failure failure;
    char bytes[64];
    size_t size = 0;
    assert_int_equal(di_queue_open(self->name, O_WRONLY, &other, &failure), 0);
    assert_int_equal(other.inode, queue.inode);
    assert_int_equal(other.uid, geteuid());
    assert_int_equal(other.messages, 2);
    assert_int_equal(other.bytes, 64);
    struct pollfd watched = {.fd = queue.descriptor, .events = POLLIN | POLLOUT};
    assert_int_equal(di_queue_receive(&queue, bytes, &size), 0);
    assert_int_equal(poll(&watched, 1, 0), 1);
    assert_int_equal(watched.revents, POLLOUT);
    assert_int_equal(di_queue_send(&other, "low", 3, 0), 1);
    assert_int_equal(di_queue_send(&other, "high", 4, DI_QUEUE_PRIORITY_MAX), 1);
    assert_int_equal(di_queue_send(&other, "more", 4, 0), 0);
    assert_int_equal(di_queue_count(&other), 2);
    assert_int_equal(poll(&watched, 1, 0), 1);
    assert_int_equal(watched.revents, POLLIN);
    assert_int_equal(di_queue_receive(&queue, bytes, &size), 1);
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "high", 4);
    assert_int_equal(di_queue_receive(&queue, bytes, &size), 1);
    assert_int_equal(size, 3);
    char large[65] = {0};
    assert_int_equal(di_queue_send(&other, large, sizeof large, 0), DARI_ERRNO);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(di_queue_receive(&other, large, &size), DARI_ERRNO);
    assert_int_equal(errno, EBADF);
    di_queue_close(&other);
    di_queue_close(&other);
    di_queue_close(&queue);
}

static void the_mode_is_what_is_asked_for(void **state)
{
    queue_state *self = *state;
    di_queue queue;
    di_queue_failure failure;
    struct stat status;
    mode_t mask = umask(0077);
    assert_int_equal(di_queue_create(self->name, &small, false, &queue, &failure), 0);
    assert_int_equal(fstat(queue.descriptor, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(di_queue_share(&queue, getegid(), 0622, &failure), 0);
    umask(mask);
    assert_int_equal(fstat(queue.descriptor, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0622);
    assert_int_equal(status.st_gid, getegid());
    di_queue_close(&queue);
    umask(0777);
    assert_int_equal(di_queue_create(self->name, &small, false, &queue, &failure), 0);
    umask(mask);
    assert_int_equal(fstat(queue.descriptor, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    di_queue_close(&queue);
}

static int create_and_stay(const queue_state *self)
{
    di_queue queue;
    di_queue_failure failure;
    return di_queue_create(self->name, &small, false, &queue, &failure);
}

static int create_and_await(const queue_state *self)
{
    di_queue queue;
    di_queue_failure failure;
    int error = di_queue_create(self->name, &small, false, &queue, &failure);
    return error < 0 ? error : di_queue_await(&queue);
}

static void a_living_owner_is_known_and_left_alone(void **state)
{
    queue_state *self = *state;
    di_queue queue, other;
    di_queue_failure failure = {0};
    uint8_t note = 0;
    pid_t pid = start(create_and_stay, self);
    assert_int_equal(di_queue_create(self->name, &small, true, &other, &failure), DARI_IN_USE);
    assert_non_null(strstr(failure.words, "living owner"));
    assert_int_equal(di_queue_reclaim(self->name, true, &failure), DARI_IN_USE);
    assert_int_equal(di_queue_open(self->name, O_RDWR, &queue, &failure), 0);
    assert_int_equal(di_queue_owner(&queue, &note), pid);
    assert_int_equal(note, 7);
    stop(pid);
    assert_int_equal(di_queue_owner(&queue, &note), 0);
    /* What a dead owner has left is replaced, by a queue of its own. */
    other = create(self->name);
    assert_true(other.inode != queue.inode);
    assert_int_equal(di_queue_owner(&queue, &note), 0);
    assert_false(di_queue_is_named(&queue));
    assert_true(di_queue_is_named(&other));
    di_queue_close(&queue);
    /* In one process too, an owner is an owner. */
    assert_int_equal(di_queue_create(self->name, &small, true, &queue, &failure), DARI_IN_USE);
    di_queue_close(&other);
}

/* Whoever has inherited it owns it no longer either. */
static void an_owner_gives_up_what_its_child_has(void **state)
{
    queue_state *self = *state;
    di_queue owner = create(self->name), other;
    di_queue_failure failure;
    uint8_t note;
    int hold[2];
    char byte;
    assert_int_equal(di_queue_open(self->name, O_RDWR, &other, &failure), 0);
    assert_int_equal(pipe(hold), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(hold[1]);
        _exit((int)read(hold[0], &byte, 1));
    }
    assert_int_equal(di_queue_owner(&other, &note), getpid());
    di_queue_disown(&owner);
    assert_int_equal(di_queue_owner(&other, &note), 0);
    di_queue_close(&owner);
    di_queue_close(&other);
    close(hold[0]);
    close(hold[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_name_that_waits_outlives_its_owner(void **state)
{
    queue_state *self = *state;
    di_queue queue;
    di_queue_failure failure;
    stop(start(create_and_await, self));
    assert_int_equal(di_queue_create(self->name, &small, false, &queue, &failure), DARI_IN_USE);
    assert_int_equal(di_queue_reclaim(self->name, false, &failure), DARI_IN_USE);
    assert_int_equal(di_queue_reclaim(self->name, true, &failure), 0);
    assert_int_equal(di_queue_reclaim(self->name, true, &failure), 0);
    assert_int_equal(di_queue_open(self->name, O_RDWR, &queue, &failure), DARI_REFUSED);
}

static void one_has_the_right_to_remove_a_name(void **state)
{
    queue_state *self = *state;
    di_queue owner = create(self->name), other;
    di_queue_failure failure;
    assert_int_equal(di_queue_open(self->name, O_RDWR, &other, &failure), 0);
    assert_false(di_queue_is_claimed(&owner));
    assert_int_equal(1, di_queue_remove_name(&other, self->name));
    assert_true(di_queue_is_claimed(&owner));
    /* Somebody else's queue of the name is not removed. */
    di_queue next = create(self->name);
    assert_int_equal(0, di_queue_remove_name(&owner, self->name));
    di_queue_close(&other);
    assert_false(di_queue_is_claimed(&owner));
    assert_int_equal(0, di_queue_remove_name(&owner, self->name));
    assert_true(di_queue_is_named(&next));
    assert_int_equal(1, di_queue_remove_name(&next, self->name));
    di_queue_close(&owner);
    di_queue_close(&next);
}

/* Who may but write to a queue can neither mark it for another process nor claim its name. */
static void a_writer_locks_nothing_of_a_living_owner(void **state)
{
    queue_state *self = *state;
    di_queue queue, other;
    di_queue_failure failure;
    uint8_t note = 0;
    assert_int_equal(di_queue_create(self->name, &small, false, &queue, &failure), 0);
    assert_int_equal(di_queue_share(&queue, (gid_t)-1, 0622, &failure), 0);
    assert_int_equal(di_queue_open(self->name, O_WRONLY, &other, &failure), 0);
    const off_t mark = 16 + ((off_t)7 << 22) + getpid();
    const off_t places[] = {0, 1, 16, 17, mark - 1, mark, mark + 1, ((off_t)1 << 30) + 15};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct flock one = {.l_type = F_WRLCK, .l_start = places[i], .l_len = 1};
        assert_int_equal(fcntl(other.descriptor, F_OFD_SETLK, &one), -1);
        assert_int_equal(errno, EAGAIN);
        one.l_type = F_RDLCK;
        assert_int_equal(fcntl(other.descriptor, F_OFD_SETLK, &one), -1);
        assert_int_equal(errno, EBADF);
    }
    assert_int_equal(di_queue_owner(&other, &note), getpid());
    assert_int_equal(note, 7);
    assert_int_equal(1, di_queue_remove_name(&queue, self->name));
    di_queue_close(&other);
    di_queue_close(&queue);
}

#define CHECK(condition)     \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

static bool names(const di_queue_failure *failure, const char *word)
{
    return failure->words && strstr(failure->words, word);
}

/* Root has no limits. */
static bool become_nobody(void)
{
    return geteuid() != 0 || (setegid(65534) == 0 && seteuid(65534) == 0);
}

/* So that the child may write down what it has run. */
static bool become_oneself(void)
{
    return seteuid(getuid()) == 0 && setegid(getgid()) == 0;
}

static int exceed_limits(const queue_state *self)
{
    di_queue queue;
    di_queue_failure failure;
    struct rlimit all, none;
    CHECK(become_nobody());
    di_queue_shape shape = {.messages = 100000, .bytes = 64};
    CHECK(di_queue_create(self->name, &shape, false, &queue, &failure) == DARI_LIMIT);
    CHECK(names(&failure, "fs.mqueue.msg_max") && failure.found == 100000 && failure.allowed > 0);
    shape = (di_queue_shape){.messages = 1, .bytes = 17 << 20};
    CHECK(di_queue_create(self->name, &shape, false, &queue, &failure) == DARI_LIMIT);
    CHECK(names(&failure, "fs.mqueue.msgsize_max") && failure.found == 17 << 20);
    CHECK(getrlimit(RLIMIT_MSGQUEUE, &all) == 0);
    none = (struct rlimit){0, all.rlim_max};
    CHECK(setrlimit(RLIMIT_MSGQUEUE, &none) == 0);
    CHECK(di_queue_create(self->name, &small, false, &queue, &failure) == DARI_LIMIT);
    CHECK(names(&failure, "RLIMIT_MSGQUEUE") && names(&failure, "ulimit -q"));
    /* The same errno, when there are no descriptors. */
    CHECK(getrlimit(RLIMIT_NOFILE, &all) == 0);
    none = (struct rlimit){0, all.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(di_queue_create(self->name, &small, false, &queue, &failure) == DARI_ERRNO);
    CHECK(failure.cause == EMFILE && !failure.words);
    CHECK(setrlimit(RLIMIT_NOFILE, &all) == 0 && become_oneself());
    return 0;
}

/* A queue takes one, and what the dead have left is replaced with one. */
static int create_with_the_last_descriptor(const queue_state *self)
{
    di_queue queue;
    di_queue_failure failure;
    int last = -1;
    struct rlimit all, few;
    CHECK(getrlimit(RLIMIT_NOFILE, &all) == 0);
    few = (struct rlimit){50, all.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (int descriptor; (descriptor = dup(0)) >= 0;)
        last = descriptor;
    CHECK(last >= 0 && close(last) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(di_queue_create(self->name, &small, false, &queue, &failure) == 0);
        di_queue_close(&queue);
    }
    CHECK(di_queue_reclaim(self->name, true, &failure) == 0);
    CHECK(di_queue_open(self->name, O_RDWR, &queue, &failure) == DARI_REFUSED);
    CHECK(setrlimit(RLIMIT_NOFILE, &all) == 0);
    return 0;
}

static void one_descriptor_is_enough(void **state)
{
    check_child(create_with_the_last_descriptor, *state);
}

static void limits_are_named(void **state)
{
    check_child(exceed_limits, *state);
}

static int take_from_another_user(const queue_state *self)
{
    di_queue queue;
    di_queue_failure failure;
    CHECK(become_nobody());
    CHECK(di_queue_open(self->name, O_WRONLY, &queue, &failure) == DARI_PERMISSION);
    CHECK(names(&failure, "another user"));
    CHECK(di_queue_create(self->name, &small, true, &queue, &failure) == DARI_PERMISSION);
    CHECK(become_oneself());
    return 0;
}

static void another_user_is_refused(void **state)
{
    queue_state *self = *state;
    if (geteuid() != 0)
        skip();
    di_queue queue = create(self->name);
    check_child(take_from_another_user, self);
    di_queue_close(&queue);
    check_child(take_from_another_user, self);
}

/* A lock that cannot be seen or taken is no lock that is not there. */
static void locks_that_fail_are_errors(void **state)
{
    (void)state;
    const di_queue none = {.descriptor = -1};
    di_queue_failure failure = {0};
    uint8_t note = 0;
    assert_int_equal(di_queue_owner(&none, &note), DARI_ERRNO);
    assert_int_equal(di_queue_is_claimed(&none), DARI_ERRNO);
    assert_int_equal(di_queue_has_seal(&none, 1), DARI_ERRNO);
    assert_int_equal(di_queue_seal(&none, 1), DARI_ERRNO);
    assert_int_equal(di_queue_remove_name(&none, "/none"), DARI_ERRNO);
    assert_int_equal(di_queue_share(&none, (gid_t)-1, 0622, &failure), DARI_ERRNO);
    assert_string_equal(failure.words, "the queue cannot be locked");
    assert_int_equal(failure.cause, EBADF);
}

static void what_is_no_queue_says_why(void **state)
{
    queue_state *self = *state;
    const di_queue_shape empty = {.messages = 0, .bytes = 64};
    char longest[DI_QUEUE_NAME_MAX + 3] = "/";
    di_queue queue;
    di_queue_failure failure = {0};
    memset(longest + 1, 'x', sizeof longest - 2);
    assert_int_equal(di_queue_create(self->name, &empty, false, &queue, &failure), DARI_ERRNO);
    assert_string_equal(failure.words, "the system makes no queue of this size");
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(di_queue_open(longest, O_RDONLY, &queue, &failure), DARI_ERRNO);
    assert_int_equal(failure.cause, ENAMETOOLONG);
}

static di_queue shared_queue;

/* Neither who owns a queue of his own nor who has got another's by inheritance gives away more than
 * is his. */
static int share_what_is_not_ones_own(const queue_state *self)
{
    di_queue queue;
    di_queue_failure failure;
    char name[80];
    CHECK(become_nobody());
    CHECK(di_queue_share(&shared_queue, (gid_t)-1, 0622, &failure) == DARI_PERMISSION);
    CHECK(names(&failure, "cannot be opened to others"));
    CHECK(di_queue_await(&shared_queue) == DARI_ERRNO);
    CHECK(di_queue_reclaim(self->name, true, &failure) == DARI_PERMISSION);
    snprintf(name, sizeof name, "%s-own", self->name);
    CHECK(di_queue_create(name, &small, true, &queue, &failure) == 0);
    CHECK(di_queue_share(&queue, 0, 0622, &failure) == DARI_PERMISSION);
    CHECK(names(&failure, "cannot be given to the group"));
    CHECK(di_queue_remove_name(&queue, name) == 1);
    di_queue_close(&queue);
    CHECK(become_oneself());
    return 0;
}

static void others_queues_are_not_shared(void **state)
{
    queue_state *self = *state;
    if (geteuid() != 0)
        skip();
    shared_queue = create(self->name);
    check_child(share_what_is_not_ones_own, self);
    di_queue_close(&shared_queue);
}

/* Who may lock what a dead owner has left, and is not its user, cannot remove its name. */
static int reclaim_anothers(const queue_state *self)
{
    di_queue_failure failure;
    CHECK(become_nobody());
    CHECK(di_queue_reclaim(self->name, true, &failure) == DARI_PERMISSION);
    CHECK(names(&failure, "another user"));
    CHECK(become_oneself());
    return 0;
}

static void anothers_name_is_not_reclaimed(void **state)
{
    queue_state *self = *state;
    di_queue_failure failure;
    if (geteuid() != 0)
        skip();
    di_queue queue = create(self->name), other;
    assert_int_equal(di_queue_share(&queue, (gid_t)-1, 0666, &failure), 0);
    assert_int_equal(di_queue_open(self->name, O_RDWR, &other, &failure), 0);
    assert_int_equal(di_queue_share(&other, (gid_t)-1, 0666, &failure), DARI_IN_USE);
    assert_string_equal(failure.words, "somebody else has the right to the queue's name");
    di_queue_close(&other);
    di_queue_close(&queue);
    check_child(reclaim_anothers, self);
    assert_int_equal(di_queue_reclaim(self->name, true, &failure), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(messages_go_by_priority_then_age),
        CASE(the_mode_is_what_is_asked_for),
        CASE(a_living_owner_is_known_and_left_alone),
        CASE(an_owner_gives_up_what_its_child_has),
        CASE(a_name_that_waits_outlives_its_owner),
        CASE(one_has_the_right_to_remove_a_name),
        CASE(a_writer_locks_nothing_of_a_living_owner),
        CASE(one_descriptor_is_enough),
        CASE(limits_are_named),
        CASE(another_user_is_refused),
        CASE(locks_that_fail_are_errors),
        CASE(what_is_no_queue_says_why),
        CASE(others_queues_are_not_shared),
        CASE(anothers_name_is_not_reclaimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
