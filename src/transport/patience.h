/* SPDX-License-Identifier: MIT */
/* Sockets that are waited for by receiving: one system call instead of poll and another one. */
#ifndef DI_TRANSPORT_PATIENCE_H
#define DI_TRANSPORT_PATIENCE_H

#include <stdbool.h>

/* Has a receive without MSG_DONTWAIT wait for DI_PATIENCE_NS. Returns whether it does; otherwise
 * the socket stays non-blocking. */
bool di_socket_make_patient(int descriptor);

#endif
