/* SPDX-License-Identifier: MIT */
/* A server of mq: that cannot accept for a while. Who comes to its inlet meanwhile waits there, and
 * nothing but the end of the pause may be what tells the server to look: the queue is empty. */
#include "fault/stage.h"
#include "support/queues.h"

#include "base/clock.h"
#include "loop/server.h"
#include "transport/mq_address.h"

#include <dari/server.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static test_scene *begin(const fault_plan *plan)
{
    test_scene *scene = set_stage(NULL, SERVER_LOOP, scheme_named("mq"), plan, false);
    fixture_listen(&scene->fixture);
    return scene;
}

/* A client that has made a call, which nobody has to be there for. */
static dari_client *come(test_scene *scene)
{
    dari_client *client = fixture_connect(&scene->fixture, NULL);
    assert_int_equal(nothing_1_oneway(client, NULL), 0);
    return client;
}

/* Turns of the server's loop until it would sleep, of which there are `most`, while the plan is in
 * force. Returns whether it struck. */
static bool rest(test_scene *scene, unsigned most)
{
    dari_server *server = scene->fixture.server;
    struct pollfd loop = {.fd = dari_server_descriptor(server), .events = POLLIN};
    unsigned turns = 0, calls;
    fault_begin(scene->plan);
    while ((dari_server_timeout_ns(server) == 0 || poll(&loop, 1, 0) > 0) && turns <= most) {
        check(scene, dari_server_dispatch(server) >= 0, "a turn of the loop fails");
        turns++;
    }
    bool struck = fault_end(&calls) > 0;
    assert_in_range(turns, 1, most);
    return struck;
}

/* What the loop does by itself until the calls have run. */
static void await_entered(test_scene *scene, unsigned count)
{
    dari_server *server = scene->fixture.server;
    struct pollfd loop = {.fd = dari_server_descriptor(server), .events = POLLIN};
    uint64_t until = di_deadline_in(PATIENCE_NS);
    while (count_entered(scene) < count && di_now() < until) {
        uint64_t due = di_deadline_in(dari_server_timeout_ns(server));
        poll(&loop, 1, di_poll_timeout(due < until ? due : until));
        check(scene, dari_server_dispatch(server) >= 0, "a turn of the loop fails");
    }
    assert_int_equal(count_entered(scene), count);
}

/* What a client says first cannot be kept for want of memory: the server's loop sleeps before it
 * looks again, and the client is served once there is some. */
static void an_inlet_without_memory(void **state)
{
    enum { TURNS_MAX = 12 };
    static const fault_plan plan = {.call = FAULT_ALLOCATE, .count = UINT_MAX};
    (void)state;
    test_scene *scene = begin(&plan);
    dari_server *server = scene->fixture.server;
    /* The first of them uses up what the server has put by, and is closed. */
    dari_client *first = fixture_connect(&scene->fixture, NULL), *second = come(scene);
    assert_true(rest(scene, TURNS_MAX));
    assert_in_range(dari_server_timeout_ns(server), 1, DI_ACCEPT_PAUSE_NS);
    assert_int_equal(server->connections, 0);
    /* When the pause is over it is as before. */
    server->accept_again = di_now();
    assert_true(rest(scene, TURNS_MAX));
    assert_in_range(dari_server_timeout_ns(server), 1, DI_ACCEPT_PAUSE_NS);
    await_entered(scene, 1);
    dari_client_close(first);
    dari_client_close(second);
    clear_stage(scene);
}

/* A turn may take longer than the pause that begins in it. */
static void a_pause_that_is_over_at_once(void **state)
{
    static const fault_plan plans[] = {
        {.call = FAULT_FCNTL, .cause = ENOLCK, .count = 1},
        {.call = FAULT_STATUS, .cause = ENOMEM, .count = 1},
        {.call = FAULT_QUEUE_OPEN, .cause = EMFILE, .count = 1},
    };
    (void)state;
    fault_set_pause(0);
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        test_scene *scene = begin(&plans[i]);
        dari_client *client = come(scene);
        assert_true(rest(scene, UINT_MAX));
        await_entered(scene, 1);
        dari_client_close(client);
        clear_stage(scene);
    }
    fault_set_pause(DI_ACCEPT_PAUSE_NS);
}

