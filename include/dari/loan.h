/* SPDX-License-Identifier: MIT */
/* Loans: memory for large opaque data of a call's arguments, which the server's handler may read
 * where it lies.
 *
 *   void *frame;
 *   dari_loan(client, size, &frame);
 *   ...                                                          fill it
 *   show_1(client, &(picture){.pixels = {size, frame}}, NULL);   as any opaque data
 *   dari_loan_end(client, frame);                                or fill it again, and call again
 *
 * The same program works with every scheme. Over shm:, where the client asks for memory
 * (dari_client_options.shm_loan_size) and the server grants it (dari_server_options.shm_loan_max),
 * it is memory that both processes have, and only a reference to it is sent. Whether the handler
 * reads it there (shm_read_loans) or the server copies it once, the server says. Everywhere else it
 * is memory like other memory, and what lies there is copied as any opaque data.
 *
 * A reference is sent where an opaque<> lies whole in one loan and has at least DARI_REFERENCE_MIN
 * bytes; up to DARI_REFERENCES_MAX of them in one call. All else is copied when the call is made,
 * as usual: results; what the server calls; one-way calls, idempotent ones, and those that are kept
 * until there is a connection; calls while 64 references wait to be read.
 *
 * Whose it is. A loan is the application's to write to while no call that was given it is in
 * progress; one that is started (add_1_start) is until its function is called, though other
 * arguments may go before. A call that ends without an answer (deadline, cancel) leaves the server
 * reading: such a loan is not to be written to, only ended. dari_loan_end may be called at any
 * time; memory that a server may still read is given out again once its late answer has come, or
 * the connection is gone.
 *
 * A loan outlives its connection. Over the next one it is copied; only what is lent anew is in
 * memory that both have. It ends with its client at the latest. */
#ifndef DARI_LOAN_H
#define DARI_LOAN_H

#include <dari/client.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most memory for the loans of one client over shm:, 256 MiB. */
#define DARI_SHM_LOAN_SIZE_MAX ((size_t)256 << 20)

/* Lends `size` bytes, at least 1, which begin at a multiple of 4,096. What is in them is not
 * defined. From any thread. Errors: DARI_FULL (so much is not free in the memory for loans: end
 * some), DARI_LIMIT (it is more than that has in all), DARI_NO_MEMORY, DARI_FORKED, DARI_INVALID.
 */
int dari_loan(dari_client *client, size_t size, void **ret_memory);

/* Gives the memory back that dari_loan has lent. Takes NULL. From any thread, but not once the
 * client is closed. Does nothing in a process that inherited the client. */
void dari_loan_end(dari_client *client, void *memory);

#ifdef __cplusplus
}
#endif

#endif
