/* SPDX-License-Identifier: MIT */
#include "rpc/flavor.h"

#include <dari/error.h>
#include <dari/xdr.h>

#include <string.h>

/* The words of the body beside the name: stamp, length of the name, uid, gid, count of groups. */
#define FIXED_WORDS 5u

int di_auth_sys_decode(const di_auth *credential, dari_auth_sys *ret_auth)
{
    const uint8_t *at = credential->body;
    if (credential->flavor != DI_AUTH_SYS || credential->size < 4 * FIXED_WORDS)
        return DARI_AUTH;
    uint32_t length = dari_get_u32(at + 4);
    if (length > DARI_AUTH_SYS_NAME_MAX || dari_padded(length) + 4 * FIXED_WORDS > credential->size)
        return DARI_AUTH;
    const uint8_t *name = at + 8;
    const uint8_t *after = name + dari_padded(length);
    uint32_t count = dari_get_u32(after + 8);
    size_t size = 4 * FIXED_WORDS + (size_t)dari_padded(length);
    if (count > DARI_AUTH_SYS_GROUPS_MAX || size + 4 * count != credential->size)
        return DARI_AUTH;
    if (memchr(name, 0, length))
        return DARI_AUTH;
    ret_auth->stamp = dari_get_u32(at);
    memcpy(ret_auth->machine, name, length);
    ret_auth->machine[length] = '\0';
    ret_auth->uid = dari_get_u32(after);
    ret_auth->gid = dari_get_u32(after + 4);
    ret_auth->group_count = count;
    for (uint32_t i = 0; i < count; i++)
        ret_auth->groups[i] = dari_get_u32(after + 12 + 4 * i);
    return 0;
}

int di_auth_sys_encode(const dari_auth_sys *auth, uint8_t body[DI_AUTH_SYS_MAX],
                       di_auth *ret_credential)
{
    size_t length = strnlen(auth->machine, sizeof auth->machine);
    if (length > DARI_AUTH_SYS_NAME_MAX || auth->group_count > DARI_AUTH_SYS_GROUPS_MAX)
        return DARI_INVALID;
    dari_put_u32(body, auth->stamp);
    uint8_t *at = dari_put_string(body + 4, auth->machine);
    dari_put_u32(at, auth->uid);
    dari_put_u32(at + 4, auth->gid);
    dari_put_u32(at + 8, auth->group_count);
    at += 12;
    for (uint32_t i = 0; i < auth->group_count; i++, at += 4)
        dari_put_u32(at, auth->groups[i]);
    *ret_credential = (di_auth){DI_AUTH_SYS, (uint32_t)(at - body), body};
    return 0;
}

static enum di_auth_stat check_none(const di_auth *credential)
{
    (void)credential;
    return DI_AUTH_OK;
}

static enum di_auth_stat check_sys(const di_auth *credential)
{
    dari_auth_sys auth;
    return di_auth_sys_decode(credential, &auth) < 0 ? DI_AUTH_BADCRED : DI_AUTH_OK;
}

static const di_flavor flavors[] = {
    {DI_AUTH_NONE, "AUTH_NONE", check_none},
    {DI_AUTH_SYS, "AUTH_SYS", check_sys},
};

const di_flavor *di_flavor_find(uint32_t number)
{
    for (size_t i = 0; i < sizeof flavors / sizeof *flavors; i++)
        if (flavors[i].number == number)
            return &flavors[i];
    return NULL;
}
