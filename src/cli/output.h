/* SPDX-License-Identifier: MIT */
/* A set of files that appear together: each is written beside its final place, and all are renamed
 * once every byte of every one is there. Functions that return bool return false on failure and
 * leave set->error; files that exist stay as they are then. */
#ifndef DI_CLI_OUTPUT_H
#define DI_CLI_OUTPUT_H

#include "base/text.h"

#include <stdbool.h>

#define DI_OUTPUT_MAX 3

typedef struct di_output {
    char *path;      /* where it will be */
    char *temporary; /* where it is until then; NULL: not there yet, or renamed */
    int descriptor;  /* of the temporary file while it is written, otherwise -1 */
} di_output;

/* A zeroed set is empty. Its owner frees it. */
typedef struct di_output_set {
    di_output files[DI_OUTPUT_MAX];
    unsigned count;
    di_text error; /* the first failure, in one line */
} di_output_set;

/* Adds the file `directory`/`stem``ending` to the set. */
bool di_output_open(di_output_set *set, const char *directory, const char *stem,
                    const char *ending);

/* Appends to a file, by its number in the set. */
bool di_output_append(di_output_set *set, unsigned file, const char *data, size_t size);

/* Ends all files and puts them in place. */
bool di_output_commit(di_output_set *set);

/* Removes what was written and not committed, and frees the set's memory. */
void di_output_free(di_output_set *set);

/* `directory`/`stem``ending` as a path, without "./" before it. The caller frees it; NULL where
 * memory is out. */
char *di_output_path(const char *directory, const char *stem, const char *ending);

#endif
