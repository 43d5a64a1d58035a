/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static nfs_time now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (nfs_time){(uint32_t)time.tv_sec, (uint32_t)time.tv_nsec};
}

void tree_touch(tree_node *node, bool written)
{
    node->attributes.changed = now();
    if (written)
        node->attributes.written = node->attributes.changed;
}

/* Room for one more in an array of `size` bytes each; it may move. */
static bool grow(void *array, uint32_t count, uint32_t *room, size_t size)
{
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    if (count < *room)
        return true;
    uint32_t wanted = *room ? 2 * *room : 8;
    grown = realloc(old, wanted * size);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *room = wanted;
    return true;
}

static tree_node *make_node(file_tree *tree, nfs_type type, const tree_user *user, uint32_t mode)
{
    tree_node *node = NULL;
    if (tree->node_count < TREE_NODES_MAX &&
        grow(&tree->nodes, tree->node_count, &tree->node_room, sizeof(tree_node *)))
        node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    tree->nodes[tree->node_count++] = node;
    node->next_cookie = 3; /* after those of "." and ".." */
    node->attributes = (nfs_attributes){.type = type,
                                        .mode = mode & 07777,
                                        .links = type == NFS_DIRECTORY ? 2 : 1,
                                        .uid = user->uid,
                                        .gid = user->gid,
                                        .file_system = 1,
                                        .number = tree->node_count,
                                        .read = now()};
    tree_touch(node, true);
    return node;
}

static void free_node(tree_node *node)
{
    if (!node)
        return;
    for (uint32_t i = 0; i < node->entry_count; i++)
        free(node->entries[i].name);
    free(node->entries);
    free(node->data);
    free(node);
}

bool tree_begin(file_tree *tree)
{
    const tree_user nobody_special = {0};
    nfs_time began = now();
    *tree = (file_tree){0};
    pthread_rwlock_init(&tree->lock, NULL);
    memcpy(tree->verifier, &began, sizeof tree->verifier);
    tree->root = make_node(tree, NFS_DIRECTORY, &nobody_special, 0777);
    if (tree->root)
        tree->root->parent = tree->root;
    return tree->root;
}

void tree_end(file_tree *tree)
{
    for (uint32_t i = 0; i < tree->node_count; i++)
        free_node(tree->nodes[i]);
    free(tree->nodes);
    pthread_rwlock_destroy(&tree->lock);
}

tree_node *tree_find(const file_tree *tree, nfs_handle handle)
{
    tree_handle named;
    if (handle.size != sizeof named)
        return NULL;
    memcpy(&named, handle.data, sizeof named);
    bool known = memcmp(named.verifier, tree->verifier, sizeof named.verifier) == 0 &&
                 named.number - 1 < tree->node_count;
    return known ? tree->nodes[named.number - 1] : NULL;
}

static bool has_group(const tree_user *user, uint32_t gid)
{
    for (uint32_t i = 0; i < user->group_count; i++)
        if (user->groups[i] == gid)
            return true;
    return user->gid == gid;
}

bool tree_may(const tree_node *node, const tree_user *user, unsigned wanted)
{
    uint32_t mode = node->attributes.mode;
    if (user->uid == 0)
        return true;
    if (user->uid == node->attributes.uid)
        mode >>= 6;
    else if (has_group(user, node->attributes.gid))
        mode >>= 3;
    return (mode & wanted) == wanted;
}

tree_entry *tree_look_up(const tree_node *directory, const char *name)
{
    for (uint32_t i = 0; i < directory->entry_count; i++)
        if (strcmp(directory->entries[i].name, name) == 0)
            return &directory->entries[i];
    return NULL;
}

bool tree_is_below(const tree_node *node, const tree_node *directory)
{
    for (; node != directory; node = node->parent)
        if (node == node->parent)
            return false;
    return true;
}

