/* SPDX-License-Identifier: MIT */
/* The calls that scenes make, and the scenes on one connection. */
#include "fault/scene_calls.h"

#include "base/clock.h"

#include <dari/cancel.h>
#include <dari/loan.h>
#include <dari/server.h>

#include <errno.h>
#include <poll.h>
#include <string.h>

static bool is_data(const opaque_data *one, uint32_t size)
{
    return one->size == size && memcmp(one->data, stage_data, size) == 0;
}

void call_add(test_scene *scene, dari_call *call)
{
    int32_t sum = 0;
    unsigned before = count_entered(scene);
    int error = add_1(scene->client, &(pair){2, 3}, &sum, call);
    check_error(scene, error);
    check(scene, error != 0 || sum == 5, "2 + 3 is %d", (int)sum);
    /* A one-way call may run in between, and so may one that ended early. */
    bool ran = !scene->kind->loses && !scene->late && count_entered(scene) != before;
    scene->late |= error && call->may_have_run;
    check(scene, !error || call->may_have_run || !ran, "%s: the call has run",
          dari_call_message(call));
    check(scene, error != DARI_ERRNO || call->system_error, "the errno is missing");
}

void call_echo(test_scene *scene, dari_call *call, uint32_t size)
{
    opaque_data ret = {0};
    int error = echo_data_1(scene->client, &(opaque_data){size, stage_data}, &ret, call);
    check_error(scene, error);
    check(scene, error != 0 || is_data(&ret, size), "the echo is not what was sent");
    scene->late |= error && call->may_have_run;
    dari_call_reset(call);
}

void scene_calls(test_scene *scene)
{
    dari_call call = {0};
    for (int i = 0; i < 2; i++) {
        call_add(scene, &call);
        call_echo(scene, &call, SMALL);
    }
    dari_call_end(&call);
}

void scene_large(test_scene *scene)
{
    dari_call call = {0};
    call_echo(scene, &call, LARGE);
    dari_call_end(&call);
}

static void end_add(void *user, const int32_t *ret, dari_call *call)
{
    flying *one = user;
    one->ended++;
    one->right = call->error ? !ret : *ret == 7;
}

static void end_echo(void *user, const opaque_data *ret, dari_call *call)
{
    flying *one = user;
    one->ended++;
    one->right = call->error ? !ret : is_data(ret, SMALL);
}

void start_some(test_scene *scene, flying *all, dari_cancel *cancel)
{
    for (int i = 0; i < IN_FLIGHT; i++) {
        flying *one = &all[i];
        one->call.cancel = cancel;
        int error = i % 2 ? add_1_start(scene->client, &(pair){3, 4}, &one->call, end_add, one)
                          : echo_data_1_start(scene->client, &(opaque_data){SMALL, stage_data},
                                              &one->call, end_echo, one);
        check_error(scene, error);
        one->started = error == 0;
    }
}

void check_ended(test_scene *scene, flying *all, bool cancelled)
{
    for (int i = 0; i < IN_FLIGHT; i++) {
        flying *one = &all[i];
        check(scene, one->ended == one->started, "a call ended %u times", one->ended);
        check(scene, !one->started || one->right, "the result of a call is wrong");
        if (one->started && !(cancelled && one->call.error == DARI_CANCELLED))
            check_error(scene, one->call.error);
        dari_call_end(&one->call);
    }
}

/* Client and server in turn, until all calls have ended. */
static void turn_until_ended(test_scene *scene, const flying *all)
{
    dari_server *server = scene->fixture.server;
    uint64_t until = di_deadline_in(PATIENCE_NS);
    for (int i = 0; i < IN_FLIGHT; i++) {
        while (all[i].started && !all[i].ended && di_now() < until) {
            uint64_t server_ns = dari_server_timeout_ns(server);
            uint64_t client_ns = dari_client_timeout_ns(scene->client);
            uint64_t wait_ns = server_ns < client_ns ? server_ns : client_ns;
            struct pollfd descriptors[] = {
                {.fd = dari_server_descriptor(server), .events = POLLIN},
                {.fd = dari_client_descriptor(scene->client), .events = POLLIN}};
            poll(descriptors, 2, di_poll_timeout(di_deadline_in(wait_ns)));
            check(scene, dari_server_dispatch(server) >= 0, "the server's loop fails");
            check(scene, dari_client_dispatch(scene->client) >= 0, "the client's loop fails");
        }
    }
}

