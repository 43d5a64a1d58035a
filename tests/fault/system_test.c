/* SPDX-License-Identifier: MIT */
/* system [SCHEME]
 * Every system call of calls is cut short, interrupted, put off and failed in turn, at the client
 * and at the server, over every scheme or the one that is named. */
#include "fault/scenes.h"
#include "support/queues.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

/* Of a call that is made often, so many are struck one after the other; all where DARI_LONG is. */
#define STRUCK_MAX 4u
#define STRUCK_MAX_LONG 60u

typedef struct failure {
    enum fault_call call;
    enum fault_effect effect;
    int cause;
    unsigned count; /* in a row */
    bool harmless;  /* no caller may see it */
} failure;

static const failure failures[] = {
    {FAULT_SOCKET, FAULT_FAILS, EMFILE, 1, false},
    {FAULT_SOCKET, FAULT_FAILS, ENOBUFS, 1, false},
    {FAULT_CONNECT, FAULT_FAILS, EINTR, 1, false}, /* of tcp://, where it goes on by itself */
    {FAULT_CONNECT, FAULT_FAILS, ECONNREFUSED, 1, false},
    {FAULT_CONNECT, FAULT_FAILS, ECONNRESET, 1, false},
    {FAULT_CONNECT, FAULT_FAILS, ENETUNREACH, 1, false},
    {FAULT_CONNECT, FAULT_FAILS, EAGAIN, 1, false},
    {FAULT_CONNECT, FAULT_FAILS, EACCES, 1, false},
    {FAULT_ACCEPT, FAULT_FAILS, EINTR, 3, true},
    {FAULT_ACCEPT, FAULT_FAILS, EAGAIN, 1, true},
    {FAULT_ACCEPT, FAULT_FAILS, ECONNABORTED, 2, true},
    {FAULT_ACCEPT, FAULT_FAILS, EMFILE, 1, true},
    {FAULT_ACCEPT, FAULT_FAILS, ENOMEM, 1, true},
    {FAULT_BIND, FAULT_FAILS, EADDRINUSE, 1, false},
    {FAULT_BIND, FAULT_FAILS, EACCES, 1, false},
    {FAULT_LISTEN, FAULT_FAILS, EADDRINUSE, 1, false},
    {FAULT_EPOLL_CREATE, FAULT_FAILS, EMFILE, 1, false},
    {FAULT_EPOLL_CREATE, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_EPOLL_ADD, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_EPOLL_ADD, FAULT_FAILS, ENOSPC, 1, false},
    {FAULT_EPOLL_WAIT, FAULT_FAILS, EINTR, 3, true},
    {FAULT_EPOLL_WAIT, FAULT_NOTHING, 0, 3, true},
    {FAULT_POLL, FAULT_FAILS, EINTR, 3, true},
    {FAULT_POLL, FAULT_NOTHING, 0, 3, true},
    {FAULT_POLL, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_SEND, FAULT_SHORT, 0, 1000, true},
    {FAULT_SEND, FAULT_SHORT, 0, 1, true},
    {FAULT_SEND, FAULT_FAILS, EINTR, 3, true},
    {FAULT_SEND, FAULT_FAILS, EAGAIN, 1, true},
    {FAULT_SEND, FAULT_FAILS, EAGAIN, 3, true},
    {FAULT_SEND, FAULT_FAILS, EPIPE, 1, false},
    {FAULT_SEND, FAULT_FAILS, ECONNRESET, 1, false},
    {FAULT_SEND, FAULT_FAILS, ENOBUFS, 1, false},
    {FAULT_RECEIVE, FAULT_SHORT, 0, 1000, true},
    {FAULT_RECEIVE, FAULT_SHORT, 0, 1, true},
    {FAULT_RECEIVE, FAULT_FAILS, EINTR, 3, true},
    {FAULT_RECEIVE, FAULT_FAILS, EAGAIN, 1, true},
    {FAULT_RECEIVE, FAULT_FAILS, EAGAIN, 3, true},
    {FAULT_RECEIVE, FAULT_FAILS, ECONNRESET, 1, false},
    {FAULT_RECEIVE, FAULT_FAILS, ETIMEDOUT, 1, false},
    {FAULT_RECEIVE, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_EVENTFD, FAULT_FAILS, EMFILE, 1, false},
    {FAULT_EVENTFD, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_EVENTFD_WRITE, FAULT_DONE_BUT_FAILS, EAGAIN, 2, true},
    {FAULT_READ, FAULT_FAILS, EINTR, 2, true},
    {FAULT_READ, FAULT_FAILS, EAGAIN, 1, true},
    {FAULT_READ, FAULT_FAILS, EIO, 1, false},
    {FAULT_READ, FAULT_SHORT, 0, 1000, true},
    {FAULT_READ, FAULT_SHORT, 0, 1, true},
    {FAULT_RANDOM, FAULT_FAILS, EAGAIN, 1, true},
    {FAULT_RANDOM, FAULT_FAILS, ENOSYS, 1, true},
    {FAULT_FCNTL, FAULT_FAILS, ENOLCK, 1, false},
    {FAULT_GETSOCKOPT, FAULT_FAILS, ENOBUFS, 1, false},
    {FAULT_SETSOCKOPT, FAULT_FAILS, ENOBUFS, 1, false},
    {FAULT_GETPEERNAME, FAULT_FAILS, ENOTCONN, 1, true},
    {FAULT_GETSOCKNAME, FAULT_FAILS, ENOBUFS, 1, false},
    {FAULT_MAP, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_ADVISE, FAULT_FAILS, EINVAL, 2, true},
    {FAULT_QUEUE_OPEN, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_QUEUE_OPEN, FAULT_FAILS, ENOSYS, 1, false},
    {FAULT_QUEUE_LOOK, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_QUEUE_SEND, FAULT_FAILS, EINTR, 3, true},
    {FAULT_QUEUE_SEND, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_QUEUE_RECEIVE, FAULT_FAILS, EINTR, 3, true},
    {FAULT_QUEUE_RECEIVE, FAULT_FAILS, EAGAIN, 1, true},
    {FAULT_QUEUE_REMOVE, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_RECEIVE_MESSAGE, FAULT_SHORT, 0, 1000, true},
    {FAULT_RECEIVE_MESSAGE, FAULT_SHORT, 0, 1, true},
    {FAULT_RECEIVE_MESSAGE, FAULT_FAILS, EINTR, 3, true},
    {FAULT_RECEIVE_MESSAGE, FAULT_FAILS, EAGAIN, 1, true},
    {FAULT_RECEIVE_MESSAGE, FAULT_FAILS, EAGAIN, 3, true},
    {FAULT_RECEIVE_MESSAGE, FAULT_FAILS, ECONNRESET, 1, false},
    {FAULT_RECEIVE_MESSAGE, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_MEMORY_FILE, FAULT_FAILS, EINVAL, 1, true}, /* of a kernel before 6.3 */
    {FAULT_MEMORY_FILE, FAULT_FAILS, EINVAL, 2, false},
    {FAULT_MEMORY_FILE, FAULT_FAILS, EMFILE, 1, false},
    {FAULT_MEMORY_FILE, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_RESERVE, FAULT_FAILS, EINTR, 3, true},
    {FAULT_RESERVE, FAULT_FAILS, ENOSPC, 1, false},
    {FAULT_RESERVE, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_RESERVE, FAULT_FAILS, EOPNOTSUPP, 1, false},
    {FAULT_MAKE_FIFO, FAULT_FAILS, EACCES, 1, false},
    {FAULT_MAKE_FIFO, FAULT_FAILS, EEXIST, 1, false},
    {FAULT_MAKE_FIFO, FAULT_FAILS, ENOSPC, 1, false},
    {FAULT_PIPE_WRITE, FAULT_SHORT, 0, 1000, true},
    {FAULT_PIPE_WRITE, FAULT_SHORT, 0, 1, true},
    {FAULT_PIPE_WRITE, FAULT_FAILS, EINTR, 3, true},
    {FAULT_PIPE_WRITE, FAULT_FAILS, EAGAIN, 1, true},
    {FAULT_PIPE_WRITE, FAULT_FAILS, EAGAIN, 3, true},
    {FAULT_PIPE_WRITE, FAULT_FAILS, EPIPE, 1, false},
    {FAULT_PIPE_WRITE, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_NEW_WRITE, FAULT_FAILS, EOPNOTSUPP, 1, true},
    {FAULT_NEW_WRITE, FAULT_FAILS, EINVAL, 1, true},
    {FAULT_NEW_WRITE, FAULT_FAILS, ENOSYS, 1000, true},
    {FAULT_OPEN, FAULT_FAILS, EMFILE, 1, false},
    {FAULT_OPEN, FAULT_FAILS, ENFILE, 1, false},
    {FAULT_OPEN, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_OPEN, FAULT_FAILS, EINTR, 1, false},
    {FAULT_STATUS, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_MODE, FAULT_FAILS, EPERM, 1, false},
    {FAULT_MODE, FAULT_FAILS, ENOSPC, 1, false},
    {FAULT_PROCESS, FAULT_FAILS, EMFILE, 1, false},
    {FAULT_PROCESS, FAULT_FAILS, ENOMEM, 1, false},
    {FAULT_PROCESS, FAULT_FAILS, ENOSYS, 1, false},
    {FAULT_RESOLVE, FAULT_FAILS, EAI_AGAIN, 1, false},
    {FAULT_RESOLVE, FAULT_FAILS, EAI_MEMORY, 1, false},
    {FAULT_RESOLVE, FAULT_FAILS, EAI_SYSTEM, 1, false},
    {FAULT_THREAD, FAULT_FAILS, EAGAIN, 1, false},
    {FAULT_THREAD, FAULT_FAILS, EAGAIN, 10, false},
};
#define FAILURES (sizeof failures / sizeof *failures)

