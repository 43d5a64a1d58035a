/* SPDX-License-Identifier: MIT */
/* `nfs stat` and `nfs df`, and the lines of `nfs ls`. */
#include "facts.h"

#include "commands.h"
#include "name.h"
#include "path.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const type_names[] = {
    [NFS_FILE] = "file",
    [NFS_DIRECTORY] = "directory",
    [NFS_BLOCK_DEVICE] = "block device",
    [NFS_CHARACTER_DEVICE] = "character device",
    [NFS_LINK] = "symbolic link",
    [NFS_SOCKET] = "socket",
    [NFS_PIPE] = "pipe",
};

/* "-rw-r--r--" */
static void write_mode(char text[11], nfs_type type, uint32_t mode)
{
    strcpy(text, "?rwxrwxrwx");
    text[0] = " -dbclsp"[type];
    for (int bit = 0; bit < 9; bit++)
        if (!(mode & (0400u >> bit)))
            text[1 + bit] = '-';
    if (mode & 04000)
        text[3] = text[3] == 'x' ? 's' : 'S';
    if (mode & 02000)
        text[6] = text[6] == 'x' ? 's' : 'S';
    if (mode & 01000)
        text[9] = text[9] == 'x' ? 't' : 'T';
}

static void write_time(char *text, size_t size, const char *format, const nfs_time *when)
{
    time_t seconds = (time_t)when->seconds;
    struct tm broken_down;
    if (!localtime_r(&seconds, &broken_down) || !strftime(text, size, format, &broken_down))
        snprintf(text, size, "?");
}

void print_line(const char *name, const nfs_attributes *attributes)
{
    char mode[11], written[32];
    if (!attributes) {
        printf("?????????? %3s %5s %5s %12s %16s ", "?", "?", "?", "?", "?");
        print_name(name);
        return;
    }
    write_mode(mode, attributes->type, attributes->mode);
    write_time(written, sizeof written, "%Y-%m-%d %H:%M", &attributes->written);
    printf("%s %3" PRIu32 " %5" PRIu32 " %5" PRIu32 " %12" PRIu64 " %s ", mode, attributes->links,
           attributes->uid, attributes->gid, attributes->size, written);
    print_name(name);
}

static void print_time(const char *what, const nfs_time *when)
{
    char text[32], zone[8];
    write_time(text, sizeof text, "%Y-%m-%d %H:%M:%S", when);
    write_time(zone, sizeof zone, "%z", when);
    printf("%-9s %s.%09" PRIu32 " %s\n", what, text, when->nanoseconds, zone);
}

static int print_target(nfs_session *session, const char *path, const kept_handle *link)
{
    readlink_result result;
    nfs_handle argument = as_argument(link);
    dari_call_reset(&session->call);
    if (readlink_3(session->nfs, &argument, &result, &session->call) < 0)
        return fail_call(&session->call);
    if (result.status != NFS_OK)
        return fail_nfs(path, result.status);
    printf("target    ");
    print_name(result.u.found.path);
    return 0;
}

int print_facts(nfs_session *session, char **operands)
{
    nfs_found node;
    char mode[11];
    if (find_node(session, operands[0], &node) < 0)
        return -1;
    const nfs_attributes *is = &node.attributes;
    write_mode(mode, is->type, is->mode);
    printf("path      %s\n", operands[0]);
    printf("type      %s\n", type_names[is->type]);
    printf("mode      %04" PRIo32 " %s\n", is->mode & 07777, mode);
    printf("owner     %" PRIu32 ":%" PRIu32 "\n", is->uid, is->gid);
    printf("links     %" PRIu32 "\n", is->links);
    printf("size      %" PRIu64 " (%" PRIu64 " on disk)\n", is->size, is->used);
    printf("number    %" PRIu64 " in %" PRIx64 "\n", is->number, is->file_system);
    print_time("read", &is->read);
    print_time("written", &is->written);
    print_time("changed", &is->changed);
    printf("handle    ");
    print_handle(&node.handle);
    putchar('\n');
    return is->type == NFS_LINK ? print_target(session, operands[0], &node.handle) : 0;
}

int print_space(nfs_session *session, char **operands)
{
    nfs_found node;
    fsstat_result result;
    if (find_node(session, operands[0], &node) < 0)
        return -1;
    nfs_handle argument = as_argument(&node.handle);
    dari_call_reset(&session->call);
    if (fsstat_3(session->nfs, &argument, &result, &session->call) < 0)
        return fail_call(&session->call);
    if (result.status != NFS_OK)
        return fail_nfs(operands[0], result.status);
    const fsstat_space *space = &result.u.space;
    printf("       %20s %20s %20s\n", "all", "free", "free for you");
    printf("bytes  %20" PRIu64 " %20" PRIu64 " %20" PRIu64 "\n", space->bytes, space->bytes_free,
           space->bytes_available);
    printf("files  %20" PRIu64 " %20" PRIu64 " %20" PRIu64 "\n", space->files, space->files_free,
           space->files_available);
    return 0;
}
