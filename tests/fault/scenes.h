/* SPDX-License-Identifier: MIT */
/* What is done while calls of the library fail, and what must hold whichever fails: every call
 * ends, with its result or with an error that fits; the server lives on, and so do other
 * connections; nothing stays open. */
#ifndef DARI_TEST_SCENES_H
#define DARI_TEST_SCENES_H

#include "conformance/harness.h"
#include "fault/fault.h"

/* Where handlers run, and who answers. */
typedef enum scene_server {
    SERVER_LOOP,     /* in the loop, at once */
    SERVER_WORKERS,  /* in two worker threads */
    SERVER_LATER,    /* by a thread of the test's, later */
    SERVER_ONE_LOOP, /* in one thread with the client */
    SCENE_SERVERS
} scene_server;

typedef struct test_scene test_scene;

/* A scene: what happens while the plan is in force. */
typedef struct scene_kind {
    const char *name;
    void (*run)(test_scene *scene);
    unsigned servers; /* in which it can be played: bits of scene_server */
    bool connects;    /* there is no client before */
    bool loses;       /* a call may be lost without an error, or run twice */
    bool reconnects;  /* the client makes a lost connection again */
} scene_kind;

enum {
    SCENE_CALLS,       /* small synchronous ones */
    SCENE_LARGE,       /* one that takes several system calls each way */
    SCENE_FLIGHT,      /* asynchronous ones */
    SCENE_ONE_WAY,     /* and one that is answered */
    SCENE_CANCEL,      /* calls that can be cancelled, and one that is */
    SCENE_SHARED,      /* two threads, one client */
    SCENE_CONNECT,     /* and a call */
    SCENE_LOANS,       /* connecting, and large calls of what is lent; over shm: */
    SCENE_BOTH_WAYS,   /* the server calls back */
    SCENE_LOST_CALL,   /* synchronous ones that connect again */
    SCENE_LOST_FLIGHT, /* asynchronous ones that are kept until there is a connection */
    SCENE_LOST_REPEAT, /* idempotent ones whose connection is lost while they run */
    SCENES
};
extern const scene_kind scene_kinds[SCENES];

/* Plays a scene under the plan and checks what must hold. `harmless`: the plan changes nothing that
 * a caller can see. Returns whether the plan struck. */
bool scene_play(const scene_kind *kind, scene_server server, const test_scheme *scheme,
                const fault_plan *plan, bool harmless);

/* The same for a server that is created, listens, makes its first turns and is destroyed. */
bool scene_start_server(uint32_t workers, const test_scheme *scheme, const fault_plan *plan,
                        bool harmless);

/* The schemes to play in. A path is as good as an abstract name once it is connected: only servers
 * are started at one. */
#define SCENE_SCHEMES 5
#define START_SCHEMES 6
extern const char *const scene_schemes[START_SCHEMES];

#endif
