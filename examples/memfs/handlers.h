/* SPDX-License-Identifier: MIT */
/* What the handlers share. The tree is the user pointer of all of them. */
#ifndef MEMFS_HANDLERS_H
#define MEMFS_HANDLERS_H

#include "mount3.h"
#include "tree.h"

extern const nfs_3_handlers nfs_handlers;
extern const mount_3_handlers mount_handlers;

/* A handler's view of its call: the tree, locked, and who calls. */
typedef struct tree_visit {
    dari_request *request;
    file_tree *tree;
    dari_auth_sys auth;
    tree_user user;
    bool no_memory;
} tree_visit;

void visit_begin(tree_visit *visit, dari_request *request, bool changes);
/* Gives the lock back. Returns what the handler returns. */
int visit_end(tree_visit *visit);

/* The most bytes that a READ is answered with, and a WRITE should have: datagrams are smaller. */
uint32_t transfer_max(dari_request *request);

/* Copies for the result, which last until the reply is sent; NULL where there is no memory. */
void *copy_bytes(tree_visit *visit, const void *bytes, size_t size);
char *copy_name(tree_visit *visit, const char *name);
nfs_attributes *copy_attributes(tree_visit *visit, const tree_node *node);
nfs_before *copy_before(tree_visit *visit, const tree_node *node);
nfs_handle copy_handle(tree_visit *visit, const tree_node *node);

/* Finds a file, or a directory. */
nfs_status find_file(tree_visit *visit, nfs_handle handle, tree_node **ret_file);
nfs_status find_directory(tree_visit *visit, nfs_handle handle, unsigned wanted,
                          tree_node **ret_directory);
/* Sets those attributes that are there. */
nfs_status set_attributes(tree_visit *visit, tree_node *node, const nfs_new_attributes *wanted);

/* The procedures, by file. */
int do_getattr(dari_request *request, const nfs_handle *arg, getattr_result *ret);
int do_setattr(dari_request *request, const setattr_arguments *arg, change_result *ret);
int do_access(dari_request *request, const access_arguments *arg, access_result *ret);
int do_readlink(dari_request *request, const nfs_handle *arg, readlink_result *ret);
int do_read(dari_request *request, const read_arguments *arg, read_result *ret);
int do_write(dari_request *request, const write_arguments *arg, write_result *ret);
int do_commit(dari_request *request, const commit_arguments *arg, commit_result *ret);

int do_lookup(dari_request *request, const nfs_place *arg, lookup_result *ret);
int do_create(dari_request *request, const create_arguments *arg, create_result *ret);
int do_mkdir(dari_request *request, const mkdir_arguments *arg, create_result *ret);
int do_symlink(dari_request *request, const symlink_arguments *arg, create_result *ret);
int do_mknod(dari_request *request, const mknod_arguments *arg, create_result *ret);
int do_remove(dari_request *request, const nfs_place *arg, change_result *ret);
int do_rmdir(dari_request *request, const nfs_place *arg, change_result *ret);
int do_rename(dari_request *request, const rename_arguments *arg, rename_result *ret);
int do_link(dari_request *request, const link_arguments *arg, link_result *ret);

int do_readdir(dari_request *request, const readdir_arguments *arg, readdir_result *ret);
int do_readdirplus(dari_request *request, const readdirplus_arguments *arg,
                   readdirplus_result *ret);

int do_fsstat(dari_request *request, const nfs_handle *arg, fsstat_result *ret);
int do_fsinfo(dari_request *request, const nfs_handle *arg, fsinfo_result *ret);
int do_pathconf(dari_request *request, const nfs_handle *arg, pathconf_result *ret);

#endif
