/* SPDX-License-Identifier: MIT */
/* Flavours of credentials (RFC 5531, section 8.2): a table, as the schemes of addresses are one.
 * No state; any thread. */
#ifndef DI_RPC_FLAVOR_H
#define DI_RPC_FLAVOR_H

#include "rpc/message.h"

#include <dari/interface.h>

typedef struct di_flavor {
    uint32_t number; /* enum di_auth_flavor */
    const char *name;
    /* What a server says of a credential: DI_AUTH_OK, or why it is refused. */
    enum di_auth_stat (*check)(const di_auth *credential);
} di_flavor;

/* The flavour of that number, or NULL: nobody knows it. */
const di_flavor *di_flavor_find(uint32_t number);

/* Takes the body of an AUTH_SYS credential apart. Returns 0, or DARI_AUTH where it is none. */
int di_auth_sys_decode(const di_auth *credential, dari_auth_sys *ret_auth);

#endif
