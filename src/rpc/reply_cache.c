/* SPDX-License-Identifier: MIT */
#include "rpc/reply_cache.h"

#include <dari/error.h>

#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64u
/* Memory for a large reply that a forgotten call leaves to the next one. */
#define REPLY_KEEP 512u
/* Bytes of a reply that need no memory of their own: so much fits into two lines of a cache. */
#define REPLY_SMALL 48u

/* The whole cache is gone through in turn, so calls are kept small. */
struct di_cached_call {
    di_cached_call *newer;      /* of those answered; or the next of the unused */
    uint64_t hash, second_hash; /* stand for caller and message, whose bytes are not kept */
    uint64_t answered_at;
    bool answered;
    size_t reply_size;
    uint8_t *large; /* memory for a reply that is not small, or NULL */
    size_t large_room;
    uint8_t small[REPLY_SMALL];
};

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* Up to 8 bytes, the first one the lowest on every machine, so that a last word that is not full
 * leaves its top byte to the size. */
static uint64_t load(const uint8_t *at, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, at, size);
    return le64toh(word);
}

/* A place in the table. A call is found in that of its hash or in one of the next, before an empty
 * one. That of others is not looked at, which would be cold. */
struct di_cached_slot {
    uint64_t hash;
    di_cached_call *call; /* NULL: it is empty */
};

/* The state of SipHash (Aumasson and Bernstein, 2012), which nobody without the key can predict. */
typedef struct sip {
    uint64_t v0, v1, v2, v3;
} sip;

