/* SPDX-License-Identifier: MIT */
/* Names come from the server: nothing in them may act on a terminal. */
#ifndef NFS_NAME_H
#define NFS_NAME_H

/* Prints a name on standard output, and ends the line. What is not a character that can be seen, in
 * UTF-8, is written as C writes it, and so as a shell reads it in $'...': an escape as \033. */
void print_name(const char *name);

#endif
