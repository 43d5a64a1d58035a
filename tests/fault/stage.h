/* SPDX-License-Identifier: MIT */
/* Where scenes are played: a server whose handlers answer where the scene says, a client, and the
 * checks by which a scene fails with the words of its plan. A stage belongs to scene_play. */
#ifndef DARI_TEST_STAGE_H
#define DARI_TEST_STAGE_H

#include "fault/scenes.h"

/* Less than one message, and many. */
#define SMALL 300u
#define LARGE (300u << 10)
#define LATER_MAX 64
/* Nothing waits for that long: a call that does was lost. */
#define PATIENCE_NS (10 * DARI_S)

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
    bool cuts;        /* the next one finds the client's connection cut */
    left_call left[LATER_MAX];
    unsigned left_count;
    bool over;
    pthread_t answerer, partner;
    bool partner_goes;
    int partner_error;
    dari_server *home; /* answers what comes to the client */
    bool calls_back;   /* handlers do */
};

/* What calls carry: a pattern, once a stage was set. */
extern uint8_t stage_data[LARGE];

extern const echo_1_handlers stage_handlers;

/* Fails the test, unless it holds. */
void check(const test_scene *scene, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether a failure beneath may come to a caller as this error. */
bool is_fitting(int error);
/* Whether what fails is of consequence for longer than a moment: a call may then end by its
 * deadline, and is given a short one. */
bool is_lasting(const test_scene *scene);
/* What a call returns while the plan is in force. */
void check_error(test_scene *scene, int error);
unsigned count_entered(test_scene *scene);

/* The client's connection breaks; by the next call it is taken for idle. */
void cut(dari_client *client);

/* A case that fails leaves its threads behind, and so its scene, which is not on the stack. */
test_scene *set_stage(const scene_kind *kind, scene_server server, const test_scheme *scheme,
                      const fault_plan *plan, bool harmless);
void clear_stage(test_scene *scene);

/* The thread that answers what handlers have left. */
void start_answerer(test_scene *scene);
void end_answerer(test_scene *scene);

#endif
