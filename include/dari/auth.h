/* SPDX-License-Identifier: MIT */
/* AUTH_SYS (RFC 5531, appendix A): what a caller says of itself. Nothing proves it.
 *
 * A client sends it with its calls where its options say so:
 *
 *   dari_auth_sys self;
 *   dari_auth_sys_self(&self);
 *   dari_connect("tcp://files", &(dari_client_options){.auth_sys = &self}, &client);
 *
 * A handler reads it by dari_request_auth_sys (server.h). */
#ifndef DARI_AUTH_H
#define DARI_AUTH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DARI_AUTH_SYS_NAME_MAX 255u
#define DARI_AUTH_SYS_GROUPS_MAX 16u

typedef struct dari_auth_sys {
    uint32_t stamp;
    uint32_t uid, gid;
    uint32_t group_count;
    uint32_t groups[DARI_AUTH_SYS_GROUPS_MAX];
    char machine[DARI_AUTH_SYS_NAME_MAX + 1]; /* terminated */
} dari_auth_sys;

/* Fills in what this process is: the machine's name, the effective user and group, and of the
 * further groups the first DARI_AUTH_SYS_GROUPS_MAX. */
void dari_auth_sys_self(dari_auth_sys *ret_auth);

#ifdef __cplusplus
}
#endif

#endif
