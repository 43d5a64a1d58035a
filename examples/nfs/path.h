/* SPDX-License-Identifier: MIT */
/* From paths to handles, name by name. */
#ifndef NFS_PATH_H
#define NFS_PATH_H

#include "mount.h"

#define NAME_SIZE_MAX 255u

/* A file, as a path found it. */
typedef struct nfs_found {
    kept_handle handle;
    nfs_attributes attributes;
} nfs_found;

/* A name in a directory; there may be nothing of that name yet. */
typedef struct nfs_spot {
    kept_handle directory;
    char name[NAME_SIZE_MAX + 1];
} nfs_spot;

/* "handle:" and hexadecimal digits stand for a path, without mounting anything. */
bool is_handle(const char *path);
void print_handle(const kept_handle *handle);

/* All return 0, or -1 with words said. */
int find_node(nfs_session *session, const char *path, nfs_found *ret_node);
int find_spot(nfs_session *session, const char *path, nfs_spot *ret_spot);
int get_attributes(nfs_session *session, const char *path, nfs_found *node);

/* The place as procedures want it; valid as long as the spot. */
nfs_place as_place(nfs_spot *spot);

#endif
