/* SPDX-License-Identifier: MIT */
/* The files, in memory. A tree has a lock, which the handlers hold: to read while they look, to
 * write while they change. Nothing of a tree may be pointed to once the lock is given back. */
#ifndef MEMFS_TREE_H
#define MEMFS_TREE_H

#include "nfs3.h"

#include <pthread.h>
#include <stdbool.h>

#define TREE_FILE_SIZE_MAX (UINT64_C(1) << (sizeof(size_t) > 4 ? 32 : 30))
#define TREE_NAME_MAX 255u
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
    nfs_attributes attributes; /* number is the place in the tree's table, from 1 on */
    uint8_t *data;             /* of a file, or the path of a link */
    uint64_t room;
    tree_entry *entries; /* of a directory */
    uint32_t entry_count, entry_room;
    uint64_t next_cookie;
    tree_node *parent; /* of a directory; the root's is itself */
};

typedef struct file_tree {
    pthread_rwlock_t lock;
    tree_node **nodes; /* by number - 1; NULL: it is gone, and its handle stale */
    uint32_t node_count, node_room;
    tree_node *root;
    nfs_verifier verifier; /* of this run of the server */
} file_tree;

/* Who calls. */
typedef struct tree_user {
    uint32_t uid, gid, group_count;
    const uint32_t *groups;
} tree_user;

bool tree_begin(file_tree *tree);
void tree_end(file_tree *tree);

/* What a handle holds: a node of this run of the server. */
typedef struct tree_handle {
    uint64_t number;
    nfs_verifier verifier;
} tree_handle;

/* NULL: what the handle named is gone, with the server that gave it or by itself. */
tree_node *tree_find(const file_tree *tree, nfs_handle handle);
/* Whether the user may do all of 4 (read), 2 (write), 1 (execute, or look names up). */
bool tree_may(const tree_node *node, const tree_user *user, unsigned wanted);
tree_entry *tree_look_up(const tree_node *directory, const char *name);
bool tree_is_below(const tree_node *node, const tree_node *directory);

/* All return NFS_OK, or why not. */
nfs_status tree_make(file_tree *tree, tree_node *directory, const char *name, nfs_type type,
                     const tree_user *user, uint32_t mode, tree_node **ret_node);
nfs_status tree_link(tree_node *directory, const char *name, tree_node *node);
/* The old name is there. */
nfs_status tree_move(tree_node *from, const char *name, tree_node *to, const char *new_name);
/* Takes a name away, and with the last one the node. */
void tree_unlink(file_tree *tree, tree_node *directory, tree_entry *entry);
/* What is new is zero, except what the caller will write at once: from `written_from` on. */
nfs_status tree_resize(tree_node *file, uint64_t size, uint64_t written_from);

/* The file was written, or its attributes changed. */
void tree_touch(tree_node *node, bool written);

#endif
