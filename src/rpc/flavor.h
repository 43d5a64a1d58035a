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

/* The most bytes of an AUTH_SYS body: five words, the name and the groups. */
#define DI_AUTH_SYS_MAX (20u + (DARI_AUTH_SYS_NAME_MAX + 1) + 4 * DARI_AUTH_SYS_GROUPS_MAX)

/* Writes an AUTH_SYS body, which becomes that of the credential. Returns 0, or DARI_INVALID where a
 * limit is passed. */
int di_auth_sys_encode(const dari_auth_sys *auth, uint8_t body[DI_AUTH_SYS_MAX],
                       di_auth *ret_credential);

/* Takes the body of an AUTH_SYS credential apart. Returns 0, or DARI_AUTH where it is none. */
int di_auth_sys_decode(const di_auth *credential, dari_auth_sys *ret_auth);

#endif