static const char *chosen; /* NULL: all */

static bool is_chosen(const char *scheme)
{
    return !chosen || strcmp(chosen, scheme) == 0;
}

static unsigned struck_max(void)
{
    return getenv("DARI_LONG") ? STRUCK_MAX_LONG : STRUCK_MAX;
}

static fault_plan plan_of(const failure *one)
{
    return (fault_plan){
        .call = one->call, .effect = one->effect, .cause = one->cause, .count = one->count};
}

/* Whether it can happen over the scheme. Sockets of shm: carry single bytes, and before them one
 * small message into an empty one: they are sent whole, and that there is no room for one more
 * means that the other side has not taken those before. And what cannot be asked for its seals is
 * no memory. */
static bool is_possible(const failure *one, const test_scheme *scheme)
{
    if (!scheme->meets)
        return true;
    return one->call != FAULT_FCNTL &&
           (one->call != FAULT_SEND || (one->effect != FAULT_SHORT && one->cause != EAGAIN));
}

/* A client's FIFOs have names by chance, and clients of a queue their numbers. */
static bool is_harmless(const failure *one, const test_scheme *scheme)
{
    return one->harmless && !(one->call == FAULT_RANDOM && (scheme->forgets || scheme->queue));
}

/* Plays the scene with every failure, as far as the scene has the call at all. */
static void fail_each(const scene_kind *kind, scene_server server, const test_scheme *scheme)
{
    unsigned struck = 0;
    for (const failure *at = failures; at < failures + FAILURES; at++) {
        fault_plan plan = plan_of(at);
        if (!is_possible(at, scheme))
            continue;
        while (plan.at < struck_max() &&
               scene_play(kind, server, scheme, &plan, is_harmless(at, scheme))) {
            plan.at++;
            struck++;
            if (plan.count > 10)
                break;
        }
    }
    assert_true(struck > 10);
}

