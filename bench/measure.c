/* SPDX-License-Identifier: MIT */
/* Batches in turn, medians, the table and the JSON file. */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static bool run_batch(const measure_row *row, const measure_subject *subject, uint64_t rounds,
                      uint64_t seed, double *ret_ns)
{
    /* A few rounds first, not timed: the others have had the caches meanwhile. */
    bool right = row->rounds || subject->run(subject->context, rounds / 8 + 1, seed);
    uint64_t start = now();
    right &= subject->run(subject->context, rounds, seed);
    *ret_ns = (double)(now() - start) / (double)rounds;
    if (!right)
        fprintf(stderr, "bench: %s: %s: wrong output\n", row->name, subject->name);
    return right;
}

/* Finds how many rounds make a batch; this warms up too. */
static bool calibrate(const measure_row *row, const measure_subject *subject, uint64_t *ret_rounds)
{
    uint64_t rounds = row->rounds ? row->rounds : 1;
    for (;;) {
        double ns;
        if (!run_batch(row, subject, rounds, rounds, &ns))
            return false;
        double total = ns * (double)rounds;
        if (row->rounds || total >= MEASURE_BATCH_NS / 2.0)
            break;
        if (total < MEASURE_BATCH_NS / 16.0)
            rounds *= 8;
        else
            rounds = (uint64_t)((double)rounds * MEASURE_BATCH_NS / total) + 1;
    }
    *ret_rounds = rounds;
    return true;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

bool measure_wants(const measure_report *report, const char *name)
{
    return !report->only || strstr(name, report->only);
}

bool measure(measure_report *report, const measure_row *row)
{
    if (!measure_wants(report, row->name))
        return true;
    size_t batches = row->batches ? row->batches : MEASURE_BATCHES;
    if (batches < MEASURE_BATCHES_MIN || row->subject_count > MEASURE_SUBJECTS_MAX ||
        report->row_count == MEASURE_ROWS_MAX) {
        fprintf(stderr, "bench: %s: too few batches, too many subjects or rows\n", row->name);
        return false;
    }
    uint64_t rounds[MEASURE_SUBJECTS_MAX];
    for (size_t i = 0; i < row->subject_count; i++)
        if (!calibrate(row, &row->subjects[i], &rounds[i]))
            return false;
    double *samples = malloc(row->subject_count * batches * sizeof *samples);
    if (!samples)
        return false;
    bool right = true;
    for (size_t batch = 0; right && batch < batches; batch++)
        for (size_t i = 0; right && i < row->subject_count; i++)
            right = run_batch(row, &row->subjects[i], rounds[i], batch * 7919 + i,
                              &samples[i * batches + batch]);
    measure_result *result = &report->rows[report->row_count];
    snprintf(result->name, sizeof result->name, "%s", row->name);
    result->subject_count = row->subject_count;
    for (size_t i = 0; right && i < row->subject_count; i++) {
        qsort(&samples[i * batches], batches, sizeof *samples, compare_doubles);
        result->ns[i] = samples[i * batches + batches / 2];
        result->subjects[i] = row->subjects[i].name;
        result->targets[i] = row->subjects[i].target;
    }
    free(samples);
    report->row_count += right;
    return right;
}

static void print_target(double ns, double peer, double target)
{
    double ratio = ns / peer;
    char text[32];
    if (target < 1)
        snprintf(text, sizeof text, "1/%.0f", 1 / target);
    else
        snprintf(text, sizeof text, "%.1f x", target);
    printf("  %8s  %s", text, ratio <= target ? "met" : "SHORT");
}

void measure_print(const measure_report *report)
{
    printf("%-28s %12s  %-18s %12s  %10s  %8s\n", "row", "dari ns", "peer", "peer ns", "dari takes",
           "target");
    for (size_t i = 0; i < report->row_count; i++) {
        const measure_result *row = &report->rows[i];
        if (row->subject_count == 1)
            printf("%-28s %12.0f\n", row->name, row->ns[0]);
        for (size_t peer = 1; peer < row->subject_count; peer++) {
            double ratio = row->ns[0] / row->ns[peer];
            char text[32];
            if (ratio < 1)
                snprintf(text, sizeof text, "1/%.1f", 1 / ratio);
            else
                snprintf(text, sizeof text, "%.2f x", ratio);
            if (peer == 1)
                printf("%-28s %12.0f", row->name, row->ns[0]);
            else
                printf("%-28s %12s", "", "");
            printf("  %-18s %12.0f  %10s", row->subjects[peer], row->ns[peer], text);
            if (row->targets[peer] > 0)
                print_target(row->ns[0], row->ns[peer], row->targets[peer]);
            printf("\n");
        }
    }
}

bool measure_write(const measure_report *report, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    fprintf(file, "[\n");
    for (size_t i = 0; i < report->row_count; i++) {
        const measure_result *row = &report->rows[i];
        fprintf(file, "  {\"name\": \"%s\", \"ns\": %.1f, \"peers\": {", row->name, row->ns[0]);
        for (size_t peer = 1; peer < row->subject_count; peer++)
            fprintf(file, "%s\"%s\": %.1f", peer == 1 ? "" : ", ", row->subjects[peer],
                    row->ns[peer]);
        fprintf(file, "}}%s\n", i + 1 < report->row_count ? "," : "");
    }
    fprintf(file, "]\n");
    bool failed = ferror(file);
    return !(fclose(file) || failed);
}
