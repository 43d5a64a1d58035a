/* SPDX-License-Identifier: MIT */
/* Measuring programs that do the same work against each other.
 *
 * The subjects of a row run in turn, batch after batch, so that what disturbs the machine disturbs
 * all of them; the median of a subject's batches counts. Only ratios inside one run say something.
 * A subject changes its input and checks its output in every round. One thread. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEASURE_BATCHES 51 /* odd: the median is one of them */
#define MEASURE_BATCHES_MIN 11
#define MEASURE_BATCH_NS 500000u /* how long a batch lasts, about: less than a time slice */
#define MEASURE_SUBJECTS_MAX 8
#define MEASURE_ROWS_MAX 128

/* One program of a row. The first is dari's, the others are its peers. */
typedef struct measure_subject {
    const char *name; /* "libtirpc" */
    /* Does the work `rounds` times. `seed` differs from batch to batch. False: an output was wrong.
     * NULL: a peer that could not be built here, which the row says. */
    bool (*run)(void *context, uint64_t rounds, uint64_t seed);
    void *context;
    uint64_t rounds_min; /* of a batch whose rounds are not given: fewer would say nothing */
    double target;       /* of a peer: dari is to take at most target × its time; 0: no target */
} measure_subject;

typedef struct measure_row {
    const char *name; /* "codec/listing/encode" */
    const measure_subject *subjects;
    size_t subject_count; /* at most MEASURE_SUBJECTS_MAX */
    size_t batches;       /* 0: MEASURE_BATCHES; at least MEASURE_BATCHES_MIN */
    uint64_t rounds;      /* of each batch; 0: as many as make a batch of MEASURE_BATCH_NS */
    uint64_t idle_ns;     /* before each batch nothing is done for so long, which is not timed */
} measure_row;

typedef struct measure_result {
    char name[96];
    const char *unit; /* of the figures: "ns", of one round, or "bytes" */
    size_t subject_count;
    const char *subjects[MEASURE_SUBJECTS_MAX];
    double figures[MEASURE_SUBJECTS_MAX]; /* 0: this peer could not be built */
    double targets[MEASURE_SUBJECTS_MAX];
} measure_result;

#define MEASURE_PERCENTILES 5u /* 50, 90, 99, 99.9 and 100 */

/* How long single calls took. */
typedef struct measure_latencies {
    char name[96];
    double ns[MEASURE_PERCENTILES]; /* 0: this one could not be built */
} measure_latencies;

/* A number for a round, to change an input with: it differs from round to round and batch to batch.
 */
static inline uint64_t measure_mix(uint64_t seed, uint64_t round)
{
    uint64_t value = (seed + 1) * 0x9e3779b97f4a7c15u + round * 0xbf58476d1ce4e5b9u;
    return value ^ (value >> 29);
}

/* What was measured so far. Start with a zeroed one; `only` NULL measures every row, otherwise
 * those whose name contains it. */
typedef struct measure_report {
    const char *only;
    measure_result rows[MEASURE_ROWS_MAX];
    size_t row_count;
    measure_latencies latencies[MEASURE_ROWS_MAX];
    size_t latency_count;
} measure_report;

/* Measures a row. Returns false, having said so on standard error, where an output was wrong. */
bool measure(measure_report *report, const measure_row *row);

/* Adds a row that is no time: one figure of dari's, and the limit that it is to keep to, which
 * takes the place of a peer. */
bool measure_figure(measure_report *report, const char *name, const char *unit, double figure,
                    double limit);

/* Adds the percentiles of `count` times in ns, which it sorts; 0: it could not be built. */
bool measure_latency(measure_report *report, const char *name, double *samples, size_t count);

/* True where the report wants a row of this name. */
bool measure_wants(const measure_report *report, const char *name);

/* Prints the rows and the percentiles: the time of one round, each peer's time, the ratio of the
 * two, and whether the target is met. */
void measure_print(const measure_report *report);

/* Writes the rows as JSON: [{"name": …, "ns": …, "peers": {"libtirpc": …}}]; percentiles as
 * [{"name": …, "ns": …, "peers": {}, "percentiles": {"50": …, "90": …}}], where "ns" is the first.
 * A row whose figures are no times has the same form, so that whoever compares dari with peers need
 * not tell them apart, and "unit": "bytes" beside it. A peer that could not be built is null.
 * False: it could not write. */
bool measure_write(const measure_report *report, const char *path);

#endif
