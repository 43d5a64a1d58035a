/* SPDX-License-Identifier: MIT */
#include "fault/scenes.h"

#include "base/clock.h"

#include <dari/cancel.h>
#include <dari/server.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL 300u
#define LARGE (300u << 10)
/* More than the table of calls holds without memory of its own. */
#define IN_FLIGHT 18
#define LATER_MAX 64
/* Nothing waits for that long: a call that does was lost. */
#define PATIENCE_NS (10 * DARI_S)
/* More wrapped calls than this, where one has failed, are a loop that spins. */
#define CALLS_MAX 3000u

const unsigned scene_schemes[3] = {1, 2, 0};

/* A call that its handler has left for later. */
typedef struct left_call {
    dari_request *request;
    const pair *sum;
    const opaque_data *data;
} left_call;

struct test_scene {
    test_fixture fixture; /* first: it is the handlers' user pointer */
    const scene_kind *kind;
    scene_server server;
    const fault_plan *plan;
    bool harmless;
    bool late; /* a call that has ended may still run */
    dari_client *client;
    unsigned failed; /* calls, while the plan was in force */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned entered; /* calls that a handler began */
    left_call left[LATER_MAX];
    unsigned left_count;
    bool over;
    pthread_t answerer, partner;
    bool partner_goes;
    int partner_error;
};

static uint8_t data[LARGE]; /* a pattern, once a scene was set */

static void check(const test_scene *scene, bool holds, const char *format, ...)
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
static bool is_fitting(int error)
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

static void check_error(test_scene *scene, int error)
{
    check(scene, error == 0 || !scene->harmless, "failed with %s", dari_error_name(error));
    check(scene, error == 0 || is_fitting(error), "failed with %s", dari_error_name(error));
    scene->failed += error != 0;
}

