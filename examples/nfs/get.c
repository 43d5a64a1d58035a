/* SPDX-License-Identifier: MIT */
/* `nfs cat` and `nfs get`. */
#include "commands.h"
#include "interrupt.h"
#include "new_file.h"
#include "path.h"
#include "transfer.h"
#include "words.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int find_file(nfs_session *session, const char *path, nfs_found *ret_node)
{
    if (find_node(session, path, ret_node) < 0)
        return -1;
    if (ret_node->attributes.type == NFS_DIRECTORY)
        return fail_nfs(path, NFS_ISDIR);
    return ret_node->attributes.type == NFS_FILE ? 0 : fail(path, "it is not a file");
}

int print_file(nfs_session *session, char **operands)
{
    nfs_found file;
    if (find_file(session, operands[0], &file) < 0)
        return -1;
    nfs_progress hidden = {.shown = false};
    return read_file(session, operands[0], &file, STDOUT_FILENO, &hidden);
}

static int fill(nfs_session *session, const char *path, const nfs_found *file, int output)
{
    nfs_progress progress = progress_begin(file->attributes.size);
    int status = read_file(session, path, file, output, &progress);
    progress_end(&progress);
    return status;
}

static int get_new(nfs_session *session, const char *path, const nfs_found *file, const char *local)
{
    new_file whole;
    session->call.cancel = interrupt_begin();
    if (new_file_begin(&whole, local, file->attributes.mode) < 0)
        return -1;
    int status = fill(session, path, file, whole.descriptor);
    if (status == 0)
        status = new_file_place(&whole);
    new_file_end(&whole);
    return status;
}

/* What is no file, a device or a pipe, is written into; a link is followed. */
static int get_into(nfs_session *session, const char *path, const nfs_found *file,
                    const char *local)
{
    struct stat there;
    char real[PATH_MAX];
    if (stat(local, &there) < 0)
        return get_new(session, path, file, local);
    if (S_ISREG(there.st_mode))
        return realpath(local, real) ? get_new(session, path, file, real) : fail_here(local);
    int output = open(local, O_WRONLY | O_CLOEXEC);
    if (output < 0)
        return fail_here(local);
    int status = fill(session, path, file, output);
    if (close(output) < 0 && status == 0)
        status = fail_here(local);
    return status;
}

int get_file(nfs_session *session, char **operands)
{
    const char *local = operands[1];
    nfs_found file;
    if (find_file(session, operands[0], &file) < 0)
        return -1;
    if (!local) {
        const char *slash = strrchr(operands[0], '/');
        if (!slash || !slash[1])
            return fail(operands[0], "say what the file is to be called here");
        local = slash + 1;
    }
    return get_into(session, operands[0], &file, local);
}
