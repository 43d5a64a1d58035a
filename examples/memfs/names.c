/* SPDX-License-Identifier: MIT */
/* The procedures of names in directories. */
#include "handlers.h"

#include <string.h>

int do_lookup(dari_request *request, const nfs_place *arg, lookup_result *ret)
{
    tree_visit visit;
    tree_node *directory = NULL, *node = NULL;
    visit_begin(&visit, request, false);
    ret->status = find_directory(&visit, arg->directory, 1, &directory);
    if (ret->status == NFS_OK) {
        tree_entry *entry = tree_look_up(directory, arg->name);
        node = strcmp(arg->name, ".") == 0    ? directory
               : strcmp(arg->name, "..") == 0 ? directory->parent
               : entry                        ? entry->node
                                              : NULL;
        ret->status = node ? NFS_OK : NFS_NOENT;
    }
    if (node)
        ret->u.found = (lookup_found){.object = copy_handle(&visit, node),
                                      .attributes = copy_attributes(&visit, node),
                                      .directory = copy_attributes(&visit, directory)};
    else if (directory)
        ret->u.directory = copy_attributes(&visit, directory);
    return visit_end(&visit);
}

/* What is to be made. */
typedef struct node_wish {
    nfs_type type;
    const nfs_new_attributes *attributes;
    const char *target; /* of a link */
    bool may_be_there;  /* a file that has the name already is as good */
} node_wish;

/* Of a file that was there only the size is set. */
static nfs_status take_file(tree_visit *visit, const tree_node *directory, const char *name,
                            const node_wish *wish, tree_node **ret_node)
{
    const nfs_new_attributes size_alone = {.size = wish->attributes->size};
    tree_entry *entry = tree_look_up(directory, name);
    if (!entry || entry->node->attributes.type != NFS_FILE)
        return NFS_EXIST;
    *ret_node = entry->node;
    return set_attributes(visit, entry->node, &size_alone);
}

static nfs_status make_node(tree_visit *visit, tree_node *directory, const char *name,
                            const node_wish *wish, tree_node **ret_node)
{
    uint32_t mode = wish->type == NFS_FILE ? 0644 : wish->type == NFS_LINK ? 0777 : 0755;
    tree_node *node;
    nfs_status status =
        tree_make(visit->tree, directory, name, wish->type, &visit->user, mode, &node);
    if (status == NFS_EXIST && wish->may_be_there)
        return take_file(visit, directory, name, wish, ret_node);
    if (status != NFS_OK)
        return status;
    if (wish->target)
        status = tree_set_target(visit->tree, node, wish->target);
    if (status == NFS_OK)
        status = set_attributes(visit, node, wish->attributes);
    if (status != NFS_OK)
        tree_unlink(visit->tree, directory, tree_look_up(directory, name));
    *ret_node = node;
    return status;
}

/* Makes a node, and says what became of it and of the directory. */
static void make(tree_visit *visit, const nfs_place *where, const node_wish *wish,
                 create_result *ret)
{
    tree_node *directory = NULL, *node = NULL;
    nfs_change change = {0};
    ret->status = find_directory(visit, where->directory, 3, &directory);
    if (directory)
        change.before = copy_before(visit, directory);
    if (ret->status == NFS_OK)
        ret->status = make_node(visit, directory, where->name, wish, &node);
    if (directory)
        change.after = copy_attributes(visit, directory);
    if (ret->status != NFS_OK) {
        ret->u.directory = change;
        return;
    }
    nfs_handle handle = copy_handle(visit, node);
    ret->u.created = (create_done){.object = copy_bytes(visit, &handle, sizeof handle),
                                   .attributes = copy_attributes(visit, node),
                                   .directory = change};
}

/* EXCLUSIVE keeps the caller's verifier in the times, by which a repeated call is known. */
static nfs_new_attributes exclusive(const nfs_verifier verifier)
{
    nfs_new_attributes times = {.read.set = NFS_CLIENTS_TIME, .written.set = NFS_CLIENTS_TIME};
    memcpy(&times.read.u.time.seconds, verifier, 4);
    memcpy(&times.written.u.time.seconds, verifier + 4, 4);
    return times;
}

static bool made_by(const tree_visit *visit, const nfs_place *where,
                    const nfs_new_attributes *times)
{
    const tree_node *directory = tree_find(visit->tree, where->directory);
    const tree_entry *entry = directory ? tree_look_up(directory, where->name) : NULL;
    return entry && entry->node->attributes.read.seconds == times->read.u.time.seconds &&
           entry->node->attributes.written.seconds == times->written.u.time.seconds;
}

int do_create(dari_request *request, const create_arguments *arg, create_result *ret)
{
    tree_visit visit;
    nfs_new_attributes times;
    node_wish wish = {.type = NFS_FILE};
    visit_begin(&visit, request, true);
    if (arg->how.mode == NFS_EXCLUSIVE) {
        times = exclusive(arg->how.u.verifier);
        wish.attributes = &times;
        wish.may_be_there = made_by(&visit, &arg->where, &times);
    } else {
        wish.attributes = &arg->how.u.attributes;
        wish.may_be_there = arg->how.mode == NFS_UNCHECKED;
    }
    make(&visit, &arg->where, &wish, ret);
    return visit_end(&visit);
}

