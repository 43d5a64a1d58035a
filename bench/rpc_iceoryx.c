/* SPDX-License-Identifier: MIT */
/* iceoryx's request and response, with the bytes of the other subjects. Both sides look for a while
 * and then sleep in a wait set. Its daemon, whose names are the same for all of this machine, is
 * started by the server. Where it is not installed, its rows say so. */
#include "rpc.h"

#ifdef BENCH_ICEORYX

#include "rpc_wire.h"

#include <errno.h>
#include <iceoryx_binding_c/client.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/server.h>
#include <iceoryx_binding_c/wait_set.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How often a side looks in vain before it sleeps: some 20 us. */
#define LOOKS 2000u

/* A daemon with little memory: there are never more than a few messages. */
static const char configuration[] = "[general]\nversion = 1\n[[segment]]\n"
                                    "[[segment.mempool]]\nsize = 256\ncount = 100\n";

typedef struct iceoryx {
    iox_client_storage_t client_memory;
    iox_ws_storage_t set_memory;
    iox_client_t client;
    iox_ws_t set;
} iceoryx;

static volatile sig_atomic_t ending;

static void end(int signal)
{
    (void)signal;
    ending = 1;
}

static bool configure(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    bool written = fputs(configuration, file) >= 0;
    return fclose(file) == 0 && written;
}

/* Reads what the daemon prints until it is ready. The pipe stays open: it goes on printing. */
static bool await_daemon(int output)
{
    char line[256];
    FILE *lines = fdopen(output, "r");
    while (lines && fgets(line, sizeof line, lines))
        if (strstr(line, "ready for clients"))
            return true;
    return false;
}

/* Starts the daemon, which ends with this process, and removes its names then if it may print. */
static bool start_daemon(const char *path)
{
    int ends[2];
    if (pipe(ends) < 0)
        return false;
    pid_t process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        signal(SIGPIPE, SIG_IGN);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execlp("iox-roudi", "iox-roudi", "-m", "off", "-c", path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    return process > 0 && await_daemon(ends[0]);
}

/* There can be one daemon on a machine: the one of an earlier row is given time to end. */
static bool start_only_daemon(const char *path)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    if (!configure(path))
        return false;
    for (int attempt = 0; attempt < 50; attempt++) {
        if (start_daemon(path))
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static bool answer(iox_server_t server, const void *call)
{
    void *reply;
    uint32_t procedure;
    if (!wire_read_call(call, &procedure) ||
        iox_server_loan_response(server, (void *)(uintptr_t)call, &reply, WIRE_REPLY) !=
            AllocationResult_SUCCESS)
        return false;
    wire_write_reply(reply, codec_load_be32(call));
    iox_server_release_request(server, call);
    return iox_server_send(server, reply) == ServerSendResult_SUCCESS;
}

/* Not for ever: a signal does not end this wait. */
static void sleep_in(iox_ws_t set)
{
    const struct timespec longest = {.tv_nsec = 200000000};
    iox_notification_info_t notification;
    uint64_t missed;
    iox_ws_timed_wait(set, longest, &notification, 1, &missed);
}

static bool answer_all(iox_server_t server, iox_ws_t set)
{
    for (unsigned looks = 0; !ending;) {
        const void *call;
        if (iox_server_take_request(server, &call) == ServerRequestResult_SUCCESS) {
            looks = 0;
            if (!answer(server, call))
                return false;
        } else if (++looks == LOOKS) {
            sleep_in(set);
            looks = 0;
        }
    }
    return true;
}

/* Serves until it is told to end. */
static bool work(rpc_place *place, int ready)
{
    iox_server_storage_t memory;
    iox_ws_storage_t set_memory;
    signal(SIGTERM, end);
    if (!start_only_daemon(place->path))
        return false;
    iox_set_loglevel(Iceoryx_LogLevel_Error);
    iox_runtime_init("dari-bench-server");
    iox_server_t server = iox_server_init(&memory, "dari", "bench", "calls", NULL);
    iox_ws_t set = iox_ws_init(&set_memory);
    if (iox_ws_attach_server_state(set, server, ServerState_HAS_REQUEST, 0, NULL) !=
        WaitSetResult_SUCCESS)
        return false;
    rpc_server_ready(place, ready);
    bool right = answer_all(server, set);
    iox_ws_deinit(set);
    iox_server_deinit(server);
    return right;
}

/* In a process of its own, since the caller is killed: the daemon removes its names only where all
 * that were its own have taken their leave. */
static void serve(rpc_place *place, int ready)
{
    pid_t process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        exit(work(place, ready) ? 0 : 1);
    }
    close(ready);
    while (process > 0 && waitpid(process, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static void close_client(void *client)
{
    iceoryx *it = client;
    iox_ws_deinit(it->set);
    iox_client_deinit(it->client);
    free(it);
}

static void *open_client(const rpc_place *place)
{
    (void)place;
    iceoryx *it = calloc(1, sizeof *it);
    if (!it)
        return NULL;
    iox_set_loglevel(Iceoryx_LogLevel_Error);
    iox_runtime_init("dari-bench-client");
    it->client = iox_client_init(&it->client_memory, "dari", "bench", "calls", NULL);
    it->set = iox_ws_init(&it->set_memory);
    if (iox_ws_attach_client_state(it->set, it->client, ClientState_HAS_RESPONSE, 0, NULL) ==
        WaitSetResult_SUCCESS)
        return it;
    close_client(it);
    return NULL;
}

static const void *await_reply(const iceoryx *it)
{
    const void *reply;
    for (unsigned looks = 0;;) {
        if (iox_client_take_response(it->client, &reply) == ChunkReceiveResult_SUCCESS)
            return reply;
        if (++looks == LOOKS) {
            sleep_in(it->set);
            looks = 0;
        }
    }
}

static bool nothing(void *client, uint64_t rounds, uint64_t seed)
{
    const iceoryx *it = client;
    for (uint64_t round = 0; round < rounds; round++) {
        uint32_t xid = (uint32_t)measure_mix(seed, round);
        void *call;
        if (iox_client_loan_request(it->client, &call, WIRE_CALL) != AllocationResult_SUCCESS)
            return false;
        wire_write_call(call, xid, WIRE_NOTHING);
        if (iox_client_send(it->client, call) != ClientSendResult_SUCCESS)
            return false;
        const void *reply = await_reply(it);
        bool right = wire_read_reply(reply, xid);
        iox_client_release_response(it->client, reply);
        if (!right)
            return false;
    }
    return true;
}

const rpc_subject rpc_iceoryx = {
    .name = "iceoryx",
    .serve = serve,
    .open = open_client,
    .close = close_client,
    .nothing = nothing,
};

#else

const rpc_subject rpc_iceoryx = {.name = "iceoryx"};

#endif
