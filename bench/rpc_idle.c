/* SPDX-License-Identifier: MIT */
/* The server's private dirty memory, before and after. The clients are raw: theirs costs little. */
#include "rpc_idle.h"
#include "rpc_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define DESCRIPTORS_MAX (RPC_IDLE_CONNECTIONS + 64)

/* For this process, and for the server that it starts. */
static bool raise_descriptors(struct rlimit *ret_before)
{
    if (getrlimit(RLIMIT_NOFILE, ret_before) < 0)
        return false;
    struct rlimit raised = *ret_before;
    if (raised.rlim_cur < DESCRIPTORS_MAX)
        raised.rlim_cur = DESCRIPTORS_MAX;
    if (raised.rlim_max < raised.rlim_cur)
        raised.rlim_max = raised.rlim_cur;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return true;
    perror("bench: " RPC_IDLE_NAME ": as many descriptors as connections");
    return false;
}

/* Negative: not known. */
static double private_bytes(pid_t process)
{
    char path[64];
    char line[128];
    double kilobytes = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)process);
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    while (kilobytes < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, "Private_Dirty:", 14) == 0)
            kilobytes = strtod(line + 14, NULL);
    fclose(file);
    return kilobytes * 1024;
}

/* Connects and makes a call, so that what a first call leaves behind is counted. */
static void *connect_one(const rpc_place *place, uint64_t number)
{
    void *client = rpc_raw.open(place);
    if (!client || rpc_raw.nothing(client, 1, number))
        return client;
    rpc_raw.close(client);
    return NULL;
}

/* Returns the bytes for one connection. Negative: connecting failed. */
static double measure_growth(const rpc_server *server, void **clients)
{
    uint64_t count = 0;
    double before = -1;
    double after = -1;
    /* The first one is not counted: with it comes what the server has once. */
    while (count <= RPC_IDLE_CONNECTIONS && (clients[count] = connect_one(&server->place, count)))
        if (count++ == 0)
            before = private_bytes(server->process);
    if (count > RPC_IDLE_CONNECTIONS)
        after = private_bytes(server->process);
    else
        perror("bench: " RPC_IDLE_NAME ": connecting");
    while (count > 0)
        rpc_raw.close(clients[--count]);
    return before < 0 || after < 0 ? -1 : (after - before) / RPC_IDLE_CONNECTIONS;
}

bool rpc_idle_row(measure_report *report, const char *folder)
{
    struct rlimit before;
    rpc_server server;
    if (!measure_wants(report, RPC_IDLE_NAME))
        return true;
    if (!raise_descriptors(&before))
        return false;
    double bytes = -1;
    void **clients = calloc(RPC_IDLE_CONNECTIONS + 1, sizeof *clients);
    if (clients && rpc_server_start(&server, &rpc_dari, &(rpc_place){.scheme = RPC_UNIX}, folder)) {
        bytes = measure_growth(&server, clients);
        rpc_server_stop(&server);
    }
    free(clients);
    setrlimit(RLIMIT_NOFILE, &before);
    return bytes >= 0 && measure_figure(report, RPC_IDLE_NAME, "bytes", bytes, RPC_IDLE_BYTES_MAX);
}
