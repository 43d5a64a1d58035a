/* SPDX-License-Identifier: MIT */
/* Pipes between relatives: two of them made before fork, one each way, and an address for each
 * side.
 *
 *   dari_pipes pipes;
 *   dari_pipe_pair(&pipes);
 *   if (fork() == 0) {
 *       dari_pipe_keep(&pipes, DARI_PIPE_SERVER);
 *       dari_server_listen(server, pipes.server);
 *       dari_server_run(server);                     returns once the parent has closed its end
 *   }
 *   dari_pipe_keep(&pipes, DARI_PIPE_CLIENT);
 *   dari_connect(pipes.client, NULL, &client);
 *
 * "pipe:IN,OUT" names two descriptors that this process has: IN is read, OUT is written. A program
 * that is started with pipes as its standard input and output serves "pipe:0,1". Clients and
 * servers take such an address alike; the connection owns the descriptors from then on, and sets
 * close-on-exec. It is the only one that the address ever has: a client does not connect again once
 * it is lost, since the numbers may be other files by then, and a server that has nothing but such
 * addresses returns from dari_server_run once their connections are over and all calls answered.
 *
 * Descriptors 0 and 1 are taken away from the standard streams: the connection moves to other
 * numbers, 0 becomes /dev/null and 1 a copy of standard error, so that what a handler prints does
 * not break the connection.
 *
 * Nothing waits, and SIGPIPE does not come. O_NONBLOCK is not touched where the pipe is shared with
 * other processes.
 *
 * Whoever else has a copy of an end keeps it open: a child that is forked after dari_pipe_keep, and
 * executes nothing, hides from the other side that this process has ended. */
#ifndef DARI_PIPE_H
#define DARI_PIPE_H

#ifdef __cplusplus
extern "C" {
#endif

/* "pipe:2147483647,2147483647" and its terminator. */
#define DARI_PIPE_ADDRESS_SIZE 28

enum dari_pipe_side { DARI_PIPE_CLIENT = 0, DARI_PIPE_SERVER = 1 };

typedef struct dari_pipes {
    char client[DARI_PIPE_ADDRESS_SIZE]; /* the addresses: "pipe:5,8" */
    char server[DARI_PIPE_ADDRESS_SIZE];
    int in[2];  /* by side, the descriptor that it reads; -1: closed */
    int out[2]; /* and the one that it writes */
} dari_pipes;

/* Makes two pipes, close-on-exec. Errors: DARI_ERRNO (errno holds the cause), DARI_INVALID. */
int dari_pipe_pair(dari_pipes *ret_pipes);

/* Closes the ends of the other side: each process calls it after fork, before it connects or
 * listens. Otherwise neither side would learn that the other one has ended. */
void dari_pipe_keep(dari_pipes *pipes, enum dari_pipe_side side);

/* Closes the ends that are left, where nothing was made of them. */
void dari_pipe_close(dari_pipes *pipes);

#ifdef __cplusplus
}
#endif

#endif
