/* SPDX-License-Identifier: MIT */
#include "path.h"

#include "words.h"

#include <stdio.h>
#include <string.h>

#define HANDLE_PREFIX "handle:"

bool is_handle(const char *path)
{
    return strncmp(path, HANDLE_PREFIX, strlen(HANDLE_PREFIX)) == 0;
}

void print_handle(const kept_handle *handle)
{
    fputs(HANDLE_PREFIX, stdout);
    for (uint32_t i = 0; i < handle->size; i++)
        printf("%02x", handle->bytes[i]);
}

static int read_handle(const char *path, kept_handle *ret_handle)
{
    const char *at = path + strlen(HANDLE_PREFIX);
    unsigned byte;
    *ret_handle = (kept_handle){0};
    for (; *at && ret_handle->size < NFS_HANDLE_SIZE; at += 2) {
        if (strspn(at, "0123456789abcdef") < 2 || sscanf(at, "%2x", &byte) != 1)
            break;
        ret_handle->bytes[ret_handle->size++] = (uint8_t)byte;
    }
    return *at ? fail(path, "that is not a handle") : 0;
}

nfs_place as_place(nfs_spot *spot)
{
    return (nfs_place){.directory = as_argument(&spot->directory), .name = spot->name};
}

/* One step: from a directory to what has the name there. */
static int look_up(nfs_session *session, const char *path, nfs_spot *spot, kept_handle *ret_handle)
{
    lookup_result result;
    nfs_place place = as_place(spot);
    dari_call_reset(&session->call);
    if (lookup_3(session->nfs, &place, &result, &session->call) < 0)
        return fail_call(&session->call);
    if (result.status != NFS_OK)
        return fail_nfs(path, result.status);
    *ret_handle = keep_handle(result.u.found.object);
    return 0;
}

/* Walks along all names but the last one, which is left, "" where there is none. */
static int walk(nfs_session *session, const char *path, nfs_spot *ret_spot)
{
    const char *rest = below_export(session, path);
    if (!rest)
        return -1;
    for (ret_spot->directory = session->root;;) {
        size_t size = strcspn(rest, "/");
        if (size > NAME_SIZE_MAX)
            return fail_nfs(path, NFS_NAMETOOLONG);
        memcpy(ret_spot->name, rest, size);
        ret_spot->name[size] = '\0';
        rest += size + strspn(rest + size, "/");
        if (!*rest)
            return 0;
        if (look_up(session, path, ret_spot, &ret_spot->directory) < 0)
            return -1;
    }
}

int get_attributes(nfs_session *session, const char *path, nfs_found *node)
{
    getattr_result result;
    nfs_handle argument = as_argument(&node->handle);
    dari_call_reset(&session->call);
    if (getattr_3(session->nfs, &argument, &result, &session->call) < 0)
        return fail_call(&session->call);
    if (result.status != NFS_OK)
        return fail_nfs(path, result.status);
    node->attributes = result.u.attributes;
    return 0;
}

int find_node(nfs_session *session, const char *path, nfs_found *ret_node)
{
    nfs_spot spot;
    if (is_handle(path)) {
        if (read_handle(path, &ret_node->handle) < 0)
            return -1;
    } else {
        if (walk(session, path, &spot) < 0)
            return -1;
        ret_node->handle = spot.directory;
        if (*spot.name && look_up(session, path, &spot, &ret_node->handle) < 0)
            return -1;
    }
    return get_attributes(session, path, ret_node);
}

int find_spot(nfs_session *session, const char *path, nfs_spot *ret_spot)
{
    if (is_handle(path))
        return fail(path, "a path is needed here");
    if (walk(session, path, ret_spot) < 0)
        return -1;
    return *ret_spot->name ? 0 : fail(path, "that is the exported directory itself");
}
