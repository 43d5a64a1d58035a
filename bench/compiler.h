/* SPDX-License-Identifier: MIT */
/* The compiler's speed: `dari gen` on 10,000 lines against rpcgen on 1,000, whole processes. */
#ifndef BENCH_COMPILER_H
#define BENCH_COMPILER_H

#include "measure.h"

#define COMPILER_DARI_LINES 10000u
#define COMPILER_RPCGEN_LINES 1000u

/* Measures the row gen/10000-lines. `dari` and `rpcgen` are programs, found along PATH where they
 * contain no slash. False: one of them failed. */
bool compiler_rows(measure_report *report, const char *dari, const char *rpcgen);

#endif
