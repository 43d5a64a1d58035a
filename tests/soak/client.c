/* SPDX-License-Identifier: MIT */
/* Clients of the soak: threads that do something at random again and again, on connections of their
 * own or on one that they share. */
#include "soak/caller.h"
#include "soak/process.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* The cancel that SIGALRM means, in a process of one thread. */
static dari_cancel *volatile alarmed;

static void ring(int signal)
{
    (void)signal;
    if (alarmed)
        dari_cancel_now(alarmed);
}

static void set_alarm(dari_cancel *cancel, uint32_t microseconds)
{
    struct itimerval timer = {.it_value.tv_usec = (suseconds_t)microseconds};
    alarmed = cancel;
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void clear_alarm(void)
{
    set_alarm(NULL, 0);
}

/* One thread of several, for one round. */
typedef struct member {
    pthread_t thread;
    struct crew *crew;
    caller caller;
    connection *shared; /* NULL: it has one of its own */
} member;

typedef struct crew {
    ledger *book;
    connection shared;
    pthread_mutex_t lock;
    unsigned sharers; /* who have not left the shared connection yet */
    unsigned busy;    /* members whose caller may be cancelled: bits */
    member members[CLIENTS];
    unsigned count;
} crew;

/* A connection's life: actions, then its end, whatever is in flight. */
static void use(caller *self, connection *link, crew *all)
{
    self->link = link;
    /* Those that come back are to outlive servers. */
    uint32_t actions = (1 + roll(&self->dice, 20)) * (link->comes_back ? 4 : 1);
    for (uint32_t left = actions; left > 0 && !caller_is_over(self); left--) {
        caller_act(self);
        if (!all)
            continue;
        /* Somebody's calls are cancelled by another thread. */
        uint32_t victim = roll(&self->dice, 8 * all->count);
        pthread_mutex_lock(&all->lock);
        if (victim < all->count && (all->busy & 1u << victim))
            dari_cancel_now(all->members[victim].caller.cancel);
        pthread_mutex_unlock(&all->lock);
    }
}

static void set_busy(crew *all, unsigned index, bool busy)
{
    pthread_mutex_lock(&all->lock);
    all->busy = busy ? all->busy | 1u << index : all->busy & ~(1u << index);
    pthread_mutex_unlock(&all->lock);
}

/* The last one to leave closes it, whatever others still do: a server that ends waits for its
 * replies to be taken, and a member may wait for the next server. */
static void leave_shared(crew *all)
{
    pthread_mutex_lock(&all->lock);
    bool last = --all->sharers == 0;
    pthread_mutex_unlock(&all->lock);
    if (last)
        connection_close(all->book, &all->shared);
}

/* A member's share of a round. */
static void *take_part(void *argument)
{
    member *self = argument;
    crew *all = self->crew;
    unsigned index = (unsigned)(self - all->members);
    set_busy(all, index, true);
    if (self->shared) {
        use(&self->caller, self->shared, all);
        leave_shared(all);
    } else {
        connection own;
        connection_open(all->book, &own, &self->caller.dice);
        if (own.client)
            use(&self->caller, &own, all);
        connection_close(all->book, &own);
    }
    set_busy(all, index, false);
    return NULL;
}

/* Threads that share a connection and others that don't, until all have had enough. */
static void do_round(crew *all, dice *luck)
{
    connection_open(all->book, &all->shared, luck);
    all->sharers = 1;
    for (unsigned i = 0; i < all->count; i++) {
        member *one = &all->members[i];
        caller_begin(&one->caller);
        one->shared = all->shared.client && roll(luck, 4) != 0 ? &all->shared : NULL;
        all->sharers += one->shared != NULL;
    }
    for (unsigned i = 0; i < all->count; i++)
        pthread_create(&all->members[i].thread, NULL, take_part, &all->members[i]);
    leave_shared(all);
    for (unsigned i = 0; i < all->count; i++)
        pthread_join(all->members[i].thread, NULL);
    for (unsigned i = 0; i < all->count; i++)
        caller_end(&all->members[i].caller);
}

static void call_with_threads(ledger *book, unsigned first, unsigned count)
{
    crew *all = calloc(1, sizeof *all);
    dice luck = dice_of(book->seed, first);
    all->book = book;
    all->count = count;
    pthread_mutex_init(&all->lock, NULL);
    for (unsigned i = 0; i < count; i++)
        all->members[i] = (member){.crew = all,
                                   .caller = {.book = book,
                                              .number = first + i,
                                              .dice = dice_of(book->seed, 100 + first + i)}};
    while (ledger_now() < book->end_at)
        do_round(all, &luck);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static void call_alone(ledger *book, unsigned number, unsigned life)
{
    caller self = {
        .book = book, .number = number, .dice = dice_of(book->seed, 10000 * life + number)};
    signal(SIGALRM, ring);
    while (!caller_is_over(&self)) {
        caller_begin(&self);
        connection link;
        connection_open(book, &link, &self.dice);
        if (roll(&self.dice, 2))
            set_alarm(self.cancel, 1 + roll(&self.dice, 20000));
        if (link.client)
            use(&self, &link, NULL);
        connection_close(book, &link);
        clear_alarm();
        caller_end(&self);
    }
}

void soak_call(ledger *book, unsigned first, unsigned count, unsigned life)
{
    soak_usage before = soak_usage_now();
    if (count > 1)
        call_with_threads(book, first, count);
    else
        call_alone(book, first, life);
    soak_check_usage(book, &before, "a client");
}
