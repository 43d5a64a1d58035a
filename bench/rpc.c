/* SPDX-License-Identifier: MIT */
/* The rows of calls: for each, all servers are started, then all clients connect, then they take
 * turns. */
#include "rpc.h"
#include "rpc_cores.h"
#include "rpc_idle.h"
#include "rpc_network.h"
#include "rpc_server.h"
#include "scratch.h"

#include <stdio.h>

enum rpc_work { NOTHING, PIPELINED, ECHO, LEND };

/* How the two sides of a row wait for each other. */
enum rpc_waits {
    BY_THEMSELVES, /* as they do by default, on one core */
    ON_TWO_CORES,  /* the same, each on a core of its own */
    ASLEEP,        /* never spinning, on one core */
    IDLE           /* as by default, on one core; nobody has called for IDLE_NS */
};

#define SUBJECTS_MAX 4
#define IDLE_NS 10000000u

typedef struct rpc_row {
    const char *name;
    enum rpc_scheme scheme;
    enum rpc_work work;
    size_t batches; /* as measure_row has them */
    enum rpc_waits waits;
    struct {
        const rpc_subject *subject;
        double target;
    } subjects[SUBJECTS_MAX]; /* dari's first, and NULL behind the last one */
} rpc_row;

/* A throughput of 0.85 is a time of 1/0.85. */
static const rpc_row rows[] = {
    {"rpc/unix/null",
     RPC_UNIX,
     NOTHING,
     301,
     BY_THEMSELVES,
     {{&rpc_dari, 0}, {&rpc_raw, 1.15}, {&rpc_tirpc, 0}, {&rpc_capnp, 0}}},
    {"rpc/tcp/null",
     RPC_TCP,
     NOTHING,
     301,
     BY_THEMSELVES,
     {{&rpc_dari, 0}, {&rpc_raw, 1.15}, {&rpc_tirpc, 0}}},
    {"rpc/udp/null",
     RPC_UDP,
     NOTHING,
     301,
     BY_THEMSELVES,
     {{&rpc_dari, 0}, {&rpc_raw, 1.15}, {&rpc_tirpc, 0}}},
    {"rpc/pipe/null",
     RPC_PIPE,
     NOTHING,
     301,
     BY_THEMSELVES,
     {{&rpc_dari, 0}, {&rpc_raw_pipe, 1.15}}},
    {"rpc/fifo/null",
     RPC_FIFO,
     NOTHING,
     301,
     BY_THEMSELVES,
     {{&rpc_dari, 0}, {&rpc_raw_pipe, 1.15}}},
    {"rpc/mq/null", RPC_MQ, NOTHING, 301, BY_THEMSELVES, {{&rpc_dari, 0}, {&rpc_raw_mq, 1.15}}},
    {"rpc/unix/pipelined64",
     RPC_UNIX,
     PIPELINED,
     101,
     BY_THEMSELVES,
     {{&rpc_dari, 0}, {&rpc_raw, 0}, {&rpc_tirpc, 1.0 / 25}, {&rpc_capnp, 1.0 / 10}}},
    {"rpc/tcp/echo1M", RPC_TCP, ECHO, 101, BY_THEMSELVES, {{&rpc_dari, 0}, {&rpc_raw, 1 / 0.85}}},
    {"rpc/shm/null", RPC_SHM, NOTHING, 301, ON_TWO_CORES, {{&rpc_dari, 0}, {&rpc_raw_shm, 2.5}}},
    {"rpc/shm/null-sleeping",
     RPC_SHM,
     NOTHING,
     301,
     ASLEEP,
     {{&rpc_dari, 0}, {&rpc_raw_unix, 1.15}}},
    {"rpc/shm/null-idle10ms", RPC_SHM, NOTHING, 101, IDLE, {{&rpc_dari, 0}, {&rpc_raw_unix, 1.15}}},
    {"rpc/shm/pipelined64",
     RPC_SHM,
     PIPELINED,
     101,
     ON_TWO_CORES,
     {{&rpc_dari, 0}, {&rpc_dari_unix, 1.0 / 3}}},
    {"rpc/shm/echo1M", RPC_SHM, ECHO, 101, ON_TWO_CORES, {{&rpc_dari, 0}, {&rpc_raw_shm, 1.2}}},
    {"rpc/shm/loan1M", RPC_SHM, LEND, 101, ON_TWO_CORES, {{&rpc_dari_loan, 0}, {&rpc_memcpy, 1.2}}},
};

