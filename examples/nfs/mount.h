/* SPDX-License-Identifier: MIT */
/* From an address and a path to the handle of an exported directory. */
#ifndef NFS_MOUNT_H
#define NFS_MOUNT_H

#include "mount3.h"
#include "nfs3.h"

#include <stdbool.h>

/* The most bytes that a READ or WRITE carries, and how many of them are in flight. Datagrams must
 * be smaller, and more of them than the system's buffers hold would only be lost. */
#define TRANSFER_MAX (512u << 10)
#define TRANSFERS_MAX 8u
#define DATAGRAM_TRANSFER_MAX (32u << 10)
#define DATAGRAM_TRANSFERS_MAX 2u

/* A handle that outlives the result that it came with. */
typedef struct kept_handle {
    uint32_t size;
    uint8_t bytes[NFS_HANDLE_SIZE];
} kept_handle;

/* How to call. */
typedef struct nfs_caller {
    const char *address;
    dari_auth_sys self;
    bool reserved_port;
    uint64_t deadline_ns;
} nfs_caller;

/* An export, mounted. */
typedef struct nfs_session {
    const nfs_caller *caller;
    dari_client *mount;
    dari_client *nfs;
    dari_call call; /* of all calls that are not in flight beside others */
    char export[MOUNT_PATH_MAX + 1];
    kept_handle root;
} nfs_session;

kept_handle keep_handle(dari_opaque from);
nfs_handle as_argument(const kept_handle *handle);

/* Mounts the export that `path` is in, which begins with /, or none where it is a handle. The
 * session is to be ended in any case. Returns 0, or -1 with words said. */
int session_begin(nfs_session *session, const nfs_caller *caller, const char *path);
/* `done`: all has gone well, and the server may hear of the end. */
void session_end(nfs_session *session, bool done);

/* What of the path is below the export: "" or "a/b". NULL, with words said, where it is elsewhere.
 */
const char *below_export(const nfs_session *session, const char *path);

/* Whether messages go by datagrams, and so may not be large. */
bool by_datagrams(const nfs_session *session);

#endif
