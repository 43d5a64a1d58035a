/* SPDX-License-Identifier: MIT */
/* The files, in memory. A tree has a lock, which the handlers hold: to read while they look, to
 * write while they change. Nothing of a tree may be pointed to once the lock is given back. */
#ifndef MEMFS_TREE_H
#define MEMFS_TREE_H

#include "contents.h"
#include "nfs3.h"

#include <pthread.h>
#include <stdbool.h>

/* Of all files, names and directories; they can be told another one. */
#define TREE_MEMORY_DEFAULT (UINT64_C(1) << 30)
#define TREE_FILE_SIZE_MAX (UINT64_C(1) << 36)
#define TREE_NAME_MAX 255u
#define TREE_TARGET_MAX 4095u
#define TREE_NODES_MAX (1u << 20)

typedef struct tree_node tree_node;

/* A name in a directory. Cookies ascend, and none is used twice: so a listing can go on behind one
 * that is gone. */
typedef struct tree_entry {
    char *name;
    tree_node *node;
    uint64_t cookie;
} tree_entry;

struct tree_node {
    nfs_attributes attributes; /* no number is used twice */
    uint32_t slot;             /* its place in the tree's table */
    file_contents contents;    /* of a file, or the target of a link, with a terminator */
    tree_entry *entries;       /* of a directory */
    uint32_t entry_count, entry_room;
    uint64_t next_cookie;
    tree_node *parent; /* of a directory; the root's is itself */
};

typedef struct tree_slot {
    tree_node *node;    /* NULL: it is free, */
    uint32_t next_free; /* and this the next free one */
} tree_slot;

typedef struct file_tree {
    pthread_rwlock_t lock;
    file_memory memory;
    tree_slot *slots;
    uint32_t slot_count, slot_room;
    uint32_t free_slot; /* the first one; slot_count: there is none */
    uint32_t node_count;
    uint64_t last_number;
    tree_node *root;
    nfs_verifier verifier; /* of this run of the server */
} file_tree;

/* Who calls. */
typedef struct tree_user {
    uint32_t uid, gid, group_count;
    const uint32_t *groups;
} tree_user;

/* What a handle holds. The number tells whether what is in the slot is still what it was, the
 * verifier whether it is still the same run of the server. */
typedef struct tree_handle {
    uint64_t number, slot;
    nfs_verifier verifier;
} tree_handle;

bool tree_begin(file_tree *tree, uint64_t memory_limit);
void tree_end(file_tree *tree);

tree_handle tree_handle_of(const file_tree *tree, const tree_node *node);
/* NULL: what the handle named is gone, with the server that gave it or by itself. */
tree_node *tree_find(const file_tree *tree, nfs_handle handle);
/* Whether the user may do all of 4 (read), 2 (write), 1 (execute, or look names up). */
bool tree_may(const tree_node *node, const tree_user *user, unsigned wanted);
tree_entry *tree_look_up(const tree_node *directory, const char *name);
bool tree_is_below(const tree_node *node, const tree_node *directory);

/* All return NFS_OK, or why not. */
nfs_status tree_make(file_tree *tree, tree_node *directory, const char *name, nfs_type type,
                     const tree_user *user, uint32_t mode, tree_node **ret_node);
/* The node is no directory. */
nfs_status tree_link(file_tree *tree, tree_node *directory, const char *name, tree_node *node);
/* The old name is there. */
nfs_status tree_move(file_tree *tree, tree_node *from, const char *name, tree_node *to,
                     const char *new_name);
/* Takes a name away, and with the last one the node. */
void tree_unlink(file_tree *tree, tree_node *directory, tree_entry *entry);
/* What is new is zero. */
nfs_status tree_resize(file_tree *tree, tree_node *file, uint64_t size);
nfs_status tree_write(file_tree *tree, tree_node *file, uint64_t offset, dari_opaque data);
/* Where the new link points. */
nfs_status tree_set_target(file_tree *tree, tree_node *link, const char *target);

/* The file was written, or its attributes changed. */
void tree_touch(tree_node *node, bool written);

#endif