static unsigned count_entered(test_scene *scene)
{
    pthread_mutex_lock(&scene->lock);
    unsigned entered = scene->entered;
    pthread_mutex_unlock(&scene->lock);
    return entered;
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
    pthread_mutex_unlock(&scene->lock);
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

static const echo_1_handlers handlers = {
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

/* The calls. */

static bool is_data(const opaque_data *one, uint32_t size)
{
    return one->size == size && memcmp(one->data, data, size) == 0;
}

static void call_add(test_scene *scene, dari_call *call)
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

static void call_echo(test_scene *scene, dari_call *call, uint32_t size)
{
    opaque_data ret = {0};
    int error = echo_data_1(scene->client, &(opaque_data){size, data}, &ret, call);
    check_error(scene, error);
    check(scene, error != 0 || is_data(&ret, size), "the echo is not what was sent");
    scene->late |= error && call->may_have_run;
    dari_call_reset(call);
}

static void run_calls(test_scene *scene)
{
    dari_call call = {0};
    for (int i = 0; i < 2; i++) {
        call_add(scene, &call);
        call_echo(scene, &call, SMALL);
    }
    dari_call_end(&call);
}

static void run_large(test_scene *scene)
{
    dari_call call = {0};
    call_echo(scene, &call, LARGE);
    dari_call_end(&call);
}

typedef struct flying {
    dari_call call;
    bool started;
    unsigned ended;
    bool right; /* its result */
} flying;

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

static void start_some(test_scene *scene, flying *all, dari_cancel *cancel)
{
    for (int i = 0; i < IN_FLIGHT; i++) {
        flying *one = &all[i];
        one->call.cancel = cancel;
        int error = i % 2 ? add_1_start(scene->client, &(pair){3, 4}, &one->call, end_add, one)
                          : echo_data_1_start(scene->client, &(opaque_data){SMALL, data},
                                              &one->call, end_echo, one);
        check_error(scene, error);
        one->started = error == 0;
    }
}

static void check_ended(test_scene *scene, flying *all, bool cancelled)
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

static void run_flight(test_scene *scene)
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

static void run_one_way(test_scene *scene)
{
    dari_call call = {0};
    for (int i = 0; i < 2; i++)
        check_error(scene, nothing_1_oneway(scene->client, &call));
    call_add(scene, &call);
    dari_call_end(&call);
}

static void run_cancel(test_scene *scene)
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

/* The other thread: it can't fail the test by itself. */
static void *call_beside(void *argument)
{
    test_scene *scene = argument;
    dari_call call = {0};
    pthread_mutex_lock(&scene->lock);
    while (!scene->partner_goes)
        pthread_cond_wait(&scene->changed, &scene->lock);
    pthread_mutex_unlock(&scene->lock);
    for (int i = 0; i < 3 && scene->partner_error == 0; i++) {
        opaque_data ret = {0};
        scene->partner_error = echo_data_1(scene->client, &(opaque_data){SMALL, data}, &ret, &call);
        if (scene->partner_error == 0 && !is_data(&ret, SMALL))
            scene->partner_error = DARI_BAD_REPLY;
        dari_call_reset(&call);
    }
    dari_call_end(&call);
    return NULL;
}

static void run_shared(test_scene *scene)
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

static void run_connect(test_scene *scene)
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
    check(scene, (error == 0) == (scene->client != NULL), "a client of a failure");
    if (error == 0)
        call_add(scene, &call);
    dari_call_end(&call);
}

#define IN(server) (1u << (server))
#define IN_THREADS (IN(SERVER_LOOP) | IN(SERVER_WORKERS) | IN(SERVER_LATER))

const scene_kind scene_kinds[SCENES] = {
    [SCENE_CALLS] = {"calls", run_calls, IN_THREADS, false, false},
    [SCENE_LARGE] = {"large call", run_large, IN(SERVER_LOOP) | IN(SERVER_WORKERS), false, false},
    [SCENE_FLIGHT] = {"flight", run_flight, IN_THREADS | IN(SERVER_ONE_LOOP), false, false},
    [SCENE_ONE_WAY] = {"one way", run_one_way, IN_THREADS, false, true},
    [SCENE_CANCEL] = {"cancel", run_cancel, IN_THREADS, false, true},
    [SCENE_SHARED] = {"shared client", run_shared, IN_THREADS, false, false},
    [SCENE_CONNECT] = {"connect", run_connect, IN(SERVER_LOOP) | IN(SERVER_WORKERS), true, false},
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

/* A case that fails leaves its threads behind, and so its scene, which is not on the stack. */
static test_scene *set_stage(const scene_kind *kind, scene_server server, const test_scheme *scheme,
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
    for (size_t i = 0; i < sizeof data && !data[sizeof data - 1]; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    fixture_begin(&scene->fixture);
    scene->fixture.handlers = &handlers;
    scene->fixture.options.workers = server == SERVER_WORKERS ? 2 : 0;
    return scene;
}

static void clear_stage(test_scene *scene)
{
    fixture_end(&scene->fixture);
    pthread_cond_destroy(&scene->changed);
    pthread_mutex_destroy(&scene->lock);
    free(scene);
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

/* The client goes on, or its connection has ended; a new one works. */
static void check_clients(test_scene *scene)
{
    int32_t sum = 0;
    if (scene->client && scene->server != SERVER_ONE_LOOP) {
        int error = add_1(scene->client, &(pair){2, 3}, &sum, NULL);
        /* An error of sending ends the connection, though the rest may yet go through. */
        bool may_fail = scene->failed || scene->kind->loses || scene->kind->connects ||
                        scene->plan->call != FAULT_ALLOCATE;
        check(scene, error == 0 || (may_fail && !scene->harmless && is_fitting(error)),
              "the call after it fails with %s", dari_error_name(error));
    }
    if (!scene->fixture.running)
        fixture_start(&scene->fixture);
    dari_client *fresh = fixture_connect(&scene->fixture, NULL);
    int error = add_1(fresh, &(pair){2, 3}, &sum, NULL);
    check(scene, error == 0 && sum == 5, "a new client fails with %s", dari_error_name(error));
    dari_client_close(fresh);
}

static void end_helpers(test_scene *scene)
{
    pthread_mutex_lock(&scene->lock);
    scene->over = true;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->lock);
    if (scene->server == SERVER_LATER)
        pthread_join(scene->answerer, NULL);
}

bool scene_play(const scene_kind *kind, scene_server server, const test_scheme *scheme,
                const fault_plan *plan, bool harmless)
{
    unsigned calls;
    test_scene *scene = set_stage(kind, server, scheme, plan, harmless);
    di_connection *other = raise_server(scene);
    if (!kind->connects)
        scene->client =
            fixture_connect(&scene->fixture, &(dari_client_options){.deadline_ns = PATIENCE_NS,
                                                                    .no_reconnect = true});
    if (server == SERVER_LATER)
        pthread_create(&scene->answerer, NULL, answer_all, scene);
    if (kind->run == run_shared)
        pthread_create(&scene->partner, NULL, call_beside, scene);
    fault_begin(plan);
    kind->run(scene);
    unsigned struck = fault_end(&calls);
    check(scene, calls <= CALLS_MAX || plan->effect == FAULT_SHORT, "it took %u calls", calls);
    check_clients(scene);
    if (other) {
        raw_exchange(other, ADD, 0);
        raw_close(other);
    }
    dari_client_close(scene->client);
    end_helpers(scene);
    clear_stage(scene);
    return struck > 0;
}

/* Raises a server and lets it make two turns. Returns 0 or the error of what failed. */
static int start_once(test_scene *scene)
{
    test_fixture *fixture = &scene->fixture;
    int error = dari_server_create(&fixture->options, &fixture->server);
    if (error == 0)
        error = echo_1_serve(fixture->server, &handlers, scene);
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
          error == 0 || is_fitting(error) || error == DARI_IN_USE || error == DARI_PERMISSION,
          "it fails with %s", dari_error_name(error));
    check(scene, start_once(scene) == 0, "nothing can be started afterwards");
    clear_stage(scene);
    return struck > 0;
}
