/* SPDX-License-Identifier: MIT */
/* `nfs ls`: READDIRPLUS, page by page, each printed as it comes. */
#include "commands.h"
#include "facts.h"
#include "path.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

/* What a page may take: a datagram has not more. */
#define PAGE_SIZE (32u << 10)

static void print_entry(const nfs_entry_plus *entry)
{
    if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
        return;
    print_line(entry->name, entry->attributes);
}

/* Reads one page, and prepares for the next. Returns 1 after the last one, 0 or -1. */
static int list_page(nfs_session *session, const char *path, readdirplus_arguments *next)
{
    readdirplus_result result;
    dari_call_reset(&session->call);
    if (readdirplus_3(session->nfs, next, &result, &session->call) < 0)
        return fail_call(&session->call);
    if (result.status != NFS_OK)
        return fail_nfs(path, result.status);
    const readdirplus_page *page = &result.u.page;
    for (const nfs_entry_plus *at = page->entries; at; at = at->next) {
        print_entry(at);
        next->cookie = at->cookie;
    }
    memcpy(next->verifier, page->verifier, sizeof next->verifier);
    return page->end ? 1 : page->entries ? 0 : fail(path, "the server sends an empty page");
}

int list(nfs_session *session, char **operands)
{
    nfs_found node;
    if (find_node(session, operands[0], &node) < 0)
        return -1;
    if (node.attributes.type != NFS_DIRECTORY) {
        print_line(operands[0], &node.attributes);
        return 0;
    }
    readdirplus_arguments next = {
        .directory = as_argument(&node.handle), .names_count = PAGE_SIZE / 4, .count = PAGE_SIZE};
    int status;
    do
        status = list_page(session, operands[0], &next);
    while (status == 0);
    return status < 0 ? -1 : 0;
}
