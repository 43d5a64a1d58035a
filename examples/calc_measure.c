/* SPDX-License-Identifier: MIT */
/* calc-measure ADDRESS: how fast the server there answers. Prints two numbers: the microseconds of
 * one small call at a time, and the megabytes (of 10^6 bytes) per second that calls of 1 MiB carry;
 * of less, where messages of the scheme have to be smaller. Both are the median of BATCHES batches.
 */
#include "calc.h"

#include <dari/dari.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCHES = 11, SMALL_CALLS = 500, LARGE_CALLS = 8, LARGE = 1 << 20 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

/* One call, and whether its answer is right. */
typedef int one_call(dari_client *client, dari_call *call, const bytes *data);

static int small_call(dari_client *client, dari_call *call, const bytes *data)
{
    (void)data;
    int32_t sum = 0;
    int status = add_1(client, &(pair){.a = 1, .b = 2}, &sum, call);
    return status < 0 || sum == 3 ? status : DARI_BAD_REPLY;
}

static int large_call(dari_client *client, dari_call *call, const bytes *data)
{
    uint32_t size = 0;
    int status = put_1(client, data, &size, call);
    return status < 0 || size == data->size ? status : DARI_BAD_REPLY;
}

/* The seconds that one call takes, or a negative error. */
static double measure(dari_client *client, dari_call *call, const bytes *data, one_call *make_call,
                      int count)
{
    double seconds[BATCHES];
    for (int batch = 0; batch < BATCHES; batch++) {
        double start = now();
        for (int i = 0; i < count; i++) {
            int status = make_call(client, call, data);
            if (status < 0)
                return status;
        }
        seconds[batch] = (now() - start) / count;
    }
    qsort(seconds, BATCHES, sizeof(seconds[0]), by_size);
    return seconds[BATCHES / 2];
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "Usage: calc-measure ADDRESS\n");
        return 2;
    }
    uint8_t *data = calloc(1, LARGE);
    if (!data) {
        fprintf(stderr, "calc-measure: out of memory\n");
        return 1;
    }
    bytes large = {.size = LARGE, .data = data};
    double small_time = -1, large_time = -1;

    dari_call call = DARI_CALL(.deadline_ns = 5 * DARI_S);
    dari_client *client = NULL;
    const dari_client_options options = {.call = &call, .exec.allowed = true};
    if (dari_connect(argv[1], &options, &client) == 0)
        small_time = measure(client, &call, &large, small_call, SMALL_CALLS);
    if (small_time > 0) {
        while (large_call(client, &call, &large) == DARI_LIMIT && large.size > 1)
            large.size /= 2;
        large_time =
            measure(client, &call, &large, large_call, (int)(LARGE / large.size) * LARGE_CALLS);
    }
    if (large_time > 0)
        printf("%.1f %.0f\n", small_time * 1e6, large.size / 1e6 / large_time);
    else
        fprintf(stderr, "calc-measure: %s\n", dari_call_message(&call));

    dari_call_end(&call);
    dari_client_close(client);
    free(data);
    return large_time <= 0;
}
