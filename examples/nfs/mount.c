/* SPDX-License-Identifier: MIT */
#include "mount.h"

#include "path.h"
#include "words.h"

#include <string.h>

#define AUTH_SYS_FLAVOR 1u

kept_handle keep_handle(dari_opaque from)
{
    kept_handle kept = {.size = from.size};
    memcpy(kept.bytes, from.data, from.size);
    return kept;
}

nfs_handle as_argument(const kept_handle *handle)
{
    return (nfs_handle){.size = handle->size, .data = handle->bytes};
}

bool by_datagrams(const nfs_session *session)
{
    return strncmp(session->caller->address, "udp:", 4) == 0;
}

/* Where the address has no port, rpcbind there says where each program is. */
static int connect_to(nfs_session *session, const dari_interface *interface, bool comes_back,
                      dari_client **ret_client)
{
    const nfs_caller *caller = session->caller;
    dari_client_options options = {
        .deadline_ns = caller->deadline_ns,
        .queued_max = TRANSFERS_MAX * (TRANSFER_MAX + 1024),
        .tcp = {.reserved_port = caller->reserved_port},
        .auth_sys = &caller->self,
        .interface = interface,
        .call = &session->call,
        .no_reconnect = !comes_back,
    };
    if (dari_connect(caller->address, &options, ret_client) < 0)
        return fail_call(&session->call);
    return 0;
}

/* A server of NFS may restart: handles stay good. The calls that may then run once more without
 * harm are sent again; the others fail, and it is said that they may have run. */
static int connect_to_nfs(nfs_session *session)
{
    static const uint32_t repeatable[] = {GETATTR, LOOKUP,      READLINK, READ,  WRITE,
                                          COMMIT,  READDIRPLUS, FSSTAT,   FSINFO};
    if (connect_to(session, &nfs_3_interface, true, &session->nfs) < 0)
        return -1;
    for (size_t i = 0; i < sizeof repeatable / sizeof *repeatable; i++) {
        int status = dari_client_idempotent(session->nfs, &nfs_3_interface, repeatable[i]);
        if (status < 0)
            return fail(session->caller->address, dari_error_text(status));
    }
    return 0;
}

/* The bytes of `path` that name the directory, or 0 where it is not in it. */
static size_t covers(const char *directory, const char *path)
{
    size_t size = strlen(directory);
    if (size && directory[size - 1] == '/')
        size--;
    if (strncmp(directory, path, size) != 0 || (path[size] && path[size] != '/'))
        return 0;
    return size ? size : 1;
}

/* The longest export that the path is in. */
static int find_export(nfs_session *session, const char *path)
{
    mount_exports exports;
    size_t longest = 0;
    dari_call_reset(&session->call);
    if (export_3(session->mount, &exports, &session->call) < 0)
        return fail_call(&session->call);
    for (const mount_export *at = exports; at; at = at->next) {
        size_t size = covers(at->directory, path);
        if (size <= longest)
            continue;
        longest = size;
        strcpy(session->export, at->directory);
    }
    return longest ? 0 : fail(path, "the server exports no directory that this is in");
}

static bool takes_auth_sys(const mount_root *root)
{
    for (uint32_t i = 0; i < root->flavors.count; i++)
        if (root->flavors.items[i] == AUTH_SYS_FLAVOR)
            return true;
    return root->flavors.count == 0;
}

static int mount_export_at(nfs_session *session)
{
    mount_result result;
    mount_path path = session->export;
    dari_call_reset(&session->call);
    if (mnt_3(session->mount, &path, &result, &session->call) < 0)
        return fail_call(&session->call);
    if (result.status != MOUNT_OK)
        return fail_mount(path, result.status);
    if (!takes_auth_sys(&result.u.root))
        return fail(path, "the server wants other credentials than AUTH_SYS");
    session->root = keep_handle(result.u.root.handle);
    return 0;
}

int session_begin(nfs_session *session, const nfs_caller *caller, const char *path)
{
    *session = (nfs_session){.caller = caller};
    if (is_handle(path))
        return connect_to_nfs(session);
    if (connect_to(session, &mount_3_interface, false, &session->mount) < 0 ||
        find_export(session, path) < 0 || mount_export_at(session) < 0)
        return -1;
    return connect_to_nfs(session);
}

void session_end(nfs_session *session, bool done)
{
    mount_path path = session->export;
    dari_call_reset(&session->call);
    if (done && session->mount)
        umnt_3(session->mount, &path, &session->call);
    dari_client_close(session->nfs);
    dari_client_close(session->mount);
    dari_call_end(&session->call);
}

const char *below_export(const nfs_session *session, const char *path)
{
    size_t size = covers(session->export, path);
    if (size)
        return path + size + strspn(path + size, "/");
    fail(path, "it is not in the same export");
    return NULL;
}