int do_mkdir(dari_request *request, const mkdir_arguments *arg, create_result *ret)
{
    tree_visit visit;
    node_wish wish = {.type = NFS_DIRECTORY, .attributes = &arg->attributes};
    visit_begin(&visit, request, true);
    make(&visit, &arg->where, &wish, ret);
    return visit_end(&visit);
}

/* The size of a link is that of its target, whatever the attributes say. */
int do_symlink(dari_request *request, const symlink_arguments *arg, create_result *ret)
{
    tree_visit visit;
    nfs_new_attributes attributes = arg->attributes;
    node_wish wish = {.type = NFS_LINK, .attributes = &attributes, .target = arg->path};
    attributes.size = NULL;
    visit_begin(&visit, request, true);
    make(&visit, &arg->where, &wish, ret);
    return visit_end(&visit);
}

/* There are no devices, sockets and pipes here. */
int do_mknod(dari_request *request, const mknod_arguments *arg, create_result *ret)
{
    tree_visit visit;
    tree_node *directory = NULL;
    visit_begin(&visit, request, false);
    ret->status = find_directory(&visit, arg->where.directory, 3, &directory);
    if (ret->status == NFS_OK)
        ret->status = NFS_NOTSUPP;
    if (directory)
        ret->u.directory.after = copy_attributes(&visit, directory);
    return visit_end(&visit);
}

static nfs_status check_removal(const tree_entry *entry, bool is_rmdir)
{
    if (!entry)
        return NFS_NOENT;
    bool is_directory = entry->node->attributes.type == NFS_DIRECTORY;
    if (is_directory != is_rmdir)
        return is_rmdir ? NFS_NOTDIR : NFS_ISDIR;
    return is_directory && entry->node->entry_count ? NFS_NOTEMPTY : NFS_OK;
}

static int take_away(dari_request *request, const nfs_place *arg, bool is_rmdir, change_result *ret)
{
    tree_visit visit;
    tree_node *directory = NULL;
    visit_begin(&visit, request, true);
    ret->status = find_directory(&visit, arg->directory, 3, &directory);
    if (directory)
        ret->change.before = copy_before(&visit, directory);
    if (ret->status == NFS_OK) {
        tree_entry *entry = tree_look_up(directory, arg->name);
        ret->status = check_removal(entry, is_rmdir);
        if (ret->status == NFS_OK)
            tree_unlink(visit.tree, directory, entry);
    }
    if (directory)
        ret->change.after = copy_attributes(&visit, directory);
    return visit_end(&visit);
}

int do_remove(dari_request *request, const nfs_place *arg, change_result *ret)
{
    return take_away(request, arg, false, ret);
}

int do_rmdir(dari_request *request, const nfs_place *arg, change_result *ret)
{
    return take_away(request, arg, true, ret);
}

/* What has the new name is replaced, where it is of the same kind. */
static nfs_status rename_entry(file_tree *tree, tree_node *from, const char *name, tree_node *to,
                               const char *new_name)
{
    const tree_entry *entry = tree_look_up(from, name);
    tree_entry *there = tree_look_up(to, new_name);
    if (!entry)
        return NFS_NOENT;
    tree_node *node = entry->node;
    bool is_directory = node->attributes.type == NFS_DIRECTORY;
    if (there && there->node == node)
        return NFS_OK;
    if (is_directory && tree_is_below(to, node))
        return NFS_INVAL;
    if (there) {
        nfs_status status = check_removal(there, is_directory);
        if (status != NFS_OK)
            return status == NFS_NOTEMPTY ? status : NFS_EXIST;
        tree_unlink(tree, to, there);
    }
    return tree_move(tree, from, name, to, new_name);
}

int do_rename(dari_request *request, const rename_arguments *arg, rename_result *ret)
{
    tree_visit visit;
    tree_node *from = NULL, *to = NULL;
    visit_begin(&visit, request, true);
    ret->status = find_directory(&visit, arg->from.directory, 3, &from);
    if (ret->status == NFS_OK)
        ret->status = find_directory(&visit, arg->to.directory, 3, &to);
    if (from)
        ret->directories.from.before = copy_before(&visit, from);
    if (to)
        ret->directories.to.before = copy_before(&visit, to);
    if (ret->status == NFS_OK)
        ret->status = rename_entry(visit.tree, from, arg->from.name, to, arg->to.name);
    if (from)
        ret->directories.from.after = copy_attributes(&visit, from);
    if (to)
        ret->directories.to.after = copy_attributes(&visit, to);
    return visit_end(&visit);
}

int do_link(dari_request *request, const link_arguments *arg, link_result *ret)
{
    tree_visit visit;
    tree_node *directory = NULL, *node;
    visit_begin(&visit, request, true);
    node = tree_find(visit.tree, arg->file);
    ret->status = node ? find_directory(&visit, arg->link.directory, 3, &directory) : NFS_STALE;
    if (directory)
        ret->linked.directory.before = copy_before(&visit, directory);
    if (ret->status == NFS_OK && node->attributes.type == NFS_DIRECTORY)
        ret->status = NFS_ISDIR;
    if (ret->status == NFS_OK)
        ret->status = tree_link(visit.tree, directory, arg->link.name, node);
    if (node)
        ret->linked.attributes = copy_attributes(&visit, node);
    if (directory)
        ret->linked.directory.after = copy_attributes(&visit, directory);
    return visit_end(&visit);
}
