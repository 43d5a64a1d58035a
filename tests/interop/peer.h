/* SPDX-License-Identifier: MIT */
/* The server of the other side: a program that prints the address it listens at, and serves until
 * it is killed. */
#ifndef TEST_INTEROP_PEER_H
#define TEST_INTEROP_PEER_H

#include <sys/types.h>

typedef struct peer {
    pid_t process;
    char address[128]; /* "unix:/path" or "tcp://127.0.0.1:port" */
    char path[64];     /* of "unix:", or "" */
} peer;

/* Starts `program` with an address of the scheme, "unix", "tcp" or "udp", where it is to listen,
 * and waits for its line. Fails the test where none comes. The peer dies with this process. */
void peer_start(peer *server, const char *program, const char *scheme);

/* Ends it, and fails the test where it ended in another way. Takes one that was never started. */
void peer_stop(peer *server);

#endif