void scene_flight(test_scene *scene)
{
    flying all[IN_FLIGHT] = {0};
    start_some(scene, all, NULL);
    if (scene->server == SERVER_ONE_LOOP) {
        turn_until_ended(scene, all);
    } else {
        int error = dari_client_wait(scene->client, PATIENCE_NS);
        check_error(scene, error);
        if (error < 0)
            check(scene, dari_client_wait(scene->client, PATIENCE_NS) == 0, "no loop can be made");
    }
    check_ended(scene, all, false);
}

void scene_one_way(test_scene *scene)
{
    dari_call call = {0};
    for (int i = 0; i < 2; i++)
        check_error(scene, nothing_1_oneway(scene->client, &call));
    call_add(scene, &call);
    dari_call_end(&call);
}

void scene_cancel(test_scene *scene)
{
    dari_cancel *cancel = NULL;
    flying all[IN_FLIGHT] = {0};
    int error = dari_cancel_create(&cancel);
    check_error(scene, error);
    if (error < 0)
        return;
    dari_call call = {.cancel = cancel};
    call_add(scene, &call);
    start_some(scene, all, cancel);
    dari_cancel_now(cancel);
    check_error(scene, dari_client_wait(scene->client, PATIENCE_NS));
    check_ended(scene, all, true);
    check(scene, add_1(scene->client, &(pair){1, 1}, &(int32_t){0}, &call) == DARI_CANCELLED,
          "a call was not cancelled");
    dari_call_end(&call);
    dari_cancel_destroy(cancel);
}

/* It can't fail the test by itself. */
void *scene_partner(void *argument)
{
    test_scene *scene = argument;
    dari_call call = {0};
    pthread_mutex_lock(&scene->lock);
    while (!scene->partner_goes)
        pthread_cond_wait(&scene->changed, &scene->lock);
    pthread_mutex_unlock(&scene->lock);
    for (int i = 0; i < 3 && scene->partner_error == 0; i++) {
        opaque_data ret = {0};
        scene->partner_error =
            echo_data_1(scene->client, &(opaque_data){SMALL, stage_data}, &ret, &call);
        if (scene->partner_error == 0 && !is_data(&ret, SMALL))
            scene->partner_error = DARI_BAD_REPLY;
        dari_call_reset(&call);
    }
    dari_call_end(&call);
    return NULL;
}

void scene_shared(test_scene *scene)
{
    dari_call call = {0};
    pthread_mutex_lock(&scene->lock);
    scene->partner_goes = true;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->lock);
    for (int i = 0; i < 3; i++)
        call_echo(scene, &call, SMALL);
    pthread_join(scene->partner, NULL);
    check_error(scene, scene->partner_error);
    dari_call_end(&call);
}

void scene_connect(test_scene *scene)
{
    dari_call call = {0};
    dari_client_options options = {.call = &call, .deadline_ns = PATIENCE_NS, .no_reconnect = true};
    int error = dari_connect(scene->fixture.address, &options, &scene->client);
    check(scene, error == 0 || !scene->harmless, "connecting: %s", dari_call_message(&call));
    check(scene,
          error == 0 || is_fitting(error) || error == DARI_REFUSED || error == DARI_PERMISSION ||
              error == DARI_ADDRESS || error == scene->plan->cause ||
              (error == DARI_DEADLINE && scene->plan->cause == EAGAIN),
          "connecting: %s", dari_call_message(&call));
    check(scene, error != DARI_ERRNO || call.system_error, "the errno is missing");
    check(scene, error != DARI_ERRNO || call.system_error != ECONNRESET, "a death is not told");
    check(scene, (error == 0) == (scene->client != NULL), "a client of a failure");
    if (error == 0)
        call_add(scene, &call);
    dari_call_end(&call);
}

void scene_loans(test_scene *scene)
{
    dari_call call = {0};
    dari_client_options options = {
        .call = &call, .deadline_ns = PATIENCE_NS, .no_reconnect = true, .shm_loan_size = LARGE};
    check_error(scene, dari_connect(scene->fixture.address, &options, &scene->client));
    for (int i = 0; i < 2 && scene->client; i++) {
        void *memory = NULL;
        int error = dari_loan(scene->client, LARGE, &memory);
        check_error(scene, error);
        if (error < 0)
            continue;
        opaque_data ret;
        memcpy(memory, stage_data, LARGE);
        error = echo_data_1(scene->client, &(opaque_data){LARGE, memory}, &ret, &call);
        check_error(scene, error);
        check(scene, error != 0 || is_data(&ret, LARGE), "the echo is not what was lent");
        dari_loan_end(scene->client, memory);
        dari_call_reset(&call);
    }
    dari_call_end(&call);
}