static nfs_status check_name(const tree_node *directory, const char *name)
{
    if (directory->attributes.type != NFS_DIRECTORY)
        return NFS_NOTDIR;
    if (strlen(name) > TREE_NAME_MAX)
        return NFS_NAMETOOLONG;
    if (!*name || strchr(name, '/'))
        return NFS_INVAL;
    bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    return dots || tree_look_up(directory, name) ? NFS_EXIST : NFS_OK;
}

/* The name has been checked. */
static bool add_entry(tree_node *directory, const char *name, tree_node *node)
{
    char *copy = strdup(name);
    if (!copy || !grow(&directory->entries, directory->entry_count, &directory->entry_room,
                       sizeof(tree_entry))) {
        free(copy);
        return false;
    }
    directory->entries[directory->entry_count++] =
        (tree_entry){.name = copy, .node = node, .cookie = directory->next_cookie++};
    if (node->attributes.type == NFS_DIRECTORY) {
        node->parent = directory;
        directory->attributes.links++;
    }
    tree_touch(directory, true);
    return true;
}

nfs_status tree_make(file_tree *tree, tree_node *directory, const char *name, nfs_type type,
                     const tree_user *user, uint32_t mode, tree_node **ret_node)
{
    nfs_status status = check_name(directory, name);
    if (status != NFS_OK)
        return status;
    tree_node *node = make_node(tree, type, user, mode);
    if (!node)
        return NFS_NOSPC;
    if (!add_entry(directory, name, node)) {
        tree->nodes[--tree->node_count] = NULL;
        free_node(node);
        return NFS_NOSPC;
    }
    *ret_node = node;
    return NFS_OK;
}

nfs_status tree_link(tree_node *directory, const char *name, tree_node *node)
{
    nfs_status status = check_name(directory, name);
    if (status != NFS_OK)
        return status;
    if (!add_entry(directory, name, node))
        return NFS_NOSPC;
    if (node->attributes.type != NFS_DIRECTORY)
        node->attributes.links++;
    tree_touch(node, false);
    return NFS_OK;
}

static void drop_entry(tree_node *directory, tree_entry *entry)
{
    size_t place = (size_t)(entry - directory->entries);
    if (entry->node->attributes.type == NFS_DIRECTORY)
        directory->attributes.links--;
    free(entry->name);
    directory->entry_count--;
    memmove(entry, entry + 1, (directory->entry_count - place) * sizeof *entry);
    tree_touch(directory, true);
}

nfs_status tree_move(tree_node *from, const char *name, tree_node *to, const char *new_name)
{
    tree_node *node = tree_look_up(from, name)->node;
    nfs_status status = check_name(to, new_name);
    if (status != NFS_OK)
        return status;
    if (!add_entry(to, new_name, node))
        return NFS_NOSPC;
    drop_entry(from, tree_look_up(from, name));
    tree_touch(node, false);
    return NFS_OK;
}

void tree_unlink(file_tree *tree, tree_node *directory, tree_entry *entry)
{
    tree_node *node = entry->node;
    drop_entry(directory, entry);
    tree_touch(node, false);
    if (node->attributes.type != NFS_DIRECTORY && --node->attributes.links > 0)
        return;
    tree->nodes[node->attributes.number - 1] = NULL;
    free_node(node);
}

nfs_status tree_resize(tree_node *file, uint64_t size, uint64_t written_from)
{
    uint64_t old = file->attributes.size;
    uint64_t zeroed = written_from < size ? written_from : size;
    if (size > TREE_FILE_SIZE_MAX)
        return NFS_FBIG;
    if (size > file->room) {
        uint64_t room = size < (1u << 20) ? size : size + size / 2;
        uint8_t *grown = realloc(file->data, (size_t)room);
        if (!grown)
            return NFS_NOSPC;
        file->data = grown;
        file->room = room;
    }
    if (zeroed > old)
        memset(file->data + old, 0, (size_t)(zeroed - old));
    file->attributes.size = file->attributes.used = size;
    tree_touch(file, true);
    return NFS_OK;
}