static sip sip_begin(const uint64_t key[2])
{
    return (sip){
        .v0 = key[0] ^ UINT64_C(0x736f6d6570736575),
        .v1 = key[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee, /* the form of 128 bits */
        .v2 = key[0] ^ UINT64_C(0x6c7967656e657261),
        .v3 = key[1] ^ UINT64_C(0x7465646279746573),
    };
}

static inline void sip_round(sip *state)
{
    state->v0 += state->v1;
    state->v1 = rotate(state->v1, 13) ^ state->v0;
    state->v0 = rotate(state->v0, 32);
    state->v2 += state->v3;
    state->v3 = rotate(state->v3, 16) ^ state->v2;
    state->v0 += state->v3;
    state->v3 = rotate(state->v3, 21) ^ state->v0;
    state->v2 += state->v1;
    state->v1 = rotate(state->v1, 17) ^ state->v2;
    state->v2 = rotate(state->v2, 32);
}

static inline void sip_word(sip *state, uint64_t word)
{
    state->v3 ^= word;
    sip_round(state);
    state->v0 ^= word;
}

static inline void sip_bytes(sip *state, const uint8_t *bytes, size_t size)
{
    for (; size >= 8; bytes += 8, size -= 8)
        sip_word(state, load(bytes, 8));
    sip_word(state, load(bytes, size) | (uint64_t)size << 56);
}

static inline uint64_t sip_finish(sip *state)
{
    for (int i = 0; i < 3; i++)
        sip_round(state);
    return state->v0 ^ state->v1 ^ state->v2 ^ state->v3;
}

void di_reply_cache_init(di_reply_cache *cache, const di_reply_cache_limits *limits,
                         const uint64_t key[2])
{
    *cache = (di_reply_cache){.limits = *limits, .key = {key[0], key[1]}};
}

static uint32_t slot_of(const di_reply_cache *cache, uint64_t hash)
{
    return (uint32_t)hash & (cache->slot_count - 1);
}

static uint32_t slot_after(const di_reply_cache *cache, uint32_t slot)
{
    return (slot + 1) & (cache->slot_count - 1);
}

/* There is an empty slot. */
static void enter_table(di_reply_cache *cache, di_cached_call *call)
{
    uint32_t at = slot_of(cache, call->hash);
    while (cache->slots[at].call)
        at = slot_after(cache, at);
    cache->slots[at] = (di_cached_slot){call->hash, call};
}

/* Whoever would not be found behind the gap moves into it, and leaves another one. */
static void leave_table(di_reply_cache *cache, const di_cached_call *call)
{
    uint32_t gap = slot_of(cache, call->hash);
    while (cache->slots[gap].call != call)
        gap = slot_after(cache, gap);
    for (uint32_t at = slot_after(cache, gap); cache->slots[at].call; at = slot_after(cache, at)) {
        uint32_t from_own = slot_of(cache, at - cache->slots[at].hash);
        if (from_own >= slot_of(cache, at - gap)) {
            cache->slots[gap] = cache->slots[at];
            gap = at;
        }
    }
    cache->slots[gap].call = NULL;
}

/* Doubles the table where it is three quarters full; goes on with that which is there where memory
 * is out. Returns whether it has room for one more. */
static bool make_slots(di_reply_cache *cache)
{
    uint32_t old_count = cache->slot_count;
    if (cache->count < old_count / 4 * 3)
        return true;
    uint32_t count = old_count ? 2 * old_count : SLOTS_MIN;
    di_cached_slot *old = cache->slots;
    di_cached_slot *slots = calloc(count, sizeof *slots);
    if (!slots)
        return old_count && cache->count < old_count - 1;
    cache->slots = slots;
    cache->slot_count = count;
    for (uint32_t i = 0; i < old_count; i++)
        if (old[i].call)
            enter_table(cache, old[i].call);
    free(old);
    return true;
}

/* Forgets a call: one in progress, or the oldest of those answered. */
static void drop(di_reply_cache *cache, di_cached_call *call)
{
    leave_table(cache, call);
    if (call->answered) {
        cache->oldest = call->newer;
        cache->bytes -= call->reply_size;
    }
    cache->count--;
    if (call->large_room > REPLY_KEEP) {
        free(call->large);
        call->large = NULL;
        call->large_room = 0;
    }
    call->newer = cache->unused;
    cache->unused = call;
}

void di_reply_cache_free(di_reply_cache *cache)
{
    while (cache->oldest)
        drop(cache, cache->oldest);
    for (uint32_t i = 0; i < cache->slot_count; i++)
        while (cache->slots[i].call)
            drop(cache, cache->slots[i].call);
    for (di_cached_call *next; cache->unused; cache->unused = next) {
        next = cache->unused->newer;
        free(cache->unused->large);
        free(cache->unused);
    }
    free(cache->slots);
    cache->slots = NULL;
    cache->slot_count = 0;
}

/* Threads answer at times of their own, some a little after the `now` of another. */
static bool is_old(const di_reply_cache *cache, const di_cached_call *call, uint64_t now)
{
    return now > call->answered_at && now - call->answered_at >= cache->limits.age_ns;
}

static void forget_old(di_reply_cache *cache, uint64_t now)
{
    while (cache->oldest && is_old(cache, cache->oldest, now))
        drop(cache, cache->oldest);
}

/* Computes the 128 bits that identify a call. */
static void identify(const di_reply_cache *cache, const void *caller, size_t caller_size,
                     const uint8_t *message, size_t size, uint64_t ret_hashes[2])
{
    sip state = sip_begin(cache->key);
    sip_bytes(&state, caller, caller_size);
    sip_bytes(&state, message, size);
    state.v2 ^= 0xee;
    ret_hashes[0] = sip_finish(&state);
    state.v1 ^= 0xdd;
    ret_hashes[1] = sip_finish(&state);
}

/* A call to be filled in, or NULL. */
static di_cached_call *take(di_reply_cache *cache)
{
    di_cached_call *call = cache->unused;
    if (!call)
        return calloc(1, sizeof *call);
    cache->unused = call->newer;
    return call;
}

/* Remembers a new call, for which there may be no room. */
static int remember(di_reply_cache *cache, const uint64_t hashes[2], di_cached_call **ret_call)
{
    if (cache->count >= cache->limits.count) {
        if (!cache->oldest)
            return DARI_LIMIT;
        drop(cache, cache->oldest);
    }
    di_cached_call *call = make_slots(cache) ? take(cache) : NULL;
    if (!call)
        return DARI_NO_MEMORY;
    call->hash = hashes[0];
    call->second_hash = hashes[1];
    call->answered = false;
    enter_table(cache, call);
    cache->count++;
    *ret_call = call;
    return DI_CALL_NEW;
}

int di_reply_cache_find(di_reply_cache *cache, const void *caller, size_t caller_size,
                        const uint8_t *message, size_t size, uint64_t now,
                        di_cached_call **ret_call)
{
    uint64_t hashes[2];
    identify(cache, caller, caller_size, message, size, hashes);
    forget_old(cache, now);
    uint32_t at = slot_of(cache, hashes[0]);
    for (; cache->slots && cache->slots[at].call; at = slot_after(cache, at)) {
        di_cached_call *call = cache->slots[at].call;
        if (cache->slots[at].hash != hashes[0] || call->second_hash != hashes[1])
            continue;
        *ret_call = call;
        return call->answered ? DI_CALL_ANSWERED : DI_CALL_RUNS;
    }
    return remember(cache, hashes, ret_call);
}

/* Makes room for a reply of `size` bytes at a call; others are forgotten for it. Returns whether
 * there is room. */
static bool make_room(di_reply_cache *cache, di_cached_call *call, size_t size)
{
    if (size > cache->limits.bytes)
        return false;
    while (cache->bytes > cache->limits.bytes - size)
        drop(cache, cache->oldest);
    if (size <= REPLY_SMALL || size <= call->large_room)
        return true;
    uint8_t *large = malloc(size);
    if (!large)
        return false;
    free(call->large);
    call->large = large;
    call->large_room = size;
    return true;
}

static uint8_t *reply_of(di_cached_call *call)
{
    return call->reply_size <= REPLY_SMALL ? call->small : call->large;
}

void di_reply_cache_answer(di_reply_cache *cache, di_cached_call *call, const uint8_t *reply,
                           size_t size, uint64_t now)
{
    if (!make_room(cache, call, size)) {
        drop(cache, call);
        return;
    }
    call->reply_size = size;
    memcpy(reply_of(call), reply, size);
    call->answered = true;
    call->answered_at = now;
    call->newer = NULL;
    *(cache->oldest ? &cache->newest->newer : &cache->oldest) = call;
    cache->newest = call;
    cache->bytes += size;
}

void di_reply_cache_forget(di_reply_cache *cache, di_cached_call *call)
{
    drop(cache, call);
}

const uint8_t *di_cached_reply(di_cached_call *call, size_t *ret_size)
{
    *ret_size = call->reply_size;
    return reply_of(call);
}
