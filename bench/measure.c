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
    const struct timespec idle = {.tv_nsec = (long)row->idle_ns};
    if (row->idle_ns)
        nanosleep(&idle, NULL);
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
    uint64_t rounds = row->rounds ? row->rounds : subject->rounds_min ? subject->rounds_min : 1;
    while (subject->run) {
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

static bool fits(const measure_report *report, const measure_row *row, size_t batches)
{
    if (batches >= MEASURE_BATCHES_MIN && row->subject_count <= MEASURE_SUBJECTS_MAX &&
        report->row_count < MEASURE_ROWS_MAX)
        return true;
    fprintf(stderr, "bench: %s: too few batches, too many subjects or rows\n", row->name);
    return false;
}

/* Adds the row with the medians of the samples, `batches` of each subject, which it sorts. */
static void add_medians(measure_report *report, const measure_row *row, double *samples,
                        size_t batches)
{
    measure_result *result = &report->rows[report->row_count++];
    snprintf(result->name, sizeof result->name, "%s", row->name);
    result->unit = "ns";
    result->subject_count = row->subject_count;
    for (size_t i = 0; i < row->subject_count; i++) {
        const measure_subject *subject = &row->subjects[i];
        qsort(&samples[i * batches], batches, sizeof *samples, compare_doubles);
        result->figures[i] = subject->run ? samples[i * batches + batches / 2] : 0;
        result->subjects[i] = subject->name;
        result->targets[i] = subject->target;
    }
}

bool measure(measure_report *report, const measure_row *row)
{
    if (!measure_wants(report, row->name))
        return true;
    size_t batches = row->batches ? row->batches : MEASURE_BATCHES;
    if (!fits(report, row, batches))
        return false;
    uint64_t rounds[MEASURE_SUBJECTS_MAX];
    for (size_t i = 0; i < row->subject_count; i++)
        if (!calibrate(row, &row->subjects[i], &rounds[i]))
            return false;
    double *samples = calloc(row->subject_count * batches, sizeof *samples);
    if (!samples)
        return false;
    bool right = true;
    for (size_t batch = 0; right && batch < batches; batch++)
        for (size_t i = 0; right && i < row->subject_count; i++)
            if (row->subjects[i].run)
                right = run_batch(row, &row->subjects[i], rounds[i], batch * 7919 + i,
                                  &samples[i * batches + batch]);
    if (right)
        add_medians(report, row, samples, batches);
    free(samples);
    return right;
}

bool measure_figure(measure_report *report, const char *name, const char *unit, double figure,
                    double limit)
{
    if (report->row_count == MEASURE_ROWS_MAX)
        return false;
    measure_result *result = &report->rows[report->row_count++];
    *result = (measure_result){.unit = unit,
                               .subject_count = 2,
                               .subjects = {"dari", "limit"},
                               .figures = {figure, limit},
                               .targets = {0, 1}};
    snprintf(result->name, sizeof result->name, "%s", name);
    return true;
}

static const char *const percentile_names[MEASURE_PERCENTILES] = {"50", "90", "99", "99.9", "100"};

bool measure_latency(measure_report *report, const char *name, double *samples, size_t count)
{
    static const double parts[MEASURE_PERCENTILES] = {0.5, 0.9, 0.99, 0.999, 1};
    if (report->latency_count == MEASURE_ROWS_MAX)
        return false;
    measure_latencies *result = &report->latencies[report->latency_count++];
    snprintf(result->name, sizeof result->name, "%s", name);
    if (count == 0)
        return true;
    qsort(samples, count, sizeof *samples, compare_doubles);
    for (size_t i = 0; i < MEASURE_PERCENTILES; i++)
        result->ns[i] = samples[(size_t)((double)(count - 1) * parts[i])];
    return true;
}

static void print_latencies(const measure_report *report)
{
    if (report->latency_count == 0)
        return;
    printf("\n%-34s %10s %10s %10s %10s %10s\n", "round trips in ns", "50 %", "90 %", "99 %",
           "99.9 %", "max");
    for (size_t i = 0; i < report->latency_count; i++) {
        const measure_latencies *row = &report->latencies[i];
        printf("%-34s", row->name);
        for (size_t j = 0; row->ns[0] > 0 && j < MEASURE_PERCENTILES; j++)
            printf(" %10.0f", row->ns[j]);
        printf("%s\n", row->ns[0] > 0 ? "" : "  not built");
    }
}

static void print_target(double ratio, double target)
{
    char text[32];
    if (target < 1)
        snprintf(text, sizeof text, "1/%.0f", 1 / target);
    else
        snprintf(text, sizeof text, "%.2f x", target);
    printf("  %8s  %s", text, ratio <= target ? "met" : "SHORT");
}

static void print_peer(const measure_result *row, size_t peer)
{
    if (row->figures[peer] <= 0) {
        printf("  %-18s %12s", row->subjects[peer], "not built");
        return;
    }
    double ratio = row->figures[0] / row->figures[peer];
    char text[32];
    if (ratio < 1)
        snprintf(text, sizeof text, "1/%.1f", 1 / ratio);
    else
        snprintf(text, sizeof text, "%.2f x", ratio);
    printf("  %-18s %12.0f  %10s", row->subjects[peer], row->figures[peer], text);
    if (row->targets[peer] > 0)
        print_target(ratio, row->targets[peer]);
}

static void print_rows(const measure_report *report)
{
    printf("%-28s %12s  %-18s %12s  %10s  %8s\n", "row", "dari ns", "peer", "peer ns", "dari takes",
           "target");
    for (size_t i = 0; i < report->row_count; i++) {
        const measure_result *row = &report->rows[i];
        char name[sizeof row->name + 16];
        if (strcmp(row->unit, "ns") == 0)
            snprintf(name, sizeof name, "%s", row->name);
        else
            snprintf(name, sizeof name, "%s (%s)", row->name, row->unit);
        printf("%-28s %12.0f", name, row->figures[0]);
        for (size_t peer = 1; peer < row->subject_count; peer++) {
            if (peer > 1)
                printf("\n%-28s %12s", "", "");
            print_peer(row, peer);
        }
        printf("\n");
    }
}

void measure_print(const measure_report *report)
{
    if (report->row_count > 0 || report->latency_count == 0)
        print_rows(report);
    print_latencies(report);
}

static void write_latencies(FILE *file, const measure_latencies *row)
{
    fprintf(file, "  {\"name\": \"%s\", \"ns\": ", row->name);
    if (row->ns[0] > 0)
        fprintf(file, "%.1f", row->ns[0]);
    else
        fprintf(file, "null");
    fprintf(file, ", \"peers\": {}, \"percentiles\": {");
    for (size_t i = 0; row->ns[0] > 0 && i < MEASURE_PERCENTILES; i++)
        fprintf(file, "%s\"%s\": %.1f", i ? ", " : "", percentile_names[i], row->ns[i]);
    fprintf(file, "}}");
}

static void write_row(FILE *file, const measure_result *row)
{
    fprintf(file, "  {\"name\": \"%s\", ", row->name);
    if (strcmp(row->unit, "ns") != 0)
        fprintf(file, "\"unit\": \"%s\", ", row->unit);
    fprintf(file, "\"ns\": %.1f, \"peers\": {", row->figures[0]);
    for (size_t peer = 1; peer < row->subject_count; peer++) {
        fprintf(file, "%s\"%s\": ", peer == 1 ? "" : ", ", row->subjects[peer]);
        if (row->figures[peer] > 0)
            fprintf(file, "%.1f", row->figures[peer]);
        else
            fprintf(file, "null");
    }
    fprintf(file, "}}");
}

bool measure_write(const measure_report *report, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    fprintf(file, "[\n");
    for (size_t i = 0; i < report->row_count; i++) {
        write_row(file, &report->rows[i]);
        fprintf(file, "%s\n", i + 1 < report->row_count + report->latency_count ? "," : "");
    }
    for (size_t i = 0; i < report->latency_count; i++) {
        write_latencies(file, &report->latencies[i]);
        fprintf(file, "%s\n", i + 1 < report->latency_count ? "," : "");
    }
    fprintf(file, "]\n");
    bool failed = ferror(file);
    return !(fclose(file) || failed);
}
