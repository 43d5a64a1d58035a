/* SPDX-License-Identifier: MIT */
/* The codec rows: which subjects meet on which value, with which targets. */
#include "codec.h"

#include <stdio.h>
#include <string.h>

#define SUBJECTS 3 /* dari, libtirpc, memcpy */

typedef struct row_plan {
    const char *row; /* "codec/listing" */
    enum codec_value kind;
    const codec_subject *dari;
    double encode_targets[SUBJECTS - 1]; /* against libtirpc and memcpy; 0: none */
    double decode_targets[SUBJECTS - 1];
} row_plan;

static const row_plan plans[] = {
    {"codec/listing", CODEC_LISTING, &codec_dari, {1 / 12.0, 0}, {1 / 20.0, 0}},
    {"codec/listing-span", CODEC_LISTING, &codec_dari_span, {1 / 12.0, 0}, {1 / 25.0, 0}},
    {"codec/ints", CODEC_INTS, &codec_dari, {1 / 20.0, 1.5}, {1 / 20.0, 1.5}},
    {"codec/doubles", CODEC_DOUBLES, &codec_dari, {1 / 20.0, 1.5}, {1 / 20.0, 1.5}},
    {"codec/opaque1M", CODEC_OPAQUE, &codec_dari, {0, 1.1}, {0, 0}},
};

/* Has every real codec encode the same value: the bytes must be the same. */
static bool same_bytes(const char *row, const codec_subject *const *subjects, void *const *states)
{
    size_t sizes[2];
    uint8_t *messages[2];
    for (size_t i = 0; i < 2; i++) {
        if (!subjects[i]->encode(states[i], 1, 0))
            return false;
        messages[i] = subjects[i]->message(states[i], &sizes[i]);
    }
    if (sizes[0] == sizes[1] && memcmp(messages[0], messages[1], sizes[0]) == 0)
        return true;
    fprintf(stderr, "bench: %s: %s and %s write different bytes\n", row, subjects[0]->name,
            subjects[1]->name);
    return false;
}

static bool measure_direction(measure_report *report, const row_plan *plan, bool encode,
                              const codec_subject *const *subjects, void *const *states)
{
    char name[64];
    snprintf(name, sizeof name, "%s/%s", plan->row, encode ? "encode" : "decode");
    measure_subject measured[SUBJECTS];
    for (size_t i = 0; i < SUBJECTS; i++) {
        const double *targets = encode ? plan->encode_targets : plan->decode_targets;
        measured[i] = (measure_subject){
            .name = subjects[i]->name,
            .run = encode ? subjects[i]->encode : subjects[i]->decode,
            .context = states[i],
            .target = i ? targets[i - 1] : 0,
        };
    }
    measure_row row = {.name = name, .subjects = measured, .subject_count = SUBJECTS};
    return measure(report, &row);
}

static bool run_plan(measure_report *report, const row_plan *plan)
{
    const codec_subject *subjects[SUBJECTS] = {plan->dari, &codec_tirpc, &codec_memcpy};
    void *states[SUBJECTS] = {NULL};
    bool right = true;
    for (size_t i = 0; right && i < SUBJECTS; i++) {
        states[i] = subjects[i]->open(plan->kind);
        right = states[i] != NULL;
    }
    right = right && same_bytes(plan->row, subjects, states) &&
            measure_direction(report, plan, true, subjects, states) &&
            measure_direction(report, plan, false, subjects, states);
    for (size_t i = 0; i < SUBJECTS; i++)
        subjects[i]->close(states[i]);
    return right;
}

bool codec_rows(measure_report *report)
{
    bool right = true;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        right &= run_plan(report, &plans[i]);
    return right;
}
