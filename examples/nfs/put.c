/* SPDX-License-Identifier: MIT */
/* `nfs put`. A file that it has made goes away again where not all could be written; of one that
 * was there it is said what has become. */
#include "commands.h"
#include "interrupt.h"
#include "path.h"
#include "transfer.h"
#include "words.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long a server is waited for that has just failed. */
#define TAKE_BACK_NS (2 * DARI_S)

/* A file on the server that is being written. */
typedef struct put_target {
    const char *path;
    nfs_spot spot;
    kept_handle file;
    bool made; /* it was not there */
} put_target;

/* Returns 0, a status of the server's, or -1 with words said. */
static int try_create(nfs_session *session, put_target *target, nfs_create_mode how, uint32_t mode)
{
    create_result result;
    uint64_t size = 0;
    create_arguments arguments = {
        .where = as_place(&target->spot),
        .how = {.mode = how, .u.attributes = {.mode = &mode, .size = &size}}};
    dari_call_reset(&session->call);
    if (create_3(session->nfs, &arguments, &result, &session->call) < 0)
        return fail_call(&session->call);
    if (result.status != NFS_OK)
        return (int)result.status;
    if (result.u.created.object) {
        target->file = keep_handle(*result.u.created.object);
        return 0;
    }
    nfs_found created;
    int status = find_node(session, target->path, &created);
    target->file = created.handle;
    return status;
}

/* Makes the file, or empties the one that is there. */
static int create_file(nfs_session *session, put_target *target, uint32_t mode)
{
    int status = try_create(session, target, NFS_GUARDED, mode);
    target->made = status == 0;
    if (status == NFS_EXIST)
        status = try_create(session, target, NFS_UNCHECKED, mode);
    return status > 0 ? fail_nfs(target->path, (nfs_status)status) : status;
}

/* Not all was written. */
static void take_back(nfs_session *session, put_target *target)
{
    change_result result;
    nfs_place place = as_place(&target->spot);
    dari_call_reset(&session->call);
    session->call.cancel = NULL;
    session->call.deadline_ns = TAKE_BACK_NS;
    if (target->made && remove_3(session->nfs, &place, &result, &session->call) == 0 &&
        result.status == NFS_OK)
        return;
    fail(target->path, target->made
                           ? "a part of it may be left on the server"
                           : "what was there is gone, and only a part of the new is there");
}

static int put_open(nfs_session *session, put_target *target, int input, const struct stat *facts)
{
    session->call.cancel = interrupt_begin();
    if (find_spot(session, target->path, &target->spot) < 0 ||
        create_file(session, target, facts->st_mode & 0777) < 0)
        return -1;
    uint64_t size = (uint64_t)facts->st_size;
    nfs_progress progress = progress_begin(size);
    int status = write_file(session, target->path, &target->file, input, size, &progress);
    progress_end(&progress);
    if (status < 0)
        take_back(session, target);
    return status;
}

int put_file(nfs_session *session, char **operands)
{
    const char *local = operands[0];
    put_target target = {.path = operands[1]};
    struct stat facts;
    int input = open(local, O_RDONLY | O_CLOEXEC);
    if (input < 0)
        return fail_here(local);
    int status = fstat(input, &facts) < 0 ? fail_here(local)
                 : S_ISREG(facts.st_mode) ? put_open(session, &target, input, &facts)
                                          : fail(local, "it is not a file");
    close(input);
    return status;
}
