/* SPDX-License-Identifier: MIT */
/* The schemes there are. */
#include "transport/exec.h"
#include "transport/fifo.h"
#include "transport/mq.h"
#include "transport/pipe.h"
#include "transport/shm.h"
#include "transport/tcp.h"
#include "transport/transport.h"
#include "transport/udp.h"
#include "transport/unix.h"

#include <dari/error.h>

#include <string.h>

const di_transport *const di_transports[] = {
    &di_unix_transport, &di_pipe_transport, &di_exec_transport,
    &di_shm_transport,  &di_fifo_transport, &di_tcp_transport,
    &di_udp_transport,  &di_mq_transport,   NULL,
};

int di_transport_find(const char *address, const di_transport **ret_transport,
                      const char **ret_rest)
{
    for (const di_transport *const *at = di_transports; *at; at++) {
        size_t size = strlen((*at)->prefix);
        if (strncmp(address, (*at)->prefix, size) == 0) {
            *ret_transport = *at;
            *ret_rest = address + size;
            return 0;
        }
    }
    const char *colon = strchr(address, ':');
    return colon && colon != address && !memchr(address, '/', (size_t)(colon - address))
               ? DARI_SCHEME
               : DARI_ADDRESS;
}
