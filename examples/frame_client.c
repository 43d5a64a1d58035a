/* SPDX-License-Identifier: MIT */
/* frame-client ADDRESS COUNT: draws COUNT frames, in each of which a bright point has moved on, and
 * has each one looked at. Frames are drawn into memory of dari_loan: over shm: the server reads
 * them there, and nothing is copied; over every other scheme they are sent like other data. */
#include "frame.h"

#include <dari/dari.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 1280, HEIGHT = 720, SIZE = WIDTH * HEIGHT };

static void draw(uint8_t *points, uint32_t number)
{
    memset(points, 16, SIZE);
    points[number % HEIGHT * WIDTH + number % WIDTH] = 200;
}

/* Draws and asks, until something is wrong. */
static int watch(dari_client *client, uint8_t *points, uint32_t count, dari_call *call)
{
    const frame picture = {
        .width = WIDTH, .height = HEIGHT, .points = {.size = SIZE, .data = points}};
    for (uint32_t i = 0; i < count; i++) {
        spot found;
        draw(points, i);
        int status = find_1(client, &picture, &found, call);
        if (status < 0)
            return status;
        if (i == count - 1)
            printf("%u frames, the last one bright at %u, %u\n", count, found.x, found.y);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "Usage: frame-client ADDRESS COUNT\n");
        return 2;
    }
    dari_call call = DARI_CALL(.deadline_ns = 10 * DARI_S);
    dari_client *client = NULL;
    void *points = NULL;
    const dari_client_options options = {.call = &call, .shm_loan_size = SIZE};
    int status = dari_connect(argv[1], &options, &client);
    if (status == 0)
        status = dari_loan(client, SIZE, &points);
    if (status == 0)
        status = watch(client, points, (uint32_t)strtoul(argv[2], NULL, 10), &call);
    if (status < 0)
        fprintf(stderr, "frame-client: %s\n",
                call.error < 0 ? dari_call_message(&call) : dari_error_text(status));
    dari_loan_end(client, points);
    dari_client_close(client);
    dari_call_end(&call);
    return status < 0;
}
