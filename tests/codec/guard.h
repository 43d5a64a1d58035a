/* SPDX-License-Identifier: MIT */
/* Memory that ends at a page which nobody may touch: who reads or writes one byte too many at its
 * end dies at once, with or without a sanitizer. What lies before is filled and looked at. */
#ifndef TEST_GUARD_H
#define TEST_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_RED_SIZE 64
#define GUARD_RED_BYTE 0xa5

typedef struct guard {
    uint8_t *memory;
    size_t mapped; /* with the forbidden page */
    size_t room;   /* bytes before it */
} guard;

/* Aborts where there is no memory. */
void guard_open(guard *memory, size_t room);
void guard_close(guard *memory);

/* The last `size` bytes before the forbidden page, with red bytes before them. */
uint8_t *guard_place(guard *memory, size_t size);

/* Copies a message there. */
uint8_t *guard_copy(guard *memory, const void *message, size_t size);

/* Whether the red bytes before what guard_place gave last are as they were. */
bool guard_intact(const guard *memory, size_t size);

#endif
