/* SPDX-License-Identifier: MIT */
#include "fault/scenes.h"

#include "fault/scene_calls.h"
#include "loop/client.h"
#include "loop/server.h"

#include <dari/server.h>

#include <errno.h>
#include <sched.h>

/* More wrapped calls than this, where one has failed, are a loop that spins. */
#define CALLS_MAX 3000u

/* Over before a scene has waited for it. */
#define SHORT_PAUSE_NS (3 * DARI_MS)

const char *const scene_schemes[START_SCHEMES] = {"unix_abstract", "tcp4", "shm",
                                                  "fifo",          "mq",   "unix_path"};

#define IN(server) (1u << (server))
#define IN_THREADS (IN(SERVER_LOOP) | IN(SERVER_WORKERS) | IN(SERVER_LATER))

const scene_kind scene_kinds[SCENES] = {
    [SCENE_CALLS] = {.name = "calls", .run = scene_calls, .servers = IN_THREADS},
    [SCENE_LARGE] = {.name = "large call",
                     .run = scene_large,
                     .servers = IN(SERVER_LOOP) | IN(SERVER_WORKERS)},
    [SCENE_FLIGHT] = {.name = "flight",
                      .run = scene_flight,
                      .servers = IN_THREADS | IN(SERVER_ONE_LOOP)},
    [SCENE_ONE_WAY] = {.name = "one way",
                       .run = scene_one_way,
                       .servers = IN_THREADS,
                       .loses = true},
    [SCENE_CANCEL] = {.name = "cancel", .run = scene_cancel, .servers = IN_THREADS, .loses = true},
    [SCENE_SHARED] = {.name = "shared client", .run = scene_shared, .servers = IN_THREADS},
    [SCENE_CONNECT] = {.name = "connect",
                       .run = scene_connect,
                       .servers = IN(SERVER_LOOP) | IN(SERVER_WORKERS),
                       .connects = true},
    [SCENE_LOANS] = {.name = "loans",
                     .run = scene_loans,
                     .servers = IN(SERVER_LOOP) | IN(SERVER_WORKERS) | IN(SERVER_LATER),
                     .connects = true},
    [SCENE_BOTH_WAYS] = {.name = "both ways",
                         .run = scene_both_ways,
                         .servers = IN(SERVER_LOOP) | IN(SERVER_WORKERS)},
    [SCENE_LOST_CALL] = {.name = "lost call",
                         .run = scene_lost_call,
                         .servers = IN_THREADS,
                         .reconnects = true},
    [SCENE_LOST_FLIGHT] = {.name = "lost flight",
                           .run = scene_lost_flight,
                           .servers = IN_THREADS,
                           .reconnects = true},
    [SCENE_LOST_REPEAT] = {.name = "lost repeat",
                           .run = scene_lost_repeat,
                           .servers = IN_THREADS,
                           .loses = true,
                           .reconnects = true},
};

/* A raw call, and what is answered. */
static void raw_exchange(di_connection *peer, uint32_t procedure, uint32_t status)
{
    uint8_t message[64];
    uint8_t *at = raw_call(message, 1, ECHO, ECHO_V1, procedure);
    dari_put_u32(at, 2);
    dari_put_u32(at + 4, 3);
    raw_send_record(peer, message, (size_t)(at + 8 - message));
    assert_true(raw_read_record(peer, message, sizeof message) >= 24);
    assert_int_equal(dari_get_u32(message + 20), status);
}

/* The server has made its first turn, and no call has come to a handler: what a call needs is not
 * there yet. */
static di_connection *raise_server(test_scene *scene)
{
    fixture_listen(&scene->fixture);
    if (scene->server == SERVER_ONE_LOOP)
        return NULL;
    fixture_start(&scene->fixture);
    di_connection *other = raw_connect(&scene->fixture);
    raw_exchange(other, 77, 3);
    return other;
}

/* Connections that a call after the failure may yet find lost: one that was lost meanwhile, and one
 * that the handler has still to cut. */
#define LOST_AFTER 2

/* A client that reconnects is answered in the end. */
static void check_comes_back(test_scene *scene)
{
    int32_t sum = 0;
    int error = DARI_CLOSED;
    for (int i = 0; i <= LOST_AFTER && error == DARI_CLOSED; i++)
        error = add_1(scene->client, &(pair){2, 3}, &sum, NULL);
    check(scene, error == 0 && sum == 5, "the client fails for good with %s",
          dari_error_name(error));
    check(scene, scene->client->pending.count == 0, "a call is still waited for");
    check(scene, scene->client->engaged == 0, "a thread never left the connection");
    check(scene, scene->client->reconnect.waiting == 0, "a thread waits for a connection");
}

/* The thread of an attempt ends by itself: what it holds is to be gone when descriptors are
 * counted.
 */
static void await_attempt(dari_client *client)
{
    bool is_there;
    do {
        sched_yield();
        pthread_mutex_lock(&client->lock);
        is_there = client->reconnect.attempt != NULL;
        pthread_mutex_unlock(&client->lock);
    } while (is_there);
}

