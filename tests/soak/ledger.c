/* SPDX-License-Identifier: MIT */
#include "soak/ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

ledger *ledger_create(void)
{
    void *memory = mmap(NULL, sizeof(ledger), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void ledger_free(ledger *book)
{
    munmap(book, sizeof *book);
}

void ledger_complain(ledger *book, const char *format, ...)
{
    uint32_t index = atomic_fetch_add(&book->complaint_count, 1);
    if (index >= COMPLAINTS)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(book->complaints[index], sizeof book->complaints[index], format, arguments);
    va_end(arguments);
}

bool ledger_start(ledger *book, unsigned client, uint32_t *ret_number)
{
    uint32_t number = atomic_load(&book->next[client]);
    if (number >= CALLS_MAX)
        return false;
    number = atomic_fetch_add(&book->next[client], 1);
    if (number >= CALLS_MAX) {
        atomic_store(&book->next[client], CALLS_MAX);
        return false;
    }
    atomic_store(&book->fates[client][number], FATE_STARTED);
    *ret_number = number;
    return true;
}

void ledger_end(ledger *book, unsigned client, uint32_t number, enum fate fate)
{
    uint8_t before = atomic_exchange(&book->fates[client][number], (uint8_t)fate);
    if (before != (fate == FATE_CONFIRMED ? FATE_SENT : FATE_STARTED))
        ledger_complain(book, "call %u of client %u ended twice: %u, then %u", number, client,
                        before, fate);
}

void ledger_allow(ledger *book, unsigned client, uint32_t number, uint8_t repeats)
{
    atomic_store(&book->repeats[client][number], repeats);
}

void ledger_run(ledger *book, unsigned client, uint32_t number)
{
    if (client >= CLIENTS || number >= atomic_load(&book->next[client]))
        ledger_complain(book, "call %u of client %u runs, and was never made", number, client);
    else if (atomic_fetch_add(&book->runs[client][number], 1) >
             atomic_load(&book->repeats[client][number]))
        ledger_complain(book, "call %u of client %u runs again", number, client);
}

static void check_line(ledger *book, unsigned client, uint32_t number, bool killed)
{
    uint8_t fate = book->fates[client][number], runs = book->runs[client][number];
    bool has_run = fate == FATE_ANSWERED || fate == FATE_FAILED || fate == FATE_CONFIRMED;
    bool has_not = fate == FATE_REFUSED || fate == FATE_NOT_RUN;
    if (has_run && runs == 0)
        ledger_complain(book, "call %u of client %u has fate %u and has not run", number, client,
                        fate);
    if (has_not && runs != 0)
        ledger_complain(book, "call %u of client %u has fate %u and has run", number, client, fate);
    if ((fate == FATE_NONE || fate == FATE_STARTED) && !killed)
        ledger_complain(book, "call %u of client %u never ended", number, client);
}

ledger_sums ledger_balance(ledger *book, const bool killed[CLIENTS])
{
    ledger_sums sums = {0};
    for (unsigned client = 0; client < CLIENTS; client++) {
        uint32_t count = book->next[client];
        sums.calls += count;
        for (uint32_t number = 0; number < count; number++) {
            check_line(book, client, number, killed[client]);
            sums.by_fate[book->fates[client][number]]++;
            sums.runs += book->runs[client][number];
        }
    }
    return sums;
}

uint64_t ledger_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* SplitMix64. */
static uint64_t next(dice *self)
{
    uint64_t mixed = self->state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

dice dice_of(uint64_t seed, uint64_t stream)
{
    dice made = {seed};
    made.state = next(&made) ^ stream;
    next(&made);
    return made;
}

uint32_t roll(dice *self, uint32_t sides)
{
    return (uint32_t)((next(self) >> 32) * sides >> 32);
}