/* A subject of the row that is being measured. */
typedef struct rpc_entrant {
    const rpc_subject *subject;
    rpc_server server;
    void *client;
} rpc_entrant;

static bool start_servers(rpc_entrant *entrants, size_t count, const rpc_row *row,
                          const char *folder)
{
    const rpc_place wanted = {.scheme = row->scheme, .never_spins = row->waits == ASLEEP};
    for (size_t i = 0; i < count; i++) {
        entrants[i].subject = row->subjects[i].subject;
        if (entrants[i].subject->serve &&
            !rpc_server_start(&entrants[i].server, entrants[i].subject, &wanted, folder))
            return false;
    }
    return true;
}

static bool start_all(rpc_entrant *entrants, size_t count, const rpc_row *row, const char *folder,
                      const rpc_cores *cores)
{
    if (row->waits == ON_TWO_CORES)
        rpc_cores_use(&cores->other);
    bool started = start_servers(entrants, count, row, folder);
    rpc_cores_use(&cores->first);
    if (!started)
        return false;
    /* Only now, so that no server inherits a client. */
    for (size_t i = 0; i < count; i++) {
        if (!entrants[i].subject->open)
            continue;
        entrants[i].client = entrants[i].subject->open(&entrants[i].server.place);
        if (!entrants[i].client) {
            fprintf(stderr, "bench: %s: %s cannot connect\n", row->name, entrants[i].subject->name);
            return false;
        }
    }
    return true;
}

static void stop_all(rpc_entrant *entrants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (entrants[i].client)
            entrants[i].subject->close(entrants[i].client);
        rpc_server_stop(&entrants[i].server);
    }
}

static bool (*run_of(const rpc_subject *subject, enum rpc_work work))(void *, uint64_t, uint64_t)
{
    switch (work) {
    case NOTHING:
        return subject->nothing;
    case PIPELINED:
        return subject->pipelined ? subject->pipelined : subject->nothing;
    case ECHO:
        return subject->echo;
    case LEND:
        return subject->lend;
    }
    return NULL;
}

/* Fewer calls than that would be lined up, not in flight; or cost what it takes to wake a server,
 * which has slept since the batch before, where a peer wakes nobody. */
static uint64_t rounds_min(const rpc_subject *subject, enum rpc_work work)
{
    if (work == LEND)
        return RPC_IN_FLIGHT / 2;
    return work == PIPELINED && subject->pipelined ? 2 * RPC_IN_FLIGHT : 1;
}

static bool measure_row_of(measure_report *report, const rpc_row *row, const char *folder,
                           const rpc_cores *cores)
{
    rpc_entrant entrants[SUBJECTS_MAX] = {0};
    measure_subject subjects[SUBJECTS_MAX];
    size_t count = 0;
    while (count < SUBJECTS_MAX && row->subjects[count].subject)
        count++;
    bool right = start_all(entrants, count, row, folder, cores);
    for (size_t i = 0; right && i < count; i++)
        subjects[i] = (measure_subject){.name = entrants[i].subject->name,
                                        .run = run_of(entrants[i].subject, row->work),
                                        .context = entrants[i].client,
                                        .rounds_min = rounds_min(entrants[i].subject, row->work),
                                        .target = row->subjects[i].target};
    right = right && measure(report, &(measure_row){.name = row->name,
                                                    .subjects = subjects,
                                                    .subject_count = count,
                                                    .batches = row->batches,
                                                    .rounds = row->waits == IDLE,
                                                    .idle_ns = row->waits == IDLE ? IDLE_NS : 0});
    stop_all(entrants, count);
    return right;
}

static bool wants_any(const measure_report *report)
{
    bool wanted = measure_wants(report, RPC_IDLE_NAME);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        wanted |= measure_wants(report, rows[i].name);
    return wanted;
}

bool rpc_rows(measure_report *report)
{
    if (!wants_any(report))
        return true;
    char folder[SCRATCH_SIZE];
    if (!scratch_make(folder))
        return false;
    rpc_network_enter();
    rpc_cores cores;
    rpc_cores_find(&cores);
    bool right = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (measure_wants(report, rows[i].name))
            right &= measure_row_of(report, &rows[i], folder, &cores);
    right &= rpc_idle_row(report, folder);
    rpc_cores_use(&cores.all);
    scratch_remove(folder);
    return right;
}
