/* SPDX-License-Identifier: MIT */
/* Fuzzes record marking: a stream in portions, both from the input, must give the records that a
 * plain reading of the whole stream gives, in bounded memory. Run as fuzz_message.c. */
#include "base/buffer.h"
#include "rpc/record.h"

#include <dari/xdr.h>

#include <stdlib.h>
#include <string.h>

#define LIMIT 300
#define HEAD 40

static void check(int holds)
{
    if (!holds)
        abort();
}

/* The plain reading: the record that begins at `at`. Returns its end, or NULL where it is not
 * complete; `ret_size` is the body's size so far, of which at most LIMIT bytes are gathered. */
static const uint8_t *read_plainly(const uint8_t *at, const uint8_t *end, uint8_t *body,
                                   uint64_t *ret_size)
{
    *ret_size = 0;
    while (end - at >= 4) {
        uint32_t mark = dari_get_u32(at);
        uint32_t size = mark & ~DI_RECORD_LAST;
        at += 4;
        size_t there = (size_t)(end - at) < size ? (size_t)(end - at) : size;
        size_t free_room = *ret_size < LIMIT ? LIMIT - (size_t)*ret_size : 0;
        if (free_room)
            memcpy(body + *ret_size, at, there < free_room ? there : free_room);
        *ret_size += size;
        at += there;
        if (there < size)
            return NULL;
        if (mark & DI_RECORD_LAST)
            return at;
    }
    return NULL;
}

typedef struct plain_reader {
    const uint8_t *at, *end;
} plain_reader;

/* Compares what the state machine has found with the plain reading. */
static void compare(plain_reader *plain, enum di_record_state state, const di_record *record)
{
    uint8_t body[LIMIT];
    uint64_t size;
    const uint8_t *next = read_plainly(plain->at, plain->end, body, &size);
    if (state == DI_RECORD_WHOLE) {
        check(next != NULL && size == record->size && size <= LIMIT);
    } else {
        check(size > LIMIT && record->size <= HEAD);
        check(next == NULL || record->size == HEAD);
    }
    check(memcmp(body, record->body, record->size) == 0);
    plain->at = next ? next : plain->end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8)
        return 0;
    plain_reader plain = {data + 8, data + size};
    di_record_reader reader;
    di_buffer buffer;
    di_record_reader_init(&reader, LIMIT, HEAD, UINT32_MAX);
    di_buffer_init(&buffer, 1 << 20);
    size_t done = 8;
    for (unsigned portion = 0; done < size; portion++) {
        size_t part = (size_t)data[portion % 8] + 1;
        if (part > size - done)
            part = size - done;
        uint8_t *room = NULL;
        check(di_buffer_reserve(&buffer, part, &room) == 0);
        memcpy(room, data + done, part);
        di_buffer_commit(&buffer, part);
        done += part;
        for (;;) {
            size_t there;
            di_record record;
            uint8_t *bytes = di_buffer_peek(&buffer, &there);
            enum di_record_state state = di_record_next(&reader, bytes, there, &record);
            check(record.consume <= there);
            if (state != DI_RECORD_PARTIAL)
                compare(&plain, state, &record);
            else
                check(record.want >= 1);
            di_buffer_consume(&buffer, record.consume);
            if (state == DI_RECORD_PARTIAL)
                break;
        }
        check(di_buffer_size(&buffer) <= 2 * LIMIT + DI_RECORD_GAP_MIN + 8);
    }
    uint8_t body[LIMIT];
    uint64_t left;
    check(read_plainly(plain.at, plain.end, body, &left) == NULL);
    di_buffer_free(&buffer);
    return 0;
}