/* More than a turn of the loop accepts. */
static void all_who_waited_are_accepted(void **state)
{
    enum { CLIENTS = 2 * DI_ACCEPTS_PER_TURN + 3 };
    static const fault_plan plan = {.call = FAULT_QUEUE_OPEN, .cause = EMFILE, .count = UINT_MAX};
    dari_client *clients[CLIENTS];
    (void)state;
    test_scene *scene = begin(&plan);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = come(scene);
        rest(scene, UINT_MAX);
    }
    assert_int_equal(scene->fixture.server->connections, 0);
    await_entered(scene, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++)
        dari_client_close(clients[i]);
    clear_stage(scene);
}

/* As many clients as there are names wait: the next one is told so, and may come once they have
 * been accepted. */
static void more_than_there_are_names(void **state)
{
    static const fault_plan plan = {.call = FAULT_QUEUE_OPEN, .cause = EMFILE, .count = UINT_MAX};
    dari_client *clients[DI_MQ_SLOTS], *another = NULL;
    (void)state;
    test_scene *scene = begin(&plan);
    for (size_t i = 0; i < DI_MQ_SLOTS; i++) {
        clients[i] = come(scene);
        rest(scene, UINT_MAX);
    }
    dari_call call = {0};
    const dari_client_options options = {.call = &call};
    assert_int_equal(dari_connect(scene->fixture.address, &options, &another), DARI_IN_USE);
    assert_non_null(strstr(dari_call_message(&call), "too many clients wait"));
    await_entered(scene, DI_MQ_SLOTS);
    another = come(scene);
    await_entered(scene, DI_MQ_SLOTS + 1);
    dari_client_close(another);
    for (size_t i = 0; i < DI_MQ_SLOTS; i++)
        dari_client_close(clients[i]);
    dari_call_end(&call);
    clear_stage(scene);
}

/* While those who waited at one inlet are taken, until there are as many connections as may be, one
 * of another inlet ends: the loop does not sleep with a place left. */
static void a_place_is_left_while_some_are_taken(void **state)
{
    static const fault_plan plan = {.call = FAULT_QUEUE_OPEN, .cause = EMFILE, .count = 0};
    enum { CLIENTS = 3 };
    dari_client *clients[CLIENTS], *leaver = NULL;
    char address[64];
    (void)state;
    test_scene *scene = begin(&plan);
    dari_server *server = scene->fixture.server;
    server->connections_max = 2;
    snprintf(address, sizeof address, "mq:inlet-other-%d", (int)getpid());
    assert_int_equal(dari_server_listen(server, address), 0);
    assert_int_equal(dari_connect(address, NULL, &leaver), 0);
    assert_int_equal(nothing_1_oneway(leaver, NULL), 0);
    rest(scene, UINT_MAX);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = come(scene);
        rest(scene, UINT_MAX);
    }
    assert_int_equal(count_entered(scene), 2);
    /* The end of a turn in which the newest connection has closed. */
    di_session_close(server, server->sessions);
    dari_client_close(leaver);
    di_server_update_accepting(server);
    rest(scene, UINT_MAX);
    assert_int_equal(count_entered(scene), 2 + CLIENTS - 1);
    for (size_t i = 0; i < CLIENTS; i++)
        dari_client_close(clients[i]);
    clear_stage(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inlet_without_memory),
        cmocka_unit_test(a_pause_that_is_over_at_once),
        cmocka_unit_test(all_who_waited_are_accepted),
        cmocka_unit_test(more_than_there_are_names),
        cmocka_unit_test(a_place_is_left_while_some_are_taken),
    };
    use_queues_of_ones_own();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
