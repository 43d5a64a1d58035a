/* SPDX-License-Identifier: MIT */
#include "handlers.h"

#include <string.h>

/* A caller without AUTH_SYS is nobody. */
#define NOBODY 65534u

#define TRANSFER_MAX (1u << 20)
#define DATAGRAM_TRANSFER_MAX (32u << 10)

void visit_begin(tree_visit *visit, dari_request *request, bool changes)
{
    *visit = (tree_visit){.request = request, .tree = dari_request_user(request)};
    if (dari_request_auth_sys(request, &visit->auth) < 0)
        visit->auth = (dari_auth_sys){.uid = NOBODY, .gid = NOBODY};
    visit->user = (tree_user){.uid = visit->auth.uid,
                              .gid = visit->auth.gid,
                              .group_count = visit->auth.group_count,
                              .groups = visit->auth.groups};
    if (changes)
        pthread_rwlock_wrlock(&visit->tree->lock);
    else
        pthread_rwlock_rdlock(&visit->tree->lock);
}

int visit_end(tree_visit *visit)
{
    pthread_rwlock_unlock(&visit->tree->lock);
    return visit->no_memory ? DARI_NO_MEMORY : 0;
}

uint32_t transfer_max(dari_request *request)
{
    bool datagrams = strncmp(dari_request_peer_address(request), "udp:", 4) == 0;
    return datagrams ? DATAGRAM_TRANSFER_MAX : TRANSFER_MAX;
}

void *copy_bytes(tree_visit *visit, const void *bytes, size_t size)
{
    void *copy = dari_arena_take(dari_request_arena(visit->request), size ? size : 1);
    if (!copy)
        visit->no_memory = true;
    else if (size)
        memcpy(copy, bytes, size);
    return copy;
}

char *copy_name(tree_visit *visit, const char *name)
{
    return copy_bytes(visit, name, strlen(name) + 1);
}

nfs_attributes *copy_attributes(tree_visit *visit, const tree_node *node)
{
    return copy_bytes(visit, &node->attributes, sizeof node->attributes);
}

nfs_before *copy_before(tree_visit *visit, const tree_node *node)
{
    const nfs_attributes *now = &node->attributes;
    return copy_bytes(
        visit, &(nfs_before){.size = now->size, .written = now->written, .changed = now->changed},
        sizeof(nfs_before));
}

nfs_handle copy_handle(tree_visit *visit, const tree_node *node)
{
    tree_handle handle = tree_handle_of(visit->tree, node);
    return (nfs_handle){.size = sizeof handle, .data = copy_bytes(visit, &handle, sizeof handle)};
}

nfs_status find_file(tree_visit *visit, nfs_handle handle, tree_node **ret_file)
{
    tree_node *file = tree_find(visit->tree, handle);
    if (!file)
        return NFS_STALE;
    *ret_file = file;
    if (file->attributes.type == NFS_DIRECTORY)
        return NFS_ISDIR;
    return file->attributes.type == NFS_FILE ? NFS_OK : NFS_INVAL;
}

nfs_status find_directory(tree_visit *visit, nfs_handle handle, unsigned wanted,
                          tree_node **ret_directory)
{
    tree_node *directory = tree_find(visit->tree, handle);
    if (!directory)
        return NFS_STALE;
    *ret_directory = directory;
    if (directory->attributes.type != NFS_DIRECTORY)
        return NFS_NOTDIR;
    return tree_may(directory, &visit->user, wanted) ? NFS_OK : NFS_ACCES;
}
