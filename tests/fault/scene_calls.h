/* SPDX-License-Identifier: MIT */
/* The calls that scenes make, each of which checks its own result, and the scenes themselves. */
#ifndef DARI_TEST_SCENE_CALLS_H
#define DARI_TEST_SCENE_CALLS_H

#include "fault/stage.h"

/* More than the table of calls holds without memory of its own. */
#define IN_FLIGHT 18

void call_add(test_scene *scene, dari_call *call);
void call_echo(test_scene *scene, dari_call *call, uint32_t size);

typedef struct flying {
    dari_call call;
    bool started;
    unsigned ended;
    bool right; /* its result */
} flying;

/* Starts IN_FLIGHT calls; what has become of them, once none is in flight. */
void start_some(test_scene *scene, flying *all, dari_cancel *cancel);
void check_ended(test_scene *scene, flying *all, bool cancelled);

/* On one connection. */
void scene_calls(test_scene *scene);
void scene_large(test_scene *scene);
void scene_flight(test_scene *scene);
void scene_one_way(test_scene *scene);
void scene_cancel(test_scene *scene);
void scene_shared(test_scene *scene);
void *scene_partner(void *scene); /* the other thread of scene_shared */
void scene_connect(test_scene *scene);
void scene_loans(test_scene *scene);

/* Both ways: the caller's server and its thread, before the plan; the end of them; the handlers of
 * the other side. */
void begin_home(test_scene *scene);
void scene_both_ways(test_scene *scene);
void end_home(test_scene *scene);
extern const echo_1_handlers both_ways_handlers;

/* The connection is lost, and made again. */
void scene_lost_call(test_scene *scene);
void scene_lost_flight(test_scene *scene);
void scene_lost_repeat(test_scene *scene);

#endif
