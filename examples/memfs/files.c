/* SPDX-License-Identifier: MIT */
/* The procedures of one file: its attributes, and what is in it. */
#include "handlers.h"

#include <string.h>
#include <time.h>

int do_getattr(dari_request *request, const nfs_handle *arg, getattr_result *ret)
{
    tree_visit visit;
    visit_begin(&visit, request, false);
    const tree_node *node = tree_find(visit.tree, *arg);
    ret->status = node ? NFS_OK : NFS_STALE;
    if (node)
        ret->u.attributes = node->attributes;
    return visit_end(&visit);
}

static void set_time(nfs_time *time, const nfs_new_time *wanted)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (wanted->set == NFS_CLIENTS_TIME)
        *time = wanted->u.time;
    else if (wanted->set == NFS_SERVERS_TIME)
        *time = (nfs_time){(uint32_t)now.tv_sec, (uint32_t)now.tv_nsec};
}

/* Root may do all; owners may change the mode and the times; who may write, the size. */
static nfs_status check_change(const tree_visit *visit, const tree_node *node,
                               const nfs_new_attributes *wanted)
{
    const nfs_attributes *is = &node->attributes;
    bool owner = visit->user.uid == is->uid;
    if (wanted->size && is->type != NFS_FILE)
        return is->type == NFS_DIRECTORY ? NFS_ISDIR : NFS_INVAL;
    if (visit->user.uid == 0)
        return NFS_OK;
    if ((wanted->uid && *wanted->uid != is->uid) || (wanted->gid && *wanted->gid != is->gid))
        return NFS_PERM;
    if (!owner && (wanted->mode || wanted->read.set || wanted->written.set))
        return NFS_PERM;
    return owner || !wanted->size || tree_may(node, &visit->user, 2) ? NFS_OK : NFS_ACCES;
}

nfs_status set_attributes(tree_visit *visit, tree_node *node, const nfs_new_attributes *wanted)
{
    nfs_attributes *is = &node->attributes;
    nfs_status status = check_change(visit, node, wanted);
    if (status == NFS_OK && wanted->size)
        status = tree_resize(visit->tree, node, *wanted->size);
    if (status != NFS_OK)
        return status;
    if (wanted->mode)
        is->mode = *wanted->mode & 07777;
    if (wanted->uid)
        is->uid = *wanted->uid;
    if (wanted->gid)
        is->gid = *wanted->gid;
    set_time(&is->read, &wanted->read);
    set_time(&is->written, &wanted->written);
    tree_touch(node, false);
    return NFS_OK;
}

int do_setattr(dari_request *request, const setattr_arguments *arg, change_result *ret)
{
    tree_visit visit;
    visit_begin(&visit, request, true);
    tree_node *node = tree_find(visit.tree, arg->object);
    ret->status = NFS_STALE;
    if (node) {
        ret->change.before = copy_before(&visit, node);
        bool guarded = arg->guard && memcmp(arg->guard, &node->attributes.changed,
                                            sizeof node->attributes.changed) != 0;
        ret->status = guarded ? NFS_NOT_SYNC : set_attributes(&visit, node, &arg->attributes);
        ret->change.after = copy_attributes(&visit, node);
    }
    return visit_end(&visit);
}

int do_access(dari_request *request, const access_arguments *arg, access_result *ret)
{
    tree_visit visit;
    visit_begin(&visit, request, false);
    const tree_node *node = tree_find(visit.tree, arg->object);
    ret->status = node ? NFS_OK : NFS_STALE;
    if (node) {
        uint32_t may = 0;
        if (tree_may(node, &visit.user, 4))
            may |= NFS_MAY_READ;
        if (tree_may(node, &visit.user, 2))
            may |= NFS_MAY_MODIFY | NFS_MAY_EXTEND | NFS_MAY_DELETE;
        if (tree_may(node, &visit.user, 1))
            may |= NFS_MAY_LOOKUP | NFS_MAY_EXECUTE;
        ret->u.granted.attributes = copy_attributes(&visit, node);
        ret->u.granted.access = may & arg->access;
    }
    return visit_end(&visit);
}

