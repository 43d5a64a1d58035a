/* SPDX-License-Identifier: MIT */
/* A set of files that appear together: each is written beside its final place, and all are renamed
 * once every byte of every one is there. */
#ifndef DI_CLI_OUTPUT_H
#define DI_CLI_OUTPUT_H

#include "base/text.h"

#include <stdbool.h>

#define DI_OUTPUT_MAX 3

typedef struct di_output {
    char *path;      /* where it will be */
    char *temporary; /* where it is until then; NULL: not written yet, or renamed */
} di_output;

/* A zeroed set is empty. Its owner frees it. */
typedef struct di_output_set {
    di_output files[DI_OUTPUT_MAX];
    unsigned count;
    di_text error; /* the first failure, in one line */
} di_output_set;

/* Writes `text` for `directory`/`stem``ending`. Returns false and leaves set->error on failure; an
 * existing file stays as it is. */
bool di_output_write(di_output_set *set, const char *directory, const char *stem,
                     const char *ending, const di_text *text);

/* Puts all files in place. */
bool di_output_commit(di_output_set *set);

/* Removes what was written and not committed, and frees the set's memory. */
void di_output_free(di_output_set *set);

/* `directory`/`stem``ending` as a path, without "./" before it. The caller frees it; NULL where
 * memory is out. */
char *di_output_path(const char *directory, const char *stem, const char *ending);

#endif
