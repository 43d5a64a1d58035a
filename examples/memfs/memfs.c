/* SPDX-License-Identifier: MIT */
/* memfs [--workers N] ADDRESS...: an NFS version 3 server whose files are in memory, and gone with
 * it. It serves NFS and MOUNT at every address, until SIGINT or SIGTERM, and prints each address
 * with the port that the system chose. An address without a port is registered with rpcbind. */
#include "handlers.h"

#include <dari/dari.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_DEFAULT 4u

const nfs_3_handlers nfs_handlers = {
    .getattr = do_getattr,
    .setattr = do_setattr,
    .lookup = do_lookup,
    .access = do_access,
    .readlink = do_readlink,
    .read = do_read,
    .write = do_write,
    .create = do_create,
    .mkdir = do_mkdir,
    .symlink = do_symlink,
    .remove = do_remove,
    .rmdir = do_rmdir,
    .rename = do_rename,
    .link = do_link,
    .readdir = do_readdir,
    .readdirplus = do_readdirplus,
    .fsstat = do_fsstat,
    .fsinfo = do_fsinfo,
    .pathconf = do_pathconf,
    .commit = do_commit,
};

static dari_server *server; /* for the signal handler */

static void stop(int signal)
{
    (void)signal;
    dari_server_stop(server);
}

static void tell(void *user, int error, const char *text)
{
    (void)user;
    (void)error;
    fprintf(stderr, "memfs: %s\n", text);
}

static int listen_at(char **addresses)
{
    for (size_t i = 0; addresses[i]; i++) {
        int status = dari_server_listen(server, addresses[i]);
        if (status < 0)
            return status;
        printf("%s\n", dari_server_address(server, i));
    }
    fflush(stdout);
    return 0;
}

static int serve(file_tree *tree, char **addresses)
{
    int status = nfs_3_serve(server, &nfs_handlers, tree);
    if (status == 0)
        status = mount_3_serve(server, &mount_handlers, tree);
    if (status == 0)
        status = listen_at(addresses);
    if (status < 0) {
        fprintf(stderr, "memfs: %s\n", dari_server_message(server));
        return status;
    }
    status = dari_server_run(server);
    if (status < 0)
        fprintf(stderr, "memfs: %s\n", dari_error_text(status));
    return status;
}

static bool read_workers(const char *text, uint32_t *ret_workers)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *ret_workers = (uint32_t)number;
    return *text >= '0' && *text <= '9' && *end == '\0' && number <= DARI_WORKERS_MAX;
}

int main(int argc, char **argv)
{
    dari_server_options options = {.workers = WORKERS_DEFAULT, .log = tell};
    char **addresses = argv + 1;
    bool understood = true;
    if (argc > 2 && strcmp(argv[1], "--workers") == 0) {
        understood = read_workers(argv[2], &options.workers);
        addresses += 2;
    }
    if (!understood || argc < 2 || !*addresses || **addresses == '-') {
        fprintf(stderr, "Usage: memfs [--workers N] ADDRESS...\n");
        return 2;
    }
    struct sigaction action = {.sa_handler = stop};
    file_tree tree;
    int status = tree_begin(&tree) ? dari_server_create(&options, &server) : DARI_NO_MEMORY;
    if (status < 0) {
        fprintf(stderr, "memfs: %s\n", dari_error_text(status));
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = serve(&tree, addresses);
    dari_server_destroy(server);
    tree_end(&tree);
    return status < 0;
}
