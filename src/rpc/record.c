/* SPDX-License-Identifier: MIT */
#include "rpc/record.h"

#include <string.h>

void di_record_reader_init(di_record_reader *reader, size_t limit, size_t head, uint32_t most)
{
    *reader = (di_record_reader){.limit = limit, .head = head, .most = most};
}

/* Reads the mark at scan and enters its fragment. Returns whether there may be one more. */
static bool enter_fragment(di_record_reader *reader, const uint8_t *bytes)
{
    uint32_t mark = dari_get_u32(bytes + reader->scan);
    reader->scan += DI_RECORD_MARK;
    if (!reader->in_record) {
        reader->begin = reader->end = reader->scan;
        reader->count = 0;
    }
    reader->in_record = true;
    reader->last = (mark & DI_RECORD_LAST) != 0;
    reader->left = mark & ~DI_RECORD_LAST;
    size_t gathered = reader->end - reader->begin;
    if (!reader->oversized && reader->left > reader->limit - gathered) {
        reader->oversized = true;
        reader->whole = gathered + reader->left;
    }
    return reader->count++ < reader->most;
}

/* Takes what has arrived of the current fragment: gathers it, or what of it is to be shown. */
static void take_fragment(di_record_reader *reader, uint8_t *bytes, size_t size)
{
    size_t arrived = size - reader->scan;
    if (arrived > reader->left)
        arrived = reader->left;
    size_t kept = arrived;
    if (reader->oversized) {
        size_t gathered = reader->end - reader->begin;
        size_t missing = gathered < reader->head ? reader->head - gathered : 0;
        kept = reader->discarding ? 0 : arrived < missing ? arrived : missing;
    }
    if (kept && reader->end != reader->scan)
        memmove(bytes + reader->end, bytes + reader->scan, kept);
    reader->end += kept;
    reader->scan += arrived;
    reader->left -= arrived;
}

/* Gives the gap between what is gathered and what comes up for consumption, where it is large
 * enough to pay for moving what is gathered. */
static size_t close_gap(di_record_reader *reader, uint8_t *bytes)
{
    size_t gathered = reader->end - reader->begin;
    if (gathered == 0 || reader->discarding) {
        size_t done = reader->scan;
        reader->begin = reader->end = reader->scan = 0;
        return done;
    }
    size_t gap = reader->scan - reader->end;
    if (gap < DI_RECORD_GAP_MIN || gap < gathered)
        return 0;
    memmove(bytes + reader->begin + gap, bytes + reader->begin, gathered);
    size_t done = reader->begin + gap;
    reader->begin = 0;
    reader->end = reader->scan = gathered;
    return done;
}

/* How many bytes beyond those there can be used. */
static size_t wanted(const di_record_reader *reader, size_t size)
{
    size_t there = size - reader->scan;
    if (!reader->in_record || reader->left == 0)
        return DI_RECORD_MARK - there;
    return reader->oversized ? 1 : reader->left;
}

static enum di_record_state partial(di_record_reader *reader, uint8_t *bytes, size_t size,
                                    di_record *ret_record)
{
    size_t want = wanted(reader, size);
    *ret_record = (di_record){.consume = close_gap(reader, bytes), .want = want};
    return DI_RECORD_PARTIAL;
}

/* The record is complete: the next one begins after what is consumed. */
static void leave_record(di_record_reader *reader, di_record *ret_record)
{
    *ret_record = (di_record){.body = NULL, .consume = reader->scan};
    reader->begin = reader->end = reader->scan = 0;
    reader->in_record = reader->last = reader->oversized = reader->discarding = false;
}

/* Shows the beginning of an oversized record, once. It ends here where `ended`. */
static enum di_record_state show_head(di_record_reader *reader, uint8_t *bytes, bool ended,
                                      di_record *ret_record)
{
    uint8_t *body = bytes + reader->begin;
    size_t gathered = reader->end - reader->begin;
    size_t size = gathered < reader->head ? gathered : reader->head;
    if (ended) {
        leave_record(reader, ret_record);
    } else {
        reader->discarding = true;
        *ret_record = (di_record){.consume = reader->scan};
        reader->begin = reader->end = reader->scan = 0;
    }
    ret_record->body = body;
    ret_record->size = size;
    ret_record->whole = reader->whole;
    return DI_RECORD_OVERSIZED;
}

enum di_record_state di_record_gather(di_record_reader *reader, uint8_t *bytes, size_t size,
                                      di_record *ret_record)
{
    for (;;) {
        if (reader->left == 0 && !reader->last) {
            if (size - reader->scan < DI_RECORD_MARK)
                return partial(reader, bytes, size, ret_record);
            if (!enter_fragment(reader, bytes)) {
                *ret_record = (di_record){.consume = 0};
                return DI_RECORD_CUT_UP;
            }
        }
        take_fragment(reader, bytes, size);
        bool ended = reader->left == 0 && reader->last;
        if (reader->oversized && !reader->discarding &&
            (ended || reader->end - reader->begin >= reader->head))
            return show_head(reader, bytes, ended, ret_record);
        if (ended && !reader->discarding) {
            uint8_t *body = bytes + reader->begin;
            size_t body_size = reader->end - reader->begin;
            leave_record(reader, ret_record);
            ret_record->body = body;
            ret_record->size = ret_record->whole = body_size;
            return DI_RECORD_WHOLE;
        }
        if (ended) {
            size_t done = reader->scan;
            leave_record(reader, ret_record);
            reader->begin = reader->end = reader->scan = done;
        } else if (reader->left > 0) {
            return partial(reader, bytes, size, ret_record);
        }
    }
}

size_t di_record_size_of_many(size_t size, size_t fragment_max)
{
    size_t fragments = (size - 1) / fragment_max + 1;
    return size + fragments * DI_RECORD_MARK;
}

void di_record_mark_many(uint8_t *room, size_t size, size_t fragment_max)
{
    size_t last = (size - 1) / fragment_max;
    uint32_t bit = DI_RECORD_LAST;
    for (size_t i = last;; i--) {
        size_t offset = i * fragment_max;
        size_t length = i == last ? size - offset : fragment_max;
        uint8_t *mark = room + offset + i * DI_RECORD_MARK;
        if (i > 0)
            memmove(mark + DI_RECORD_MARK, room + DI_RECORD_MARK + offset, length);
        dari_put_u32(mark, (uint32_t)length | bit);
        bit = 0;
        if (i == 0)
            return;
    }
}
