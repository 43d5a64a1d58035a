/* SPDX-License-Identifier: MIT */
/* Each call is timed by itself. A row is a scheme, or a peer, in one of three situations. */
#include "latency.h"
#include "rpc.h"
#include "rpc_cores.h"
#include "rpc_network.h"
#include "rpc_server.h"
#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALLS 5000u
#define CALLS_IDLE 1000u
#define IDLE_NS 1000000

typedef struct latency_row {
    const char *name;
    const rpc_subject *subject;
    enum rpc_scheme scheme;
} latency_row;

static const latency_row rows[] = {
    {"unix", &rpc_dari, RPC_UNIX},
    {"pipe", &rpc_dari, RPC_PIPE},
    {"fifo", &rpc_dari, RPC_FIFO},
    {"mq", &rpc_dari, RPC_MQ},
    {"shm", &rpc_dari, RPC_SHM},
    {"tcp", &rpc_dari, RPC_TCP},
    {"udp", &rpc_dari, RPC_UDP},
    {"raw-unix", &rpc_raw, RPC_UNIX},
    {"raw-lines", &rpc_raw_shm, RPC_SHM},
    {"libtirpc-unix", &rpc_tirpc, RPC_UNIX},
    {"capnproto-unix", &rpc_capnp, RPC_UNIX},
    {"zeromq-ipc", &rpc_zeromq, RPC_UNIX},
    {"nng-ipc", &rpc_nng, RPC_UNIX},
    {"iceoryx", &rpc_iceoryx, RPC_SHM},
};

typedef struct latency_situation {
    const char *name;
    bool two_cores;
    long idle_ns; /* before each call */
    size_t calls;
} latency_situation;

static const latency_situation situations[] = {
    {"one-core", false, 0, CALLS},
    {"two-cores", true, 0, CALLS},
    {"idle-peer", true, IDLE_NS, CALLS_IDLE},
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static bool sample(const rpc_subject *subject, void *client, const latency_situation *situation,
                   double *ret_samples)
{
    const struct timespec idle = {.tv_nsec = situation->idle_ns};
    bool right = subject->nothing(client, situation->idle_ns ? 1 : CALLS / 10, 1);
    for (size_t i = 0; right && i < situation->calls; i++) {
        if (situation->idle_ns)
            nanosleep(&idle, NULL);
        double began = now();
        right = subject->nothing(client, 1, i + 2);
        ret_samples[i] = now() - began;
    }
    return right;
}

/* The same in a process of its own: nng's is not to have been forked. */
static bool sample_in_child(const rpc_subject *subject, const rpc_place *place,
                            const latency_situation *situation, double *ret_samples)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        void *client = subject->open(place);
        bool right = client && sample(subject, client, situation, ret_samples);
        if (client)
            subject->close(client);
        exit(right ? 0 : 1);
    }
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0;
}

/* `samples` is shared with children. */
static bool measure_one(measure_report *report, const char *name, const latency_row *row,
                        const latency_situation *situation, const char *folder,
                        const rpc_cores *cores, double *samples)
{
    rpc_server server;
    const rpc_subject *subject = row->subject;
    if (!subject->serve)
        return measure_latency(report, name, NULL, 0);
    rpc_cores_use(situation->two_cores ? &cores->other : &cores->first);
    bool started = rpc_server_start(&server, subject, &(rpc_place){.scheme = row->scheme}, folder);
    rpc_cores_use(&cores->first);
    if (!started)
        return false;
    bool right = sample_in_child(subject, &server.place, situation, samples);
    rpc_server_stop(&server);
    if (row->scheme == RPC_PIPE) {
        close(server.place.client_in);
        close(server.place.client_out);
    }
    if (right)
        return measure_latency(report, name, samples, situation->calls);
    fprintf(stderr, "bench: %s failed\n", name);
    return false;
}

/* Either all rows whose names are wanted, or only whether there are any, where `folder` is NULL. */
static bool each_row(measure_report *report, const char *folder, const rpc_cores *cores,
                     double *samples)
{
    bool right = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof situations / sizeof *situations; j++) {
            char name[64];
            snprintf(name, sizeof name, "latency/%s/%s", rows[i].name, situations[j].name);
            if (!measure_wants(report, name))
                continue;
            if (!folder)
                return true;
            right &= measure_one(report, name, &rows[i], &situations[j], folder, cores, samples);
        }
    return folder && right;
}

bool latency_rows(measure_report *report)
{
    if (!each_row(report, NULL, NULL, NULL))
        return true;
    char folder[SCRATCH_SIZE];
    double *samples = mmap(NULL, CALLS * sizeof *samples, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (samples == MAP_FAILED || !scratch_make(folder))
        return false;
    rpc_network_enter();
    rpc_cores cores;
    rpc_cores_find(&cores);
    bool right = each_row(report, folder, &cores, samples);
    munmap(samples, CALLS * sizeof *samples);
    rpc_cores_use(&cores.all);
    scratch_remove(folder);
    return right;
}
