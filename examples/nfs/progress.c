/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WIDTH 40
#define REDRAW_MS 100
#define CLEAR_LINE "\r\033[K"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

nfs_progress progress_begin(uint64_t bytes)
{
    int64_t now = now_ms();
    return (nfs_progress){
        .shown = bytes && isatty(STDERR_FILENO), .all = bytes, .drawn_ms = now, .began_ms = now};
}

void progress_add(nfs_progress *progress, uint64_t bytes)
{
    progress->done += bytes;
    int64_t now = progress->shown ? now_ms() : 0;
    if (now - progress->drawn_ms < REDRAW_MS)
        return;
    progress->drawn_ms = now;
    double part = (double)progress->done / (double)progress->all;
    double seconds = (double)(now - progress->began_ms) / 1000;
    int filled = part < 1 ? (int)(part * WIDTH) : WIDTH;
    fprintf(stderr, CLEAR_LINE "[%.*s%*s] %3.0f %%  %.1f MB/s", filled,
            "########################################", WIDTH - filled, "", 100 * part,
            (double)progress->done / 1e6 / seconds);
}

void progress_end(nfs_progress *progress)
{
    if (progress->shown)
        fputs(CLEAR_LINE, stderr);
    progress->shown = false;
}
