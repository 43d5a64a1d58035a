/* SPDX-License-Identifier: MIT */
#include "tree.h"

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

/* Room for one more: for `least`, or twice as many as before. */
static uint32_t more_room(uint32_t room, uint32_t least)
{
    return room ? 2 * room : least;
}

static bool grow_slots(file_tree *tree)
{
    if (tree->free_slot < tree->slot_count || tree->slot_count < tree->slot_room)
        return true;
    uint32_t room = more_room(tree->slot_room, 64);
    tree_slot *grown = memory_grow(&tree->memory, tree->slots, tree->slot_room * sizeof *grown,
                                   room * sizeof *grown);
    if (!grown)
        return false;
    tree->slots = grown;
    tree->slot_room = room;
    return true;
}

/* Puts the node into a slot; there is room. */
static void take_slot(file_tree *tree, tree_node *node)
{
    node->slot = tree->free_slot;
    if (node->slot == tree->slot_count)
        tree->free_slot = ++tree->slot_count;
    else
        tree->free_slot = tree->slots[node->slot].next_free;
    tree->slots[node->slot].node = node;
    tree->node_count++;
}

static tree_node *make_node(file_tree *tree, nfs_type type, const tree_user *user, uint32_t mode)
{
    tree_node *node = NULL;
    if (tree->node_count < TREE_NODES_MAX && grow_slots(tree))
        node = memory_grow(&tree->memory, NULL, 0, sizeof *node);
    if (!node)
        return NULL;
    take_slot(tree, node);
    node->next_cookie = 3; /* after those of "." and ".." */
    node->attributes = (nfs_attributes){.type = type,
                                        .mode = mode & 07777,
                                        .links = type == NFS_DIRECTORY ? 2 : 1,
                                        .uid = user->uid,
                                        .gid = user->gid,
                                        .file_system = 1,
                                        .number = ++tree->last_number,
                                        .read = now()};
    tree_touch(node, true);
    return node;
}

static void free_name(file_tree *tree, tree_entry *entry)
{
    memory_free(&tree->memory, entry->name, strlen(entry->name) + 1);
}

static void free_node(file_tree *tree, tree_node *node)
{
    tree->slots[node->slot] = (tree_slot){.next_free = tree->free_slot};
    tree->free_slot = node->slot;
    tree->node_count--;
    for (uint32_t i = 0; i < node->entry_count; i++)
        free_name(tree, &node->entries[i]);
    memory_free(&tree->memory, node->entries, node->entry_room * sizeof *node->entries);
    contents_free(&node->contents, &tree->memory);
    memory_free(&tree->memory, node, sizeof *node);
}

bool tree_begin(file_tree *tree, uint64_t memory_limit)
{
    const tree_user nobody_special = {0};
    nfs_time began = now();
    *tree = (file_tree){.memory.limit = memory_limit};
    pthread_rwlock_init(&tree->lock, NULL);
    memcpy(tree->verifier, &began, sizeof tree->verifier);
    tree->root = make_node(tree, NFS_DIRECTORY, &nobody_special, 0777);
    if (tree->root)
        tree->root->parent = tree->root;
    return tree->root;
}

void tree_end(file_tree *tree)
{
    for (uint32_t i = 0; i < tree->slot_count; i++)
        if (tree->slots[i].node)
            free_node(tree, tree->slots[i].node);
    memory_free(&tree->memory, tree->slots, tree->slot_room * sizeof *tree->slots);
    pthread_rwlock_destroy(&tree->lock);
}

tree_handle tree_handle_of(const file_tree *tree, const tree_node *node)
{
    tree_handle handle = {.number = node->attributes.number, .slot = node->slot};
    memcpy(handle.verifier, tree->verifier, sizeof handle.verifier);
    return handle;
}

