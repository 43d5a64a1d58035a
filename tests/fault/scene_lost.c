/* SPDX-License-Identifier: MIT */
/* Scenes in which the connection is lost and made again, while something fails. Nothing fails for
 * longer than a moment, so each call ends before its deadline; only where all memory is gone may
 * the deadline be what ends it. */
#include "fault/scene_calls.h"

#include "base/clock.h"
#include "loop/client.h"

#include <dari/interface.h>

#define SHORT_DEADLINE_NS (60 * DARI_MS)
/* What a machine with much to do may add to a deadline. */
#define SLACK_NS (5 * DARI_S)

static uint64_t deadline_of(const test_scene *scene)
{
    return is_lasting(scene) ? SHORT_DEADLINE_NS : PATIENCE_NS;
}

static void check_in_time(const test_scene *scene, uint64_t began)
{
    uint64_t passed = di_now() - began;
    uint64_t allowed = (is_lasting(scene) ? 3 * SHORT_DEADLINE_NS : 0) + SLACK_NS;
    check(scene, passed <= allowed, "it took %u ms", (unsigned)(passed / DARI_MS));
}

/* A call that waits for the new connection. */
void scene_lost_call(test_scene *scene)
{
    dari_call call = DARI_CALL(.deadline_ns = deadline_of(scene));
    uint64_t began = di_now();
    cut(scene->client);
    call_add(scene, &call);
    call_echo(scene, &call, SMALL);
    check_in_time(scene, began);
    dari_call_end(&call);
}

static void fly(test_scene *scene)
{
    flying all[IN_FLIGHT] = {0};
    for (int i = 0; i < IN_FLIGHT; i++)
        all[i].call.deadline_ns = deadline_of(scene);
    start_some(scene, all, NULL);
    int error = dari_client_wait(scene->client, PATIENCE_NS);
    check_error(scene, error);
    if (error < 0)
        check(scene, dari_client_wait(scene->client, PATIENCE_NS) == 0, "no loop can be made");
    check_ended(scene, all, false);
}

/* Calls that are started without a connection, and kept. */
void scene_lost_flight(test_scene *scene)
{
    uint64_t began = di_now();
    cut(scene->client);
    fly(scene);
    check(scene, scene->client->flights.grounded_size == 0, "what was kept is still there");
    check_in_time(scene, began);
}

static void cut_next(test_scene *scene)
{
    pthread_mutex_lock(&scene->lock);
    scene->cuts = true;
    pthread_mutex_unlock(&scene->lock);
}

/* The connection is lost while calls run that may run again. */
void scene_lost_repeat(test_scene *scene)
{
    dari_call call = DARI_CALL(.deadline_ns = deadline_of(scene));
    uint64_t began = di_now();
    check_error(scene, dari_client_idempotent(scene->client, &echo_1_interface, ADD));
    check_error(scene, dari_client_idempotent(scene->client, &echo_1_interface, ECHO_DATA));
    cut_next(scene);
    call_add(scene, &call);
    cut_next(scene);
    fly(scene);
    check_in_time(scene, began);
    dari_call_end(&call);
}