int do_readlink(dari_request *request, const nfs_handle *arg, readlink_result *ret)
{
    tree_visit visit;
    visit_begin(&visit, request, false);
    const tree_node *node = tree_find(visit.tree, *arg);
    ret->status = !node ? NFS_STALE : node->attributes.type == NFS_LINK ? NFS_OK : NFS_INVAL;
    if (ret->status == NFS_OK) {
        size_t size = (size_t)node->attributes.size + 1;
        ret->u.found.attributes = copy_attributes(&visit, node);
        ret->u.found.path = copy_bytes(&visit, contents_at(&node->contents, 0, size), size);
    } else if (node) {
        ret->u.attributes = copy_attributes(&visit, node);
    }
    return visit_end(&visit);
}

/* The bytes where they lie, or copied. */
static dari_opaque find_bytes(tree_visit *visit, const tree_node *file, uint64_t offset,
                              uint32_t size)
{
    const uint8_t *there = contents_at(&file->contents, offset, size);
    if (there || !size)
        return (dari_opaque){.size = size, .data = there};
    uint8_t *copy = dari_arena_take(dari_request_arena(visit->request), size);
    if (!copy)
        visit->no_memory = true;
    else
        contents_read(&file->contents, offset, copy, size);
    return (dari_opaque){.size = size, .data = copy};
}

static void read_part(tree_visit *visit, const tree_node *file, const read_arguments *wanted,
                      read_data *ret_data)
{
    uint64_t size = file->attributes.size;
    uint64_t left = wanted->offset < size ? size - wanted->offset : 0;
    uint32_t most = transfer_max(visit->request);
    uint32_t count = wanted->count < most ? wanted->count : most;
    if (left < count)
        count = (uint32_t)left;
    ret_data->attributes = copy_attributes(visit, file);
    ret_data->count = count;
    ret_data->end = left == count;
    ret_data->data = find_bytes(visit, file, wanted->offset, count);
}

/* Answers while the lock is held: so the data need not be copied first. */
int do_read(dari_request *request, const read_arguments *arg, read_result *ret)
{
    tree_visit visit;
    tree_node *file = NULL;
    visit_begin(&visit, request, false);
    ret->status = find_file(&visit, arg->file, &file);
    if (ret->status == NFS_OK && !tree_may(file, &visit.user, 4) &&
        visit.user.uid != file->attributes.uid)
        ret->status = NFS_ACCES;
    if (ret->status == NFS_OK)
        read_part(&visit, file, arg, &ret->u.read);
    else if (file)
        ret->u.attributes = copy_attributes(&visit, file);
    if (visit.no_memory)
        return visit_end(&visit);
    read_3_reply(request, ret);
    visit_end(&visit);
    return DARI_LATER;
}

/* The owner of a file that was made read-only goes on writing, as it could with it open. */
static nfs_status write_part(const tree_visit *visit, tree_node *file,
                             const write_arguments *wanted)
{
    if (!tree_may(file, &visit->user, 2) && visit->user.uid != file->attributes.uid)
        return NFS_ACCES;
    if (wanted->count != wanted->data.size)
        return NFS_INVAL;
    return tree_write(visit->tree, file, wanted->offset, wanted->data);
}

int do_write(dari_request *request, const write_arguments *arg, write_result *ret)
{
    tree_visit visit;
    tree_node *file = NULL;
    nfs_change change = {0};
    visit_begin(&visit, request, true);
    ret->status = find_file(&visit, arg->file, &file);
    if (file)
        change.before = copy_before(&visit, file);
    if (ret->status == NFS_OK)
        ret->status = write_part(&visit, file, arg);
    if (file)
        change.after = copy_attributes(&visit, file);
    if (ret->status == NFS_OK) {
        ret->u.written =
            (write_done){.change = change, .count = arg->data.size, .committed = NFS_FILE_SAFE};
        memcpy(ret->u.written.verifier, visit.tree->verifier, sizeof(nfs_verifier));
    } else {
        ret->u.change = change;
    }
    return visit_end(&visit);
}

/* Memory is as safe as it gets here. */
int do_commit(dari_request *request, const commit_arguments *arg, commit_result *ret)
{
    tree_visit visit;
    tree_node *file;
    visit_begin(&visit, request, false);
    ret->status = find_file(&visit, arg->file, &file);
    if (ret->status == NFS_OK) {
        ret->u.committed.change.after = copy_attributes(&visit, file);
        memcpy(ret->u.committed.verifier, visit.tree->verifier, sizeof(nfs_verifier));
    }
    return visit_end(&visit);
}
