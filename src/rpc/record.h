/* SPDX-License-Identifier: MIT */
/* Record marking (RFC 5531, section 11): messages on a stream of bytes, in fragments of 0 to
 * 2^31 - 1 bytes, each with a word before it that holds its length and, in the top bit, whether it
 * is the last one.
 *
 * Reading is a state machine over the bytes that have arrived and were not consumed yet. A record
 * of one fragment is used where it lies; further fragments are moved down to the first one as they
 * arrive, and the gaps that this leaves are consumed before they outweigh what is kept. Memory for
 * a record is so bounded by twice the limit, however it is cut. Time is bounded by a limit on
 * fragments, of which empty ones would go on without end. One thread at a time. */
#ifndef DI_RPC_RECORD_H
#define DI_RPC_RECORD_H

#include <dari/xdr.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DI_RECORD_MARK 4u                    /* bytes of the word before a fragment */
#define DI_RECORD_LAST UINT32_C(0x80000000)  /* its bit for the last fragment */
#define DI_FRAGMENT_MAX ((size_t)0x7fffffff) /* bytes of a fragment */
#define DI_RECORD_GAP_MIN ((size_t)4096)     /* smaller gaps are not worth moving anything */

enum di_record_state {
    DI_RECORD_CUT_UP = -1, /* there are more fragments than there may be: the stream is of no use */
    DI_RECORD_PARTIAL = 0, /* more bytes are needed; consume says how many are done with */
    DI_RECORD_WHOLE = 1,   /* a record */
    DI_RECORD_OVERSIZED = 2 /* the beginning of one above the limit; its rest will be discarded */
};

typedef struct di_record {
    uint8_t *body;  /* WHOLE, OVERSIZED */
    size_t size;    /* bytes at body */
    size_t whole;   /* bytes of the record: size, or where OVERSIZED what it has at least */
    size_t consume; /* bytes of the stream to consume: at once where PARTIAL, else after the use of
                       body; always before the next call */
    size_t want;    /* PARTIAL: bytes that can be used beyond those that remain, at least 1 */
} di_record;

typedef struct di_record_reader {
    size_t limit;    /* bytes of a record */
    size_t head;     /* bytes of a record above the limit that are shown */
    uint32_t most;   /* fragments of a record */
    uint32_t count;  /* of the current record's fragments, this one included */
    size_t begin;    /* of the stream's bytes: where the body gathered so far begins, */
    size_t end;      /* where it ends, */
    size_t scan;     /* and the first byte not looked at */
    size_t whole;    /* oversized: the bytes that its fragments so far announce */
    size_t left;     /* bytes of the current fragment from scan on */
    bool in_record;  /* a fragment has begun */
    bool last;       /* the current fragment is the last one */
    bool oversized;  /* the record is above the limit: no more is gathered than head */
    bool discarding; /* its beginning was shown */
} di_record_reader;

/* `head` bytes of an oversized record are shown; `limit` is at least that many. A record has at
 * most `most` fragments, 1 at least. */
void di_record_reader_init(di_record_reader *reader, size_t limit, size_t head, uint32_t most);

/* The part of di_record_next for all but a record of one fragment that is there whole. */
enum di_record_state di_record_gather(di_record_reader *reader, uint8_t *bytes, size_t size,
                                      di_record *ret_record);

/* Looks at the stream's unconsumed bytes, `size` of them at `bytes`, and says what is there. */
static inline enum di_record_state di_record_next(di_record_reader *reader, uint8_t *bytes,
                                                  size_t size, di_record *ret_record)
{
    if (reader->in_record || reader->scan || size < DI_RECORD_MARK)
        return di_record_gather(reader, bytes, size, ret_record);
    uint32_t mark = dari_get_u32(bytes);
    size_t body = mark & ~DI_RECORD_LAST;
    if (!(mark & DI_RECORD_LAST) || body > reader->limit || body > size - DI_RECORD_MARK)
        return di_record_gather(reader, bytes, size, ret_record);
    *ret_record = (di_record){.body = bytes + DI_RECORD_MARK,
                              .size = body,
                              .whole = body,
                              .consume = DI_RECORD_MARK + body};
    return DI_RECORD_WHOLE;
}

/* Where in the stream's unconsumed bytes that end lies before which they will be used where they
 * are: the end of a record of one fragment that has begun, and is within the limit. 0: nowhere. */
static inline size_t di_record_whole_until(const di_record_reader *reader)
{
    bool stays =
        reader->in_record && reader->last && !reader->oversized && reader->end == reader->scan;
    return stays ? reader->scan + reader->left : 0;
}

/* The parts of the two below for a record of several fragments. */
size_t di_record_size_of_many(size_t size, size_t fragment_max);
void di_record_mark_many(uint8_t *room, size_t size, size_t fragment_max);

/* The bytes that a record of `size` bytes takes on the stream, in fragments of at most
 * `fragment_max`. */
static inline size_t di_record_size(size_t size, size_t fragment_max)
{
    if (size <= fragment_max)
        return DI_RECORD_MARK + size;
    return di_record_size_of_many(size, fragment_max);
}

/* Marks a record of `size` bytes which lies at room + DI_RECORD_MARK; room has
 * di_record_size(size, fragment_max) bytes. */
static inline void di_record_mark(uint8_t *room, size_t size, size_t fragment_max)
{
    if (size <= fragment_max)
        dari_put_u32(room, (uint32_t)size | DI_RECORD_LAST);
    else
        di_record_mark_many(room, size, fragment_max);
}

#endif
