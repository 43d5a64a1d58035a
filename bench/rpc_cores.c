/* SPDX-License-Identifier: MIT */
#include "rpc_cores.h"

#include <stdio.h>

void rpc_cores_use(const cpu_set_t *cores)
{
    if (sched_setaffinity(0, sizeof *cores, cores) < 0)
        perror("bench: staying on a core");
}

void rpc_cores_find(rpc_cores *ret_cores)
{
    size_t here = (size_t)sched_getcpu();
    size_t other = 0;
    if (sched_getaffinity(0, sizeof ret_cores->all, &ret_cores->all) < 0)
        CPU_ZERO(&ret_cores->all);
    while (other < CPU_SETSIZE && (other == here || !CPU_ISSET(other, &ret_cores->all)))
        other++;
    if (other == CPU_SETSIZE) {
        fprintf(stderr, "bench: there is one core: rows of two run on that\n");
        other = here;
    }
    CPU_ZERO(&ret_cores->first);
    CPU_SET(here, &ret_cores->first);
    CPU_ZERO(&ret_cores->other);
    CPU_SET(other, &ret_cores->other);
    rpc_cores_use(&ret_cores->first);
}
