/* SPDX-License-Identifier: MIT */
/* The procedures of the whole file system, and MOUNT. */
#include "handlers.h"

#include <string.h>

#define TRANSFER_STEP 4096u
#define LISTING_SIZE (64u << 10)
#define AUTH_SYS_FLAVOR 1u
/* Of FSINFO: there are hard and symbolic links, all directories have the same limits, and times can
 * be set (RFC 1813, section 3.3.19). */
#define PROPERTIES (0x01u | 0x02u | 0x08u | 0x10u)

int do_fsstat(dari_request *request, const nfs_handle *arg, fsstat_result *ret)
{
    tree_visit visit;
    visit_begin(&visit, request, false);
    const tree_node *node = tree_find(visit.tree, *arg);
    uint64_t space = visit.tree->memory.limit, free = space - visit.tree->memory.used;
    uint32_t left = TREE_NODES_MAX - visit.tree->node_count;
    ret->status = node ? NFS_OK : NFS_STALE;
    if (node)
        ret->u.space = (fsstat_space){.attributes = copy_attributes(&visit, node),
                                      .bytes = space,
                                      .bytes_free = free,
                                      .bytes_available = free,
                                      .files = TREE_NODES_MAX,
                                      .files_free = left,
                                      .files_available = left};
    return visit_end(&visit);
}

int do_fsinfo(dari_request *request, const nfs_handle *arg, fsinfo_result *ret)
{
    tree_visit visit;
    visit_begin(&visit, request, false);
    const tree_node *node = tree_find(visit.tree, *arg);
    uint32_t size = transfer_max(request);
    ret->status = node ? NFS_OK : NFS_STALE;
    if (node)
        ret->u.limits = (fsinfo_limits){.attributes = copy_attributes(&visit, node),
                                        .read_max = size,
                                        .read_preferred = size,
                                        .read_multiple = TRANSFER_STEP,
                                        .write_max = size,
                                        .write_preferred = size,
                                        .write_multiple = TRANSFER_STEP,
                                        .readdir_preferred = LISTING_SIZE,
                                        .file_size_max = TREE_FILE_SIZE_MAX,
                                        .time_step = {.nanoseconds = 1},
                                        .properties = PROPERTIES};
    return visit_end(&visit);
}

int do_pathconf(dari_request *request, const nfs_handle *arg, pathconf_result *ret)
{
    tree_visit visit;
    visit_begin(&visit, request, false);
    const tree_node *node = tree_find(visit.tree, *arg);
    ret->status = node ? NFS_OK : NFS_STALE;
    if (node)
        ret->u.limits = (pathconf_limits){.attributes = copy_attributes(&visit, node),
                                          .links_max = UINT32_MAX,
                                          .name_max = TREE_NAME_MAX,
                                          .no_truncation = true,
                                          .owner_restricted = true,
                                          .case_preserving = true};
    return visit_end(&visit);
}

/* There is one export, and any directory in it may be mounted. Its name is not "/": libnfs asks for
 * "" then, and does not find that among the exports. */
#define EXPORT_NAME "/memory"

/* What of a path comes after the export's name, or NULL. */
static const char *after_export(const char *path)
{
    size_t size = strlen(EXPORT_NAME);
    bool is_there = strncmp(path, EXPORT_NAME, size) == 0 && (!path[size] || path[size] == '/');
    return is_there ? path + size : NULL;
}

static const tree_node *walk(const tree_node *node, const char *path)
{
    char name[TREE_NAME_MAX + 1];
    for (path += strspn(path, "/"); node && *path; path += strspn(path, "/")) {
        size_t size = strcspn(path, "/");
        if (size > TREE_NAME_MAX)
            return NULL;
        memcpy(name, path, size);
        name[size] = '\0';
        path += size;
        const tree_entry *entry = tree_look_up(node, name);
        node = entry ? entry->node : NULL;
    }
    return node;
}

static int mnt(dari_request *request, const mount_path *arg, mount_result *ret)
{
    static uint32_t flavors[] = {AUTH_SYS_FLAVOR};
    tree_visit visit;
    visit_begin(&visit, request, false);
    const char *path = after_export(*arg);
    const tree_node *node = path ? walk(visit.tree->root, path) : NULL;
    if (!node)
        ret->status = MOUNT_NOENT;
    else if (node->attributes.type != NFS_DIRECTORY)
        ret->status = MOUNT_NOTDIR;
    if (ret->status == MOUNT_OK) {
        ret->u.root.handle = copy_handle(&visit, node);
        ret->u.root.flavors.count = 1;
        ret->u.root.flavors.items = flavors;
    }
    return visit_end(&visit);
}

/* Who has mounted is not kept: it was never true for long. */
static int dump(dari_request *request, mount_list *ret)
{
    (void)request;
    *ret = NULL;
    return 0;
}

static int umnt(dari_request *request, const mount_path *arg)
{
    (void)request;
    (void)arg;
    return 0;
}

static int umntall(dari_request *request)
{
    (void)request;
    return 0;
}

static int list_exports(dari_request *request, mount_exports *ret)
{
    (void)request;
    static mount_export only = {.directory = EXPORT_NAME};
    *ret = &only;
    return 0;
}

const mount_3_handlers mount_handlers = {
    .mnt = mnt, .dump = dump, .umnt = umnt, .umntall = umntall, .export_ = list_exports};
