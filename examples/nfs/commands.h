/* SPDX-License-Identifier: MIT */
/* What the program can do. Every command gets its operands, and returns 0, or -1 with words said.
 */
#ifndef NFS_COMMANDS_H
#define NFS_COMMANDS_H

#include "mount.h"

int list(nfs_session *session, char **operands);        /* list.c */
int print_file(nfs_session *session, char **operands);  /* get.c */
int get_file(nfs_session *session, char **operands);    /* get.c */
int put_file(nfs_session *session, char **operands);    /* put.c */
int move(nfs_session *session, char **operands);        /* change.c */
int remove_node(nfs_session *session, char **operands); /* change.c */
int print_facts(nfs_session *session, char **operands); /* facts.c */
int print_space(nfs_session *session, char **operands); /* facts.c */

#endif
