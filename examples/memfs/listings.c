/* SPDX-License-Identifier: MIT */
/* READDIR and READDIRPLUS: pages that go on behind a cookie. "." and ".." have the cookies 1 and 2;
 * the verifier is not needed, since no cookie is used twice. */
#include "handlers.h"

#include <string.h>

/* The most that a page takes: a datagram has room for it. */
#define PAGE_MOST 61440u
/* What a result takes beside its entries, and an entry beside its name, at most. */
#define PAGE_BYTES 128u
#define ENTRY_BYTES 32u
#define PLUS_BYTES (84u + 24u + 8u)

/* The next name behind a cookie. */
static bool next_entry(const tree_node *directory, uint64_t cookie, tree_entry *ret_entry)
{
    if (cookie < 2) {
        tree_node *node = cookie ? directory->parent : (tree_node *)directory;
        *ret_entry = (tree_entry){.name = cookie ? ".." : ".", .node = node, .cookie = cookie + 1};
        return true;
    }
    uint32_t low = 0, high = directory->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (directory->entries[middle].cookie <= cookie)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == directory->entry_count)
        return false;
    *ret_entry = directory->entries[low];
    return true;
}

/* The bytes that an entry takes in the result. */
static uint32_t entry_size(const tree_entry *entry, uint32_t more)
{
    return ENTRY_BYTES + more + (uint32_t)dari_padded((uint32_t)strlen(entry->name));
}

/* The bytes of a page: no more than one datagram takes, whatever is asked for. */
static uint32_t page_size(uint32_t asked)
{
    return asked < PAGE_MOST ? asked : PAGE_MOST;
}

int do_readdir(dari_request *request, const readdir_arguments *arg, readdir_result *ret)
{
    tree_visit visit;
    tree_node *directory = NULL;
    tree_entry entry = {.cookie = arg->cookie};
    visit_begin(&visit, request, false);
    ret->status = find_directory(&visit, arg->directory, 4, &directory);
    nfs_attributes *attributes = directory ? copy_attributes(&visit, directory) : NULL;
    if (ret->status != NFS_OK) {
        ret->u.attributes = attributes;
        return visit_end(&visit);
    }
    readdir_page *page = &ret->u.page;
    nfs_entry **end = &page->entries;
    uint32_t size = PAGE_BYTES;
    page->attributes = attributes;
    page->end = true;
    while (!visit.no_memory && next_entry(directory, entry.cookie, &entry)) {
        size += entry_size(&entry, 0);
        page->end = size <= page_size(arg->count);
        if (!page->end)
            break;
        nfs_entry one = {.number = entry.node->attributes.number,
                         .name = copy_name(&visit, entry.name),
                         .cookie = entry.cookie};
        *end = copy_bytes(&visit, &one, sizeof one);
        end = *end ? &(*end)->next : end;
    }
    if (!page->end && !page->entries)
        *ret = (readdir_result){.status = NFS_TOOSMALL, .u.attributes = attributes};
    return visit_end(&visit);
}

int do_readdirplus(dari_request *request, const readdirplus_arguments *arg, readdirplus_result *ret)
{
    tree_visit visit;
    tree_node *directory = NULL;
    tree_entry entry = {.cookie = arg->cookie};
    visit_begin(&visit, request, false);
    ret->status = find_directory(&visit, arg->directory, 5, &directory);
    nfs_attributes *attributes = directory ? copy_attributes(&visit, directory) : NULL;
    if (ret->status != NFS_OK) {
        ret->u.attributes = attributes;
        return visit_end(&visit);
    }
    readdirplus_page *page = &ret->u.page;
    nfs_entry_plus **end = &page->entries;
    uint32_t size = PAGE_BYTES, names_size = 0;
    page->attributes = attributes;
    page->end = true;
    while (!visit.no_memory && next_entry(directory, entry.cookie, &entry)) {
        size += entry_size(&entry, PLUS_BYTES);
        page->end = size <= page_size(arg->count) && names_size <= arg->names_count;
        if (!page->end)
            break;
        names_size += entry_size(&entry, 0);
        nfs_handle handle = copy_handle(&visit, entry.node);
        nfs_entry_plus one = {.number = entry.node->attributes.number,
                              .name = copy_name(&visit, entry.name),
                              .cookie = entry.cookie,
                              .attributes = copy_attributes(&visit, entry.node),
                              .object = copy_bytes(&visit, &handle, sizeof handle)};
        *end = copy_bytes(&visit, &one, sizeof one);
        end = *end ? &(*end)->next : end;
    }
    if (!page->end && !page->entries)
        *ret = (readdirplus_result){.status = NFS_TOOSMALL, .u.attributes = attributes};
    return visit_end(&visit);
}
