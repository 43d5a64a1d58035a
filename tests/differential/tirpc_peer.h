/* SPDX-License-Identifier: MIT */
/* libtirpc as seen by the differential test: its headers and dari's are not for one file, since
 * both declare the types of the interface. */
#ifndef TEST_TIRPC_PEER_H
#define TEST_TIRPC_PEER_H

#include "model.h"

/* Decodes a message with libtirpc's codec of type `name`, encodes the value again into `again` (of
 * `size` bytes), and renders the value by the model of rpcgen's C types. Returns 0, or says what
 * failed: a static text. */
const char *tirpc_peer_run(const char *name, const uint8_t *message, size_t size, uint8_t *again,
                           model_rendering *ret_rendering);

/* Whether rpcgen has a type of this name. */
bool tirpc_peer_has(const char *name);

#endif