tree_node *tree_find(const file_tree *tree, nfs_handle handle)
{
    tree_handle named;
    if (handle.size != sizeof named)
        return NULL;
    memcpy(&named, handle.data, sizeof named);
    if (memcmp(named.verifier, tree->verifier, sizeof named.verifier) != 0 ||
        named.slot >= tree->slot_count)
        return NULL;
    tree_node *node = tree->slots[named.slot].node;
    return node && node->attributes.number == named.number ? node : NULL;
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

static bool grow_entries(file_tree *tree, tree_node *directory)
{
    if (directory->entry_count < directory->entry_room)
        return true;
    uint32_t room = more_room(directory->entry_room, 8);
    tree_entry *grown = memory_grow(&tree->memory, directory->entries,
                                    directory->entry_room * sizeof *grown, room * sizeof *grown);
    if (!grown)
        return false;
    directory->entries = grown;
    directory->entry_room = room;
    return true;
}

/* The name has been checked. */
static bool add_entry(file_tree *tree, tree_node *directory, const char *name, tree_node *node)
{
    size_t size = strlen(name) + 1;
    char *copy = grow_entries(tree, directory) ? memory_grow(&tree->memory, NULL, 0, size) : NULL;
    if (!copy)
        return false;
    memcpy(copy, name, size);
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
    if (!add_entry(tree, directory, name, node)) {
        free_node(tree, node);
        return NFS_NOSPC;
    }
    *ret_node = node;
    return NFS_OK;
}

nfs_status tree_link(file_tree *tree, tree_node *directory, const char *name, tree_node *node)
{
    nfs_status status = check_name(directory, name);
    if (status != NFS_OK)
        return status;
    if (!add_entry(tree, directory, name, node))
        return NFS_NOSPC;
    node->attributes.links++;
    tree_touch(node, false);
    return NFS_OK;
}

static void drop_entry(file_tree *tree, tree_node *directory, tree_entry *entry)
{
    size_t place = (size_t)(entry - directory->entries);
    if (entry->node->attributes.type == NFS_DIRECTORY)
        directory->attributes.links--;
    free_name(tree, entry);
    directory->entry_count--;
    memmove(entry, entry + 1, (directory->entry_count - place) * sizeof *entry);
    tree_touch(directory, true);
}

nfs_status tree_move(file_tree *tree, tree_node *from, const char *name, tree_node *to,
                     const char *new_name)
{
    tree_node *node = tree_look_up(from, name)->node;
    nfs_status status = check_name(to, new_name);
    if (status != NFS_OK)
        return status;
    if (!add_entry(tree, to, new_name, node))
        return NFS_NOSPC;
    drop_entry(tree, from, tree_look_up(from, name));
    tree_touch(node, false);
    return NFS_OK;
}

void tree_unlink(file_tree *tree, tree_node *directory, tree_entry *entry)
{
    tree_node *node = entry->node;
    drop_entry(tree, directory, entry);
    tree_touch(node, false);
    if (node->attributes.type != NFS_DIRECTORY && --node->attributes.links > 0)
        return;
    free_node(tree, node);
}

static void set_size(tree_node *file, uint64_t size)
{
    file->attributes.size = size;
    file->attributes.used = file->contents.used;
    tree_touch(file, true);
}

nfs_status tree_resize(file_tree *tree, tree_node *file, uint64_t size)
{
    if (size > TREE_FILE_SIZE_MAX)
        return NFS_FBIG;
    if (size < file->attributes.size)
        contents_cut(&file->contents, &tree->memory, size);
    set_size(file, size);
    return NFS_OK;
}

nfs_status tree_write(file_tree *tree, tree_node *file, uint64_t offset, dari_opaque data)
{
    uint64_t size = file->attributes.size;
    if (offset > TREE_FILE_SIZE_MAX || data.size > TREE_FILE_SIZE_MAX - offset)
        return NFS_FBIG;
    if (!contents_write(&file->contents, &tree->memory, offset, data.data, data.size)) {
        contents_cut(&file->contents, &tree->memory, size);
        file->attributes.used = file->contents.used;
        return NFS_NOSPC;
    }
    set_size(file, data.size && offset + data.size > size ? offset + data.size : size);
    return NFS_OK;
}

nfs_status tree_set_target(file_tree *tree, tree_node *link, const char *target)
{
    size_t size = strlen(target);
    if (size > TREE_TARGET_MAX)
        return NFS_NAMETOOLONG;
    if (!contents_write(&link->contents, &tree->memory, 0, (const uint8_t *)target, size + 1))
        return NFS_NOSPC;
    set_size(link, size);
    return NFS_OK;
}
