/* SPDX-License-Identifier: MIT */
/* Reading ahead: the READs of the next pieces are in flight while the first one is written out.
 * They are answered in any order; a piece that is early waits for its turn in its call context. */
#include "transfer.h"
#include "words.h"

#include <unistd.h>

typedef struct file_reading file_reading;

typedef struct read_piece {
    file_reading *reading;
    dari_call call;
    uint64_t offset;
    uint32_t wanted;
    const read_data *got; /* or NULL: it is in flight, or there is none */
} read_piece;

struct file_reading {
    nfs_session *session;
    const char *path;
    nfs_handle file;
    uint64_t size, next; /* of the file, and the offset of the next piece */
    uint32_t piece_size;
    read_piece pieces[TRANSFERS_MAX];
    unsigned piece_count;
    unsigned first; /* the piece whose turn it is to be written out */
    int output;
    nfs_progress *progress;
    int status; /* 0, 1 at the end of the file, or -1 with words said */
};

static void landed(void *user, const read_result *result, dari_call *call);

static void ask(read_piece *piece)
{
    file_reading *reading = piece->reading;
    read_arguments arguments = {
        .file = reading->file, .offset = piece->offset, .count = piece->wanted};
    piece->got = NULL;
    if (read_3_start(reading->session->nfs, &arguments, &piece->call, landed, piece) < 0)
        reading->status = fail_call(&piece->call);
}

static void ask_for_next(read_piece *piece)
{
    file_reading *reading = piece->reading;
    uint64_t left = reading->size - reading->next;
    piece->got = NULL;
    if (left == 0 || reading->status)
        return;
    piece->offset = reading->next;
    piece->wanted = left < reading->piece_size ? (uint32_t)left : reading->piece_size;
    reading->next += piece->wanted;
    ask(piece);
}

static int write_out(file_reading *reading, dari_opaque data)
{
    progress_add(reading->progress, data.size);
    while (data.size) {
        ssize_t written = write(reading->output, data.data, data.size);
        if (written < 0)
            return fail_here("write");
        data.data += written;
        data.size -= (uint32_t)written;
    }
    return 0;
}

/* The first piece is there. A server may send less than was asked for; then the rest of the piece
 * is asked for, and it stays the first. */
static void take_first(file_reading *reading)
{
    read_piece *piece = &reading->pieces[reading->first];
    dari_opaque data = piece->got->data;
    bool end = piece->got->end || data.size == 0;
    if (data.size > piece->wanted)
        reading->status = fail(reading->path, "the server sends more than it was asked for");
    else
        reading->status = write_out(reading, data);
    if (reading->status < 0)
        return;
    piece->offset += data.size;
    piece->wanted -= data.size;
    if (end && piece->offset < reading->size) {
        reading->status = fail(reading->path, "the file has become shorter meanwhile");
    } else if (end) {
        reading->status = 1;
    } else if (piece->wanted) {
        ask(piece);
    } else {
        reading->first = (reading->first + 1) % reading->piece_count;
        ask_for_next(piece);
    }
}

static void landed(void *user, const read_result *result, dari_call *call)
{
    read_piece *piece = user;
    file_reading *reading = piece->reading;
    if (reading->status)
        return;
    if (!result) {
        reading->status = fail_call(call);
    } else if (result->status != NFS_OK) {
        reading->status = fail_nfs(reading->path, result->status);
    } else {
        piece->got = &result->u.read;
        while (reading->status == 0 && reading->pieces[reading->first].got)
            take_first(reading);
    }
}

int read_file(nfs_session *session, const char *path, const nfs_found *file, int output,
              nfs_progress *progress)
{
    transfer_plan plan;
    if (plan_transfer(session, path, &file->handle, &plan) < 0)
        return -1;
    file_reading reading = {.session = session,
                            .path = path,
                            .file = as_argument(&file->handle),
                            .size = file->attributes.size,
                            .piece_size = plan.read_size,
                            .piece_count = plan.in_flight,
                            .output = output,
                            .progress = progress};
    for (unsigned i = 0; i < plan.in_flight; i++) {
        reading.pieces[i].reading = &reading;
        reading.pieces[i].call.cancel = session->call.cancel;
        ask_for_next(&reading.pieces[i]);
    }
    int waited = dari_client_wait(session->nfs, UINT64_MAX);
    if (waited < 0 && reading.status == 0)
        reading.status = fail(path, dari_error_text(waited));
    for (unsigned i = 0; i < plan.in_flight; i++)
        dari_call_end(&reading.pieces[i].call);
    return reading.status < 0 ? -1 : 0;
}
