/* SPDX-License-Identifier: MIT */
/* memfs_random ADDRESS CALLS: threads that call every procedure of the NFS server of the examples
 * at once, with old and made-up handles, odd names and offsets, on the same few files. Every call
 * must be answered; at the end all files are removed, and what they took must be free again. */
#include "mount3.h"
#include "nfs3.h"

#include <dari/dari.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4u
#define HANDLES 8u
#define DATA_MAX (32u << 10)
/* What the root may keep as room for names. */
#define ROOM (64u << 10)

typedef struct handle {
    uint8_t bytes[NFS_HANDLE_SIZE];
    uint32_t size;
} handle;

typedef struct caller {
    const char *address;
    unsigned long calls;
    uint64_t random;
    dari_client *client;
    dari_call call;
    char name[300];
    handle root, known[HANDLES]; /* some are stale, some never were good */
    pthread_t thread;
} caller;

static void check(caller *by, int status, const char *what)
{
    if (status == 0)
        return;
    fprintf(stderr, "memfs_random: %s: %s\n", what, dari_call_message(&by->call));
    exit(1);
}

static uint32_t below(caller *by, uint32_t limit)
{
    by->random = by->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(by->random >> 33) % limit;
}

static nfs_handle as_argument(const handle *of)
{
    return (nfs_handle){.size = of->size, .data = of->bytes};
}

static void keep(handle *kept, nfs_handle from)
{
    kept->size = from.size;
    memcpy(kept->bytes, from.data, from.size);
}

static nfs_handle any_handle(caller *by)
{
    return as_argument(!below(by, 4) ? &by->root : &by->known[below(by, HANDLES)]);
}

static nfs_place any_place(caller *by)
{
    static const char *const odd[] = {".", "..", "", "x/y", "\033"};
    uint32_t which = below(by, 100);
    snprintf(by->name, sizeof by->name, which ? "%u" : "%0299u", below(by, 50));
    if (which >= 1 && which <= 5)
        strcpy(by->name, odd[which - 1]);
    return (nfs_place){.directory = below(by, 2) ? as_argument(&by->root) : any_handle(by),
                       .name = by->name};
}

static uint64_t any_offset(caller *by)
{
    static const uint64_t edges[] = {0, 1, 1u << 20, (1u << 20) - 3, UINT64_C(1) << 36, UINT64_MAX};
    uint64_t edge = edges[below(by, 6)];
    return below(by, 2) ? edge : edge + below(by, 1000) - 500;
}

static void learn(caller *by, const nfs_handle *made)
{
    handle *kept = &by->known[below(by, HANDLES)];
    if (made)
        keep(kept, *made);
    else if (!below(by, 100))
        kept->bytes[below(by, kept->size)] ^= 0x01;
}

static int call_file(caller *by)
{
    static uint8_t data[DATA_MAX];
    dari_call *call = &by->call;
    union {
        getattr_result getattr;
        change_result setattr;
        access_result access;
        readlink_result readlink;
        read_result read;
        write_result write;
        commit_result commit;
    } result;
    nfs_handle file = any_handle(by);
    uint64_t size = any_offset(by);
    uint32_t count = below(by, 2) ? below(by, DATA_MAX) : UINT32_MAX >> below(by, 12);
    switch (below(by, 7)) {
    case 0:
        return getattr_3(by->client, &file, &result.getattr, call);
    case 1:
        return setattr_3(by->client, &(setattr_arguments){.object = file, .attributes.size = &size},
                         &result.setattr, call);
    case 2:
        return access_3(by->client, &(access_arguments){file, UINT32_MAX}, &result.access, call);
    case 3:
        return readlink_3(by->client, &file, &result.readlink, call);
    case 4:
        return read_3(by->client, &(read_arguments){file, size, count}, &result.read, call);
    case 5:
        count %= DATA_MAX;
        return write_3(
            by->client,
            &(write_arguments){.file = file, .offset = size, .count = count, .data = {count, data}},
            &result.write, call);
    default:
        return commit_3(by->client, &(commit_arguments){.file = file}, &result.commit, call);
    }
}

static int make(caller *by)
{
    create_result result;
    nfs_place where = any_place(by);
    int status;
    switch (below(by, 4)) {
    case 0:
        status = mkdir_3(by->client, &(mkdir_arguments){.where = where}, &result, &by->call);
        break;
    case 1:
        status = symlink_3(by->client, &(symlink_arguments){.where = where, .path = "a"}, &result,
                           &by->call);
        break;
    default:
        status =
            create_3(by->client,
                     &(create_arguments){.where = where, .how.mode = (nfs_create_mode)below(by, 3)},
                     &result, &by->call);
    }
    if (status == 0)
        learn(by, result.status == NFS_OK ? result.u.created.object : NULL);
    return status;
}

