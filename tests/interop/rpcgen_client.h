/* SPDX-License-Identifier: MIT */
/* Clients made of rpcgen's codecs against a server made by dari: the tests, which are the same for
 * each library that such clients run on, and what each does in its own way. */
#ifndef TEST_INTEROP_RPCGEN_CLIENT_H
#define TEST_INTEROP_RPCGEN_CLIENT_H

#include "interop.h"

#include <stdbool.h>

#define DATAGRAM_SIZE 65000u
#define PATIENCE_S 20

/* What the library can do. */
typedef struct rpcgen_library {
    /* Of a connected socket, which becomes the client's. */
    CLIENT *(*make_client)(int descriptor, struct netbuf *address, bool datagrams,
                           rpcvers_t version);
    /* Waits for the answer, PATIENCE_S at most. */
    enum clnt_stat (*call)(CLIENT *client, rpcproc_t procedure, xdrproc_t encode, void *argument,
                           xdrproc_t decode, void *result, struct rpc_err *ret_error);
    xdrproc_t nothing;          /* codes no bytes */
    float a_float;              /* that is sent right */
    const char *two_and_a_half; /* the four bytes of a float of 2.5 */
    unsigned large_datagram;    /* bytes that fit */
} rpcgen_library;

/* Runs all tests. Returns what main returns. */
int test_rpcgen_clients(const rpcgen_library *library);

#endif
