/* SPDX-License-Identifier: MIT */
/* Several WRITEs in flight, of data that the server need not make safe before it answers; at the
 * end one COMMIT for all. The server's verifier tells whether it has restarted in between, and so
 * may have lost what was not safe yet: then all is sent again. */
#include "transfer.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often a file is sent to a server that restarts each time. */
#define ROUNDS_MAX 3

typedef struct file_writing file_writing;

typedef struct write_piece {
    file_writing *writing;
    dari_call call;
    uint64_t offset;
    uint32_t left;
} write_piece;

struct file_writing {
    nfs_session *session;
    const char *path;
    nfs_handle file;
    uint64_t size, next; /* of the input, and the offset of the next piece */
    uint32_t piece_size;
    write_piece pieces[TRANSFERS_MAX];
    uint8_t *buffer; /* of one piece: it is free again once a call has started */
    int input;
    nfs_progress *progress;
    bool has_verifier, lost; /* lost: the verifier has changed */
    nfs_verifier verifier;
    int status; /* 0, or -1 with words said */
};

static void check_verifier(file_writing *writing, const nfs_verifier verifier)
{
    if (writing->has_verifier && memcmp(writing->verifier, verifier, sizeof(nfs_verifier)) != 0)
        writing->lost = true;
    memcpy(writing->verifier, verifier, sizeof(nfs_verifier));
    writing->has_verifier = true;
}

/* Reads exactly what the piece needs. */
static int fill_buffer(const file_writing *writing, const write_piece *piece)
{
    for (uint32_t filled = 0; filled < piece->left;) {
        ssize_t got = pread(writing->input, writing->buffer + filled, piece->left - filled,
                            (off_t)(piece->offset + filled));
        if (got < 0)
            return fail_here("read");
        if (got == 0)
            return fail("read", "the file has become shorter");
        filled += (uint32_t)got;
    }
    return 0;
}

static void landed(void *user, const write_result *result, dari_call *call);

static void send_piece(write_piece *piece)
{
    file_writing *writing = piece->writing;
    writing->status = fill_buffer(writing, piece);
    if (writing->status < 0)
        return;
    write_arguments arguments = {.file = writing->file,
                                 .offset = piece->offset,
                                 .count = piece->left,
                                 .stable = NFS_UNSTABLE,
                                 .data = {piece->left, writing->buffer}};
    if (write_3_start(writing->session->nfs, &arguments, &piece->call, landed, piece) < 0)
        writing->status = fail_call(&piece->call);
}

static void send_next(write_piece *piece)
{
    file_writing *writing = piece->writing;
    uint64_t left = writing->size - writing->next;
    if (left == 0 || writing->status < 0 || writing->lost)
        return;
    piece->offset = writing->next;
    piece->left = left < writing->piece_size ? (uint32_t)left : writing->piece_size;
    writing->next += piece->left;
    send_piece(piece);
}

/* A server may write less than it was sent. */
static int take_count(write_piece *piece, const write_done *done)
{
    file_writing *writing = piece->writing;
    if (done->count == 0 || done->count > piece->left)
        return fail(writing->path, "the server says nonsense of how much it wrote");
    piece->offset += done->count;
    piece->left -= done->count;
    progress_add(writing->progress, done->count);
    check_verifier(writing, done->verifier);
    return 0;
}

static void landed(void *user, const write_result *result, dari_call *call)
{
    write_piece *piece = user;
    file_writing *writing = piece->writing;
    if (writing->status < 0)
        return;
    if (!result)
        writing->status = fail_call(call);
    else if (result->status != NFS_OK)
        writing->status = fail_nfs(writing->path, result->status);
    else
        writing->status = take_count(piece, &result->u.written);
    if (writing->status < 0)
        return;
    if (piece->left)
        send_piece(piece);
    else
        send_next(piece);
}

static int commit(file_writing *writing)
{
    commit_result result;
    commit_arguments arguments = {.file = writing->file};
    dari_call *call = &writing->session->call;
    dari_call_reset(call);
    if (commit_3(writing->session->nfs, &arguments, &result, call) < 0)
        return fail_call(call);
    if (result.status != NFS_OK)
        return fail_nfs(writing->path, result.status);
    check_verifier(writing, result.u.committed.verifier);
    return 0;
}

/* Sends the whole file, and has it made safe. */
static int write_all(file_writing *writing, unsigned in_flight)
{
    writing->next = 0;
    writing->progress->done = 0;
    writing->has_verifier = writing->lost = false;
    for (unsigned i = 0; i < in_flight; i++)
        send_next(&writing->pieces[i]);
    int waited = dari_client_wait(writing->session->nfs, UINT64_MAX);
    if (waited < 0 && writing->status == 0)
        writing->status = fail(writing->path, dari_error_text(waited));
    if (writing->status < 0 || writing->lost)
        return writing->status;
    return commit(writing);
}

int write_file(nfs_session *session, const char *path, const kept_handle *file, int input,
               uint64_t size, nfs_progress *progress)
{
    transfer_plan plan;
    if (plan_transfer(session, path, file, &plan) < 0)
        return -1;
    file_writing writing = {.session = session,
                            .path = path,
                            .file = as_argument(file),
                            .size = size,
                            .piece_size = plan.write_size,
                            .buffer = malloc(plan.write_size),
                            .input = input,
                            .progress = progress};
    if (!writing.buffer)
        return fail_here(path);
    for (unsigned i = 0; i < plan.in_flight; i++) {
        writing.pieces[i].writing = &writing;
        writing.pieces[i].call.cancel = session->call.cancel;
    }
    int status = write_all(&writing, plan.in_flight);
    for (int round = 1; status == 0 && writing.lost && round < ROUNDS_MAX; round++) {
        fprintf(stderr, "nfs: %s: the server has restarted: all is sent again\n", path);
        status = write_all(&writing, plan.in_flight);
    }
    if (status == 0 && writing.lost)
        status = fail(path, "the server restarts again and again, and may have lost a part");
    for (unsigned i = 0; i < plan.in_flight; i++)
        dari_call_end(&writing.pieces[i].call);
    free(writing.buffer);
    return status;
}
