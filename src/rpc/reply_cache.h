/* SPDX-License-Identifier: MIT */
/* Replies that are kept where a caller that has heard nothing calls again with the same message, as
 * it does over UDP: so a call runs once, and a lost reply is sent once more.
 *
 * Two messages are the same call where caller, xid and all bytes of the message agree: they are
 * known by a keyed hash of 128 bits. A call that
 * is in progress is remembered until it is answered. An answered one is remembered as long as the
 * limits of count, bytes and age allow; of those answered the oldest is forgotten first.
 *
 * Fed with bytes and time, without I/O. One thread at a time. */
#ifndef DI_RPC_REPLY_CACHE_H
#define DI_RPC_REPLY_CACHE_H

#include <stddef.h>
#include <stdint.h>

typedef struct di_cached_call di_cached_call;
typedef struct di_cached_slot di_cached_slot;

typedef struct di_reply_cache_limits {
    uint32_t count;  /* calls that are remembered */
    size_t bytes;    /* of replies that are kept */
    uint64_t age_ns; /* after which an answered call is forgotten */
} di_reply_cache_limits;

/* What is known of a call. */
enum di_call_known {
    DI_CALL_NEW = 0,     /* nothing: it is to be run, and is remembered from now on */
    DI_CALL_RUNS = 1,    /* it is in progress */
    DI_CALL_ANSWERED = 2 /* its reply is there */
};

typedef struct di_reply_cache {
    di_reply_cache_limits limits;
    di_cached_slot *slots; /* a table of all by their hash */
    uint32_t slot_count;   /* a power of two, or 0 before the first call */
    uint32_t count;
    size_t bytes;                    /* of replies */
    di_cached_call *oldest, *newest; /* of those answered; newest: where there is an oldest */
    di_cached_call *unused;          /* with memory for the next ones */
    uint64_t key[2];                 /* of the hash: nobody can choose calls that collide */
} di_reply_cache;

/* `key` is random. */
void di_reply_cache_init(di_reply_cache *cache, const di_reply_cache_limits *limits,
                         const uint64_t key[2]);
void di_reply_cache_free(di_reply_cache *cache);

/* Looks a call up. `caller`: `caller_size` bytes that name it. Returns an
 * enum di_call_known and the call, or DARI_NO_MEMORY, or DARI_LIMIT where all that are remembered
 * are in progress. */
int di_reply_cache_find(di_reply_cache *cache, const void *caller, size_t caller_size,
                        const uint8_t *message, size_t size, uint64_t now,
                        di_cached_call **ret_call);

/* Keeps the reply of a call in progress, as a copy. Where it cannot be kept the call is forgotten,
 * and would run once more. */
void di_reply_cache_answer(di_reply_cache *cache, di_cached_call *call, const uint8_t *reply,
                           size_t size, uint64_t now);

/* A call in progress gets no reply: it is forgotten. */
void di_reply_cache_forget(di_reply_cache *cache, di_cached_call *call);

/* The reply of an answered call; it lasts until the cache is used again. */
const uint8_t *di_cached_reply(di_cached_call *call, size_t *ret_size);

#endif
