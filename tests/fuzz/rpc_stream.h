/* SPDX-License-Identifier: MIT */
/* Streams of calls and replies of echo.x, well made and cut into fragments at random: what the
 * fuzzers of whole connections begin with. */
#ifndef TESTS_FUZZ_RPC_STREAM_H
#define TESTS_FUZZ_RPC_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* The most bytes of a stream: fragments of one byte take five. */
#define STREAM_MESSAGES_MAX 12u
#define STREAM_MESSAGE_MAX 3000u
#define STREAM_MAX ((size_t)8 * STREAM_MESSAGES_MAX * STREAM_MESSAGE_MAX)

uint32_t next_random(uint32_t *state);

/* One 32-bit word, as it is on the wire. Returns what is behind it. */
uint8_t *put_word(uint8_t *at, uint32_t word);

/* Calls with some replies among them, or the other way round; xids from 1 to 9. Returns the end. */
uint8_t *put_stream(uint8_t *at, uint32_t *random, int calls);

#endif
