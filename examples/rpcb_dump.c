/* SPDX-License-Identifier: MIT */
/* rpcb-dump ADDRESS: prints what is registered with the rpcbind there. The stubs are made of the
 * interface file that Debian ships with libtirpc. */
#include "rpcb_prot.h"

#include <dari/dari.h>

#include <stdio.h>

static void print(const struct rp__list *list)
{
    printf("%8s %7s  %-6s %-24s %s\n", "program", "version", "net", "address", "owner");
    for (; list; list = list->rpcb_next) {
        const rpcb *entry = &list->rpcb_map;
        printf("%8u %7u  %-6s %-24s %s\n", entry->r_prog, entry->r_vers, entry->r_netid,
               entry->r_addr, entry->r_owner);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: rpcb-dump ADDRESS\n");
        return 2;
    }
    rpcblist_ptr registered;

    dari_call call = DARI_CALL(.deadline_ns = 5 * DARI_S);
    dari_client *client = NULL;
    int status = dari_connect(argv[1], &(dari_client_options){.call = &call}, &client);
    if (status == 0)
        status = rpcbproc_dump_4(client, &registered, &call);
    if (status == 0)
        print(registered);
    else
        fprintf(stderr, "rpcb-dump: %s\n", dari_call_message(&call));

    dari_call_end(&call);
    dari_client_close(client);
    return status < 0;
}