/* Two kinds of server are enough for all schemes but the first one. */
static void fail_all(const scene_kind *kind)
{
    unsigned before = count_descriptors();
    for (unsigned i = 0; i < SCENE_SCHEMES; i++) {
        const test_scheme *scheme = scheme_named(scene_schemes[i]);
        if (!is_chosen(scheme->name))
            continue;
        for (scene_server server = 0; server < SCENE_SERVERS; server++)
            if (kind->servers & 1u << server &&
                (i == 0 || server == SERVER_LOOP || server == SERVER_ONE_LOOP))
                fail_each(kind, server, scheme);
    }
    assert_int_equal(count_descriptors(), before);
}

static void calls(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_CALLS]);
}

static void a_large_call(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_LARGE]);
}

static void calls_in_flight(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_FLIGHT]);
}

static void calls_one_way(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_ONE_WAY]);
}

static void calls_that_can_be_cancelled(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_CANCEL]);
}

static void a_shared_client(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_SHARED]);
}

static void connecting(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_CONNECT]);
}

static void calls_both_ways(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_BOTH_WAYS]);
}

static void a_call_connects_again(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_LOST_CALL]);
}

static void calls_are_kept(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_LOST_FLIGHT]);
}

static void calls_are_repeated(void **state)
{
    (void)state;
    fail_all(&scene_kinds[SCENE_LOST_REPEAT]);
}

static void a_server_that_starts(void **state)
{
    (void)state;
    unsigned before = count_descriptors();
    for (unsigned i = 0; i < START_SCHEMES; i++) {
        if (!is_chosen(scene_schemes[i]))
            continue;
        for (const failure *at = failures; at < failures + FAILURES; at++) {
            fault_plan plan = plan_of(at);
            while (scene_start_server(3, scheme_named(scene_schemes[i]), &plan, at->harmless))
                plan.at++;
        }
    }
    assert_int_equal(count_descriptors(), before);
}

int main(int argc, char **argv)
{
    chosen = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls),
        cmocka_unit_test(a_large_call),
        cmocka_unit_test(calls_in_flight),
        cmocka_unit_test(calls_one_way),
        cmocka_unit_test(calls_that_can_be_cancelled),
        cmocka_unit_test(a_shared_client),
        cmocka_unit_test(connecting),
        cmocka_unit_test(calls_both_ways),
        cmocka_unit_test(a_call_connects_again),
        cmocka_unit_test(calls_are_kept),
        cmocka_unit_test(calls_are_repeated),
        cmocka_unit_test(a_server_that_starts),
    };
    use_queues_of_ones_own();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
