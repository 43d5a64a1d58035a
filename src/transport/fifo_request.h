/* SPDX-License-Identifier: MIT */
/* How a client of fifo: asks for a connection: one write to the server's FIFO, which is no longer
 * than PIPE_BUF, so that requests never interleave.
 *
 *   "\n" "dari-fifo-1 " and 32 hexadecimal digits "\n"
 *
 * The digits are by chance, and name two FIFOs that the client has made beside the server's:
 * PATH.DIGITS.s, which the server reads, and PATH.DIGITS.c, which the client reads. Once the server
 * has opened both it writes one byte to the client. A request begins with the end of a line, too,
 * so that it is read whatever came before it. */
#ifndef DI_TRANSPORT_FIFO_REQUEST_H
#define DI_TRANSPORT_FIFO_REQUEST_H

#include "base/text.h"

#include <stdbool.h>

#define DI_FIFO_DIGITS 32u
#define DI_FIFO_GREETING "dari-fifo-1 "
/* The bytes of a request. */
#define DI_FIFO_REQUEST (sizeof DI_FIFO_GREETING - 1 + DI_FIFO_DIGITS + 2)

/* What the server answers; the second to those who may not connect. */
#define DI_FIFO_WELCOME '+'
#define DI_FIFO_REFUSAL '-'

/* The names of the FIFOs of one client. */
typedef struct di_fifo_names {
    di_text to_server;
    di_text to_client;
} di_fifo_names;

/* Writes a request with fresh digits. Returns 0 or DARI_ERRNO. */
int di_fifo_request_write(char ret_request[DI_FIFO_REQUEST]);

/* Finds the digits in a line of `size` bytes, without its end. Returns NULL where it is no request.
 */
const char *di_fifo_request_read(const char *line, size_t size);

/* Makes the names from the server's path and the digits. Returns 0 or DARI_NO_MEMORY; they are to
 * be freed either way. */
int di_fifo_names_make(const char *path, const char *digits, di_fifo_names *ret_names);
void di_fifo_names_remove(const di_fifo_names *names);
void di_fifo_names_free(di_fifo_names *names);

/* Whether an open file is a FIFO of this user alone, as it was made, and errno: those who can write
 * to its directory can put another file in its place, by its other name or from beside it, to have
 * it opened to them. */
bool di_fifo_is_own(int end);

#endif
