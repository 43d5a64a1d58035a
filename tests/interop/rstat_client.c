/* SPDX-License-Identifier: MIT */
/* rstat_client ADDRESS VERSION: asks a server of Debian's rstat.x, and prints when its machine was
 * started, in seconds since 1970; for version 1, which does not tell, how many bytes went out. */
#include "rstat.h"

#include <dari/dari.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int ask(dari_client *client, int version, dari_call *call, uint32_t *ret_boot)
{
    statstime newest;
    statsswtch newer;
    stats oldest;
    int status;
    if (version == 1) {
        status = rstatproc_stats_1(client, &oldest, call);
        *ret_boot = status < 0 ? 0 : (uint32_t)oldest.if_opackets;
    } else if (version == 2) {
        status = rstatproc_stats_2(client, &newer, call);
        *ret_boot = status < 0 ? 0 : newer.boottime.tv_sec;
    } else {
        status = rstatproc_stats_3(client, &newest, call);
        *ret_boot = status < 0 ? 0 : newest.boottime.tv_sec;
    }
    return status;
}

int main(int argc, char **argv)
{
    dari_client *client = NULL;
    dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_S);
    dari_client_options options = {.call = &call};
    uint32_t boot = 0;
    if (argc < 3)
        return 2;
    if (argc == 3)
        options.accept = DARI_ACCEPT_TRAILING;
    int status = dari_connect(argv[1], &options, &client);
    if (status == 0)
        status = dari_client_ping(client, RSTATPROG, (uint32_t)atoi(argv[2]), &call);
    if (status == 0)
        status = ask(client, atoi(argv[2]), &call, &boot);
    if (status < 0)
        fprintf(stderr, "%s\n", dari_call_message(&call));
    else
        printf("%" PRIu32 "\n", boot);
    dari_client_close(client);
    dari_call_end(&call);
    return status < 0;
}
