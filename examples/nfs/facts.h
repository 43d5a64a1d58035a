/* SPDX-License-Identifier: MIT */
/* What is known of files, for people to read. */
#ifndef NFS_FACTS_H
#define NFS_FACTS_H

#include "nfs3.h"

/* "-rw-r--r--  1  1000  1000  4096 2024-02-29 12:00 NAME"; question marks where `attributes`, which
 * servers may leave out, is NULL. */
void print_line(const char *name, const nfs_attributes *attributes);

#endif
