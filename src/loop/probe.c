/* SPDX-License-Identifier: MIT */
#include "loop/probe.h"

int di_probe(const char *address, const dari_client_options *options, uint32_t program,
             uint32_t version)
{
    dari_client *client;
    int error = dari_connect(address, options, &client);
    if (error < 0)
        return error;
    error = dari_client_ping(client, program, version, options->call);
    dari_client_close(client);
    return error;
}
