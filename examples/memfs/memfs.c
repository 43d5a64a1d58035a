/* SPDX-License-Identifier: MIT */
/* memfs [OPTION]... ADDRESS...: an NFS version 3 server whose files are in memory, and gone with
 * it. It serves NFS and MOUNT at every address, until SIGINT or SIGTERM, and prints each address
 * with the port that the system chose. An address without a port is registered with rpcbind. */
#include "handlers.h"

#include <dari/dari.h>

#include <errno.h>
#include <getopt.h>
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
    .mknod = do_mknod,
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

static void stop(int number)
{
    (void)number;
    dari_server_stop(server);
}

static void on_signals(void (*action)(int number))
{
    signal(SIGINT, action);
    signal(SIGTERM, action);
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

static const char help[] =
    "Usage: memfs [OPTION]... ADDRESS...\n"
    "\n"
    "Serves files by NFS version 3 and MOUNT version 3, as the export /memory. They are in "
    "memory,\n"
    "and gone once it ends, at SIGINT or SIGTERM. Whoever can call it is believed who he is.\n"
    "\n"
    "ADDRESS is tcp://HOST:PORT or udp://HOST:PORT; with the port 0 the system chooses one, and\n"
    "without a port rpcbind there is told of it. Each is printed on a line once it is served.\n"
    "\n"
    "  --memory SIZE   what files and names may take, in bytes or, as 64M, in K, M or G;\n"
    "                  default: 1G\n"
    "  --workers N     how many threads answer calls; default: 4\n"
    "  --help\n"
    "\n"
    "Exits with 0, 1 where something went wrong, or 2 where it was used wrongly.\n";

static int suggest_help(void)
{
    fputs("memfs --help says more\n", stderr);
    return 2;
}

/* "memfs: OPTION VALUE: WHY". Returns 2, the code to exit with. */
static int misused(const char *what, const char *value, const char *why)
{
    fprintf(stderr, "memfs: %s%s%s: %s\n", what, *value ? " " : "", value, why);
    return suggest_help();
}

/* Digits, and then `*ret_rest`. */
static bool read_number(const char *text, uint64_t *ret_number, const char **ret_rest)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    *ret_number = number;
    *ret_rest = end;
    return *text >= '0' && *text <= '9' && !errno;
}

static bool read_workers(const char *text, uint32_t *ret_workers)
{
    const char *rest;
    uint64_t number;
    if (!read_number(text, &number, &rest) || *rest || number > DARI_WORKERS_MAX)
        return false;
    *ret_workers = (uint32_t)number;
    return true;
}

static bool read_size(const char *text, uint64_t *ret_size)
{
    static const char units[] = "KMG";
    const char *rest, *unit;
    uint64_t number;
    if (!read_number(text, &number, &rest))
        return false;
    unit = *rest ? strchr(units, *rest) : NULL;
    if (*rest && (!unit || rest[1]))
        return false;
    unsigned bits = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    *ret_size = number << bits;
    return number && *ret_size >> bits == number;
}

/* Returns -1, or the code to exit with. */
static int read_options(int argc, char **argv, dari_server_options *options, uint64_t *ret_memory)
{
    static const struct option known[] = {{"memory", required_argument, NULL, 'm'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "+", known, NULL)) >= 0) {
        if (option == 'm' && !read_size(optarg, ret_memory))
            return misused("--memory", optarg, "it takes a number of bytes, as 65536, 64M or 2G");
        if (option == 'w' && !read_workers(optarg, &options->workers))
            return misused("--workers", optarg, "it takes a number of threads, 0 to 256");
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == '?')
            return suggest_help();
    }
    return optind < argc ? -1 : misused("ADDRESS", "", "say where to serve, as tcp://127.0.0.1:0");
}

int main(int argc, char **argv)
{
    dari_server_options options = {.workers = WORKERS_DEFAULT, .log = tell};
    uint64_t memory = TREE_MEMORY_DEFAULT;
    int code = read_options(argc, argv, &options, &memory);
    if (code >= 0)
        return code;
    file_tree tree;
    int status = tree_begin(&tree, memory) ? dari_server_create(&options, &server) : DARI_NO_MEMORY;
    if (status < 0) {
        fprintf(stderr, "memfs: %s\n", dari_error_text(status));
        tree_end(&tree);
        return 1;
    }
    on_signals(stop);
    status = serve(&tree, argv + optind);
    on_signals(SIG_DFL); /* another one finds no server to stop */
    dari_server_destroy(server);
    tree_end(&tree);
    return status < 0;
}