/* The client goes on, or its connection has ended; a new one works. `struck`: something has failed,
 * perhaps only after the scene, in the loop of a client that serves. */
static void check_clients(test_scene *scene, bool struck)
{
    int32_t sum = 0;
    if (scene->client && scene->server != SERVER_ONE_LOOP) {
        int error = add_1(scene->client, &(pair){2, 3}, &sum, NULL);
        /* An error of sending ends the connection, though the rest may yet go through. */
        bool may_fail = scene->failed || scene->kind->loses || scene->kind->connects ||
                        scene->plan->call != FAULT_ALLOCATE || (scene->home && struck);
        check(scene, error == 0 || (may_fail && !scene->harmless && is_fitting(error)),
              "the call after it fails with %s", dari_error_name(error));
    }
    if (scene->kind->reconnects)
        check_comes_back(scene);
    if (!scene->fixture.running)
        fixture_start(&scene->fixture);
    dari_client *fresh = fixture_connect(&scene->fixture, NULL);
    int error = add_1(fresh, &(pair){2, 3}, &sum, NULL);
    check(scene, error == 0 && sum == 5, "a new client fails with %s", dari_error_name(error));
    dari_client_close(fresh);
}

/* Whether it would be no failure to anybody, but is one to this scene: where a connection that is
 * lost is said to have nothing to receive, the call is sent into it. */
static bool hides_the_loss(const scene_kind *kind, const fault_plan *plan)
{
    return kind->reconnects && plan->call == FAULT_RECEIVE && plan->cause == EAGAIN;
}

bool scene_play(const scene_kind *kind, scene_server server, const test_scheme *scheme,
                const fault_plan *plan, bool harmless)
{
    unsigned calls;
    test_scene *scene =
        set_stage(kind, server, scheme, plan, harmless && !hides_the_loss(kind, plan));
    if (kind->run == scene_both_ways)
        scene->fixture.handlers = &both_ways_handlers;
    di_connection *other = raise_server(scene);
    if (!kind->connects)
        scene->client = fixture_connect(&scene->fixture,
                                        &(dari_client_options){.deadline_ns = PATIENCE_NS,
                                                               .no_reconnect = !kind->reconnects,
                                                               .backoff_first_ns = DARI_MS,
                                                               .backoff_max_ns = 4 * DARI_MS});
    start_answerer(scene);
    if (kind->run == scene_shared)
        pthread_create(&scene->partner, NULL, scene_partner, scene);
    if (kind->run == scene_both_ways)
        begin_home(scene);
    fault_set_pause(server == SERVER_ONE_LOOP ? 0 : SHORT_PAUSE_NS);
    fault_begin(plan);
    kind->run(scene);
    unsigned struck = fault_end(&calls);
    check(scene, calls <= CALLS_MAX || plan->effect == FAULT_SHORT, "it took %u calls", calls);
    check_clients(scene, struck > 0);
    if (other) {
        raw_exchange(other, ADD, 0);
        raw_close(other);
    }
    if (scene->client)
        await_attempt(scene->client);
    if (scene->home)
        end_home(scene);
    dari_client_close(scene->client);
    end_answerer(scene);
    clear_stage(scene);
    fault_set_pause(DI_ACCEPT_PAUSE_NS);
    return struck > 0;
}

/* Raises a server and lets it make two turns. Returns 0 or the error of what failed. */
static int start_once(test_scene *scene)
{
    test_fixture *fixture = &scene->fixture;
    int error = dari_server_create(&fixture->options, &fixture->server);
    if (error == 0)
        error = echo_1_serve(fixture->server, &stage_handlers, scene);
    if (error == 0)
        error = dari_server_listen(fixture->server, fixture->address);
    for (int i = 0; i < 2 && error == 0; i++)
        error = dari_server_dispatch(fixture->server);
    dari_server_destroy(fixture->server);
    fixture->server = NULL;
    return error;
}

bool scene_start_server(uint32_t workers, const test_scheme *scheme, const fault_plan *plan,
                        bool harmless)
{
    unsigned calls;
    test_scene *scene = set_stage(NULL, SERVER_LOOP, scheme, plan, harmless);
    scene->fixture.options.workers = workers;
    fault_begin(plan);
    int error = start_once(scene);
    unsigned struck = fault_end(&calls);
    check(scene, calls <= CALLS_MAX, "it took %u calls", calls);
    check(scene, error <= 0 && (error == 0 || !harmless), "it fails with %s",
          dari_error_name(error));
    check(scene,
          error == 0 || is_fitting(error) || error == DARI_IN_USE || error == DARI_PERMISSION ||
              (error == DARI_ADDRESS && plan->call == FAULT_RESOLVE),
          "it fails with %s", dari_error_name(error));
    check(scene, start_once(scene) == 0, "nothing can be started afterwards");
    clear_stage(scene);
    return struck > 0;
}
