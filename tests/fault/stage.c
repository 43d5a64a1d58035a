/* SPDX-License-Identifier: MIT */
#include "fault/stage.h"

#include "loop/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint8_t stage_data[LARGE];

void check(const test_scene *scene, bool holds, const char *format, ...)
{
    static const char *const servers[] = {"loop", "workers", "later", "one loop"};
    if (holds)
        return;
    char what[200], described[200];
    va_list arguments;
    unsigned calls;
    fault_end(&calls);
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    fault_describe(scene->plan, described, sizeof described);
    fail_msg("%s, %s, %s: %s: %s", scene->kind ? scene->kind->name : "start",
             servers[scene->server], scene->fixture.scheme->name, described, what);
}

/* The errors that a failure beneath may come to a caller as. */
bool is_fitting(int error)
{
    switch (error) {
    case DARI_NO_MEMORY:
    case DARI_ERRNO:
    case DARI_CLOSED:
    case DARI_SYSTEM_ERROR:
        return true;
    default:
        return false;
    }
}

bool is_lasting(const test_scene *scene)
{
    const fault_plan *plan = scene->plan;
    return !scene->harmless && plan->effect == FAULT_FAILS && plan->count > 10;
}

void check_error(test_scene *scene, int error)
{
    check(scene, error == 0 || !scene->harmless, "failed with %s", dari_error_name(error));
    bool gave_up = error == DARI_DEADLINE && scene->kind->reconnects && is_lasting(scene);
    check(scene, error == 0 || gave_up || is_fitting(error), "failed with %s",
          dari_error_name(error));
    scene->failed += error != 0;
}

unsigned count_entered(test_scene *scene)
{
    pthread_mutex_lock(&scene->lock);
    unsigned entered = scene->entered;
    pthread_mutex_unlock(&scene->lock);
    return entered;
}

void cut(dari_client *client)
{
    pthread_mutex_lock(&client->lock);
    if (!client->broken)
        client->channel.connection->ops->shut(client->channel.connection);
    client->reconnect.used = 0;
    pthread_mutex_unlock(&client->lock);
}

/* The handlers. */

static int enter(dari_request *request, const pair *sum, const opaque_data *bytes)
{
    test_scene *scene = dari_request_user(request);
    int result = 0;
    pthread_mutex_lock(&scene->lock);
    scene->entered++;
    if (scene->server == SERVER_LATER && scene->left_count < LATER_MAX) {
        scene->left[scene->left_count++] = (left_call){request, sum, bytes};
        pthread_cond_broadcast(&scene->changed);
        result = DARI_LATER;
    }
    bool cuts = scene->cuts;
    scene->cuts = false;
    pthread_mutex_unlock(&scene->lock);
    if (cuts)
        cut(scene->client);
    return result;
}

static int handle_nothing(dari_request *request)
{
    return enter(request, NULL, NULL);
}

static int handle_echo_data(dari_request *request, const opaque_data *arg, opaque_data *ret)
{
    *ret = *arg;
    return enter(request, NULL, arg);
}

static int handle_add(dari_request *request, const pair *arg, int32_t *ret)
{
    *ret = arg->a + arg->b;
    return enter(request, arg, NULL);
}

const echo_1_handlers stage_handlers = {
    .nothing = handle_nothing, .echo_data = handle_echo_data, .add = handle_add};

static void answer(const left_call *left)
{
    if (left->sum)
        add_1_reply(left->request, &(int32_t){left->sum->a + left->sum->b});
    else if (left->data)
        echo_data_1_reply(left->request, left->data);
    else
        nothing_1_reply(left->request);
}

/* The thread that answers what was left. */
static void *answer_all(void *argument)
{
    test_scene *scene = argument;
    pthread_mutex_lock(&scene->lock);
    while (!scene->over || scene->left_count > 0) {
        if (scene->left_count == 0) {
            pthread_cond_wait(&scene->changed, &scene->lock);
            continue;
        }
        left_call left = scene->left[--scene->left_count];
        pthread_mutex_unlock(&scene->lock);
        answer(&left);
        pthread_mutex_lock(&scene->lock);
    }
    pthread_mutex_unlock(&scene->lock);
    return NULL;
}

test_scene *set_stage(const scene_kind *kind, scene_server server, const test_scheme *scheme,
                      const fault_plan *plan, bool harmless)
{
    test_scene *scene = malloc(sizeof *scene);
    assert_non_null(scene);
    *scene = (test_scene){.fixture = {.scheme = scheme},
                          .kind = kind,
                          .server = server,
                          .plan = plan,
                          .harmless = harmless};
    pthread_mutex_init(&scene->lock, NULL);
    pthread_cond_init(&scene->changed, NULL);
    for (size_t i = 0; i < sizeof stage_data && !stage_data[sizeof stage_data - 1]; i++)
        stage_data[i] = (uint8_t)(i * 7 + i / 251);
    fixture_begin(&scene->fixture);
    scene->fixture.handlers = &stage_handlers;
    scene->fixture.options.shm_loan_max = LARGE;
    scene->fixture.options.shm_read_loans = true;
    scene->fixture.options.workers = server == SERVER_WORKERS ? 2 : 0;
    return scene;
}

void clear_stage(test_scene *scene)
{
    fixture_end(&scene->fixture);
    pthread_cond_destroy(&scene->changed);
    pthread_mutex_destroy(&scene->lock);
    free(scene);
}

void start_answerer(test_scene *scene)
{
    if (scene->server == SERVER_LATER)
        pthread_create(&scene->answerer, NULL, answer_all, scene);
}

void end_answerer(test_scene *scene)
{
    pthread_mutex_lock(&scene->lock);
    scene->over = true;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->lock);
    if (scene->server == SERVER_LATER)
        pthread_join(scene->answerer, NULL);
}
