/* SPDX-License-Identifier: MIT */
/* What the tests of the wire write by hand. */
#ifndef DARI_TEST_WIRE_H
#define DARI_TEST_WIRE_H

#include "conformance/harness.h"

/* In a record mark: its fragment is the last one. */
#define LAST 0x80000000u

/* Writes a word and returns its end. */
static inline uint8_t *put(uint8_t *at, uint32_t word)
{
    dari_put_u32(at, word);
    return at + 4;
}

#endif