static int call_name(caller *by)
{
    dari_call *call = &by->call;
    union {
        lookup_result lookup;
        change_result change;
        rename_result rename;
        link_result link;
        readdir_result readdir;
        readdirplus_result readdirplus;
    } result;
    nfs_place where = any_place(by), to = {.name = below(by, 2) ? "1" : "2"};
    uint32_t count = UINT32_MAX >> below(by, 32);
    int status;
    switch (below(by, 7)) {
    case 0:
        status = lookup_3(by->client, &where, &result.lookup, call);
        if (status == 0 && result.lookup.status == NFS_OK)
            learn(by, &result.lookup.u.found.object);
        return status;
    case 1:
        return remove_3(by->client, &where, &result.change, call);
    case 2:
        return rmdir_3(by->client, &where, &result.change, call);
    case 3:
        to.directory = any_handle(by);
        return rename_3(by->client, &(rename_arguments){where, to}, &result.rename, call);
    case 4:
        return link_3(by->client, &(link_arguments){any_handle(by), where}, &result.link, call);
    case 5:
        return readdir_3(by->client,
                         &(readdir_arguments){.directory = where.directory,
                                              .cookie = any_offset(by),
                                              .count = count},
                         &result.readdir, call);
    default:
        return readdirplus_3(by->client,
                             &(readdirplus_arguments){.directory = where.directory,
                                                      .cookie = any_offset(by),
                                                      .names_count = count,
                                                      .count = count},
                             &result.readdirplus, call);
    }
}

static void begin(caller *by)
{
    static const dari_auth_sys root = {0};
    const dari_client_options options = {.auth_sys = &root, .call = &by->call};
    mount_path path = "/memory";
    mount_result mounted;
    check(by, dari_connect(by->address, &options, &by->client), "connecting");
    check(by, mnt_3(by->client, &path, &mounted, &by->call), "MNT");
    keep(&by->root, mounted.u.root.handle);
    for (unsigned i = 0; i < HANDLES; i++)
        by->known[i] = by->root;
}

static void end(caller *by)
{
    dari_call_end(&by->call);
    dari_client_close(by->client);
}

static void *call_at_random(void *user)
{
    static int (*const kinds[])(caller *) = {call_file, make, call_name};
    caller *by = user;
    begin(by);
    for (unsigned long i = 0; i < by->calls; i++) {
        dari_call_reset(&by->call);
        check(by, kinds[below(by, 3)](by), "a call");
    }
    end(by);
    return NULL;
}

static fsstat_space space(caller *by)
{
    fsstat_result result;
    nfs_handle root = as_argument(&by->root);
    dari_call_reset(&by->call);
    check(by, fsstat_3(by->client, &root, &result, &by->call), "FSSTAT");
    return result.u.space;
}

/* Removes what the directory has, and what is below. */
static void empty(caller *by, const handle *directory)
{
    readdirplus_result page;
    change_result removed;
    for (;;) {
        dari_call_reset(&by->call);
        check(by,
              readdirplus_3(by->client,
                            &(readdirplus_arguments){.directory = as_argument(directory),
                                                     .cookie = 2,
                                                     .names_count = 4096,
                                                     .count = 4096},
                            &page, &by->call),
              "READDIRPLUS");
        const nfs_entry_plus *first = page.u.page.entries;
        if (page.status != NFS_OK || !first)
            return;
        char name[256];
        handle node;
        bool is_directory = first->attributes->type == NFS_DIRECTORY;
        snprintf(name, sizeof name, "%s", first->name);
        keep(&node, *first->object);
        if (is_directory)
            empty(by, &node);
        nfs_place place = {.directory = as_argument(directory), .name = name};
        dari_call_reset(&by->call);
        check(by,
              is_directory ? rmdir_3(by->client, &place, &removed, &by->call)
                           : remove_3(by->client, &place, &removed, &by->call),
              "removing");
    }
}

int main(int argc, char **argv)
{
    static caller callers[THREADS];
    if (argc != 3)
        return 2;
    caller last = {.address = argv[1]};
    begin(&last);
    fsstat_space before = space(&last);
    for (unsigned i = 0; i < THREADS; i++) {
        callers[i] = (caller){
            .address = argv[1], .calls = strtoul(argv[2], NULL, 10), .random = (i + 1) * 7919u};
        if (pthread_create(&callers[i].thread, NULL, call_at_random, &callers[i]))
            return 1;
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(callers[i].thread, NULL);
    empty(&last, &last.root);
    fsstat_space after = space(&last);
    end(&last);
    if (after.files_free == before.files_free && before.bytes_free - after.bytes_free < ROOM)
        return 0;
    fprintf(stderr, "memfs_random: %llu bytes and %llu files are lost\n",
            (unsigned long long)(before.bytes_free - after.bytes_free),
            (unsigned long long)(before.files_free - after.files_free));
    return 1;
}
