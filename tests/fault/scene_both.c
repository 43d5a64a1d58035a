/* SPDX-License-Identifier: MIT */
/* The scene of calls both ways: the server calls its caller, whose side has a server for that. */
#include "fault/scene_calls.h"

#include <dari/server.h>

static int home_nothing(dari_request *request)
{
    (void)request;
    return 0;
}

static int home_add(dari_request *request, const pair *arg, int32_t *ret)
{
    (void)request;
    *ret = arg->a * arg->b;
    return 0;
}

static void *run_home(void *argument)
{
    test_scene *scene = argument;
    pthread_mutex_lock(&scene->lock);
    while (!scene->partner_goes)
        pthread_cond_wait(&scene->changed, &scene->lock);
    pthread_mutex_unlock(&scene->lock);
    while (dari_server_run(scene->home) < 0)
        continue;
    return NULL;
}

void begin_home(test_scene *scene)
{
    static const echo_1_handlers handlers = {.nothing = home_nothing, .add = home_add};
    assert_int_equal(dari_server_create(NULL, &scene->home), 0);
    assert_int_equal(echo_1_serve(scene->home, &handlers, NULL), 0);
    assert_int_equal(pthread_create(&scene->partner, NULL, run_home, scene), 0);
}

static void let_home_go(test_scene *scene, bool calls_back)
{
    pthread_mutex_lock(&scene->lock);
    scene->partner_goes = true;
    scene->calls_back = calls_back;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->lock);
}

void end_home(test_scene *scene)
{
    dari_server_stop(scene->home);
    pthread_join(scene->partner, NULL);
    dari_server_destroy(scene->home);
}

/* A call back, which only a worker may wait for. */
static int call_back(const test_scene *scene, dari_client *client, const pair *arg)
{
    dari_call call = {.deadline_ns = PATIENCE_NS};
    int32_t product = 0;
    if (scene->server == SERVER_LOOP)
        return nothing_1_oneway(client, &call);
    int error = add_1(client, arg, &product, &call);
    return error == 0 && product != arg->a * arg->b ? DARI_BAD_REPLY : error;
}

static int add_and_call_back(dari_request *request, const pair *arg, int32_t *ret)
{
    test_scene *scene = dari_request_user(request);
    dari_client *client;
    stage_handlers.add(request, arg, ret);
    pthread_mutex_lock(&scene->lock);
    bool calls_back = scene->calls_back;
    pthread_mutex_unlock(&scene->lock);
    int error = calls_back ? dari_request_client(request, &client) : 0;
    if (error < 0 || !calls_back)
        return error;
    error = call_back(scene, client, arg);
    dari_client_close(client);
    if (error == DARI_DEADLINE || error == DARI_BAD_REPLY)
        scene->partner_error = error;
    return error;
}

const echo_1_handlers both_ways_handlers = {.add = add_and_call_back};

void scene_both_ways(test_scene *scene)
{
    dari_call call = {0};
    int error = dari_server_serve_client(scene->home, scene->client);
    check_error(scene, error);
    let_home_go(scene, error == 0);
    for (int i = 0; i < 3; i++)
        call_add(scene, &call);
    let_home_go(scene, false);
    check_error(scene, scene->partner_error);
    dari_call_end(&call);
}
