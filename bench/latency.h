/* SPDX-License-Identifier: MIT */
/* How long single calls take: percentiles of round trips of two processes, for every scheme and for
 * peers. */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include "measure.h"

/* Measures the rows latency/…. False: a subject failed. */
bool latency_rows(measure_report *report);

#endif
