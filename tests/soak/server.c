/* SPDX-License-Identifier: MIT */
/* A server of the soak, in a process of its own.
 *
 * Number 0 runs handlers in its loop and has the default limits; number 1 has workers, and limits
 * of any size that are reached all the time. Both leave some answers to two further threads, which
 * give them in any order. It ends on SIGTERM once the calls in progress are answered. */
#include "soak/process.h"

#include "soak.h"
#include "support/descriptors.h"

#include <dari/dari.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { ANSWERERS = 2 };

/* A call that waits for its answer; lives in the request's arena. */
typedef struct waiting {
    dari_request *request;
    const parcel *echo; /* NULL: it is to fail */
    struct waiting *next;
} waiting;

typedef struct house {
    ledger *book;
    server_sums *sums;
    unsigned descriptors; /* before there was a server */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    waiting *first;
    bool ending;
    dice dice; /* under lock */
} house;

static dari_server *running; /* for the signal handler */

static void finish(int signal)
{
    (void)signal;
    dari_server_finish(running, PATIENCE_S * DARI_S);
}

static house *arrive(dari_request *request, const ticket *from)
{
    house *self = dari_request_user(request);
    ledger_run(self->book, from->client, from->number);
    if (atomic_load(&self->sums->doomed) > 0 && atomic_fetch_sub(&self->sums->doomed, 1) == 1)
        raise(SIGKILL);
    return self;
}

static int note(dari_request *request, const ticket *arg)
{
    arrive(request, arg);
    return 0;
}

static int fail(dari_request *request, const ticket *arg)
{
    arrive(request, arg);
    return DARI_SYSTEM_ERROR;
}

static int refuse(dari_request *request, const ticket *arg)
{
    house *self = dari_request_user(request);
    (void)arg;
    atomic_fetch_add(&self->sums->refused, 1);
    return DARI_PROCEDURE_UNAVAILABLE;
}

static int echo(dari_request *request, const parcel *arg, parcel *ret)
{
    arrive(request, &arg->from);
    *ret = *arg;
    return 0;
}

static int descriptors(dari_request *request, uint32_t *ret)
{
    const house *self = dari_request_user(request);
    *ret = count_descriptors() - self->descriptors;
    return 0;
}

/* Leaves the answer to another thread. */
static int leave(house *self, dari_request *request, const parcel *echoed)
{
    waiting *one = dari_arena_take(dari_request_arena(request), sizeof *one);
    if (!one)
        return DARI_NO_MEMORY;
    pthread_mutex_lock(&self->lock);
    *one = (waiting){request, echoed, self->first};
    self->first = one;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
    return DARI_LATER;
}

static int fail_later(dari_request *request, const ticket *arg)
{
    return leave(arrive(request, arg), request, NULL);
}

/* Some are answered before their handler returns. */
static int later(dari_request *request, const parcel *arg, parcel *ret)
{
    (void)ret;
    house *self = arrive(request, &arg->from);
    if (arg->from.number % 16 != 0)
        return leave(self, request, arg);
    echo_later_1_reply(request, arg);
    return DARI_LATER;
}

static const soak_1_handlers handlers = {.note = note,
                                         .fail = fail,
                                         .fail_later = fail_later,
                                         .refuse = refuse,
                                         .echo = echo,
                                         .echo_later = later,
                                         .descriptors = descriptors};

/* Takes the newest or the oldest. Called with the lock held. */
static waiting *take(house *self)
{
    waiting **link = &self->first;
    bool oldest = roll(&self->dice, 2);
    while (oldest && (*link)->next)
        link = &(*link)->next;
    waiting *one = *link;
    *link = one->next;
    return one;
}

static void answer(const waiting *one)
{
    if (one->echo)
        echo_later_1_reply(one->request, one->echo);
    else
        dari_request_fail(one->request, DARI_SYSTEM_ERROR);
}

/* Lets some time pass, less where the house is ending. Called with the lock held. */
static void dawdle(house *self)
{
    uint64_t until_ns = ledger_now() + roll(&self->dice, 3000) * DARI_US;
    struct timespec until = {(time_t)(until_ns / DARI_S), (long)(until_ns % DARI_S)};
    pthread_cond_timedwait(&self->changed, &self->lock, &until);
}

static void *answer_all(void *argument)
{
    house *self = argument;
    pthread_mutex_lock(&self->lock);
    while (!self->ending || self->first) {
        if (!self->first) {
            pthread_cond_wait(&self->changed, &self->lock);
            continue;
        }
        if (roll(&self->dice, 8) == 0)
            dawdle(self);
        if (!self->first)
            continue;
        const waiting *one = take(self);
        pthread_mutex_unlock(&self->lock);
        answer(one);
        pthread_mutex_lock(&self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static int count_begun(dari_request *request, void *user)
{
    house *self = user;
    if (dari_request_procedure(request) != DESCRIPTORS)
        atomic_fetch_add(&self->sums->begun, 1);
    return 0;
}

static void count_ended(dari_request *request, int error, void *user)
{
    server_sums *sums = ((house *)user)->sums;
    if (dari_request_procedure(request) == DESCRIPTORS)
        return;
    if (error == 0)
        atomic_fetch_add(&sums->answered, 1);
    else if (error == DARI_CLOSED)
        atomic_fetch_add(&sums->unheard, 1);
    else
        atomic_fetch_add(&sums->failed, 1);
}

/* Nothing that the soak does is anything that a server has to tell. */
static void take_log(void *user, int error, const char *text)
{
    ledger_complain(user, "a server says: %s (%s)", text, dari_error_name(error));
}

static dari_server *make_server(house *self, unsigned number)
{
    dari_server *server = NULL;
    dari_server_options options = {.log = take_log, .log_user = self->book};
    if (number == 1) {
        options.workers = 1 + roll(&self->dice, 4);
        options.connections_max = 6 + roll(&self->dice, 4);
        options.calls_per_connection_max = 1 + roll(&self->dice, 16);
        options.calls_max = 4 + roll(&self->dice, 24);
        options.queued_max = 1 + roll(&self->dice, 100000);
    }
    dari_interceptor interceptor = {count_begun, count_ended, self};
    if (dari_server_create(&options, &server) < 0 ||
        dari_server_intercept(server, &interceptor) < 0 ||
        soak_1_serve(server, &handlers, self) < 0) {
        dari_server_destroy(server);
        return NULL;
    }
    return server;
}

/* Every second address is this server's. */
static bool listen_at(dari_server *server, ledger *book, unsigned number)
{
    for (unsigned i = number, own = 0; i < ADDRESSES; i += SERVERS, own++) {
        if (dari_server_listen(server, book->addresses[i]) < 0) {
            ledger_complain(book, "%s", dari_server_message(server));
            return false;
        }
        snprintf(book->addresses[i], sizeof book->addresses[i], "%s",
                 dari_server_address(server, own));
    }
    return true;
}

static void run(house *self, unsigned number, int ready)
{
    pthread_t answerers[ANSWERERS];
    running = make_server(self, number);
    if (!running || !listen_at(running, self->book, number)) {
        dari_server_destroy(running);
        return;
    }
    for (unsigned i = 0; i < ANSWERERS; i++)
        pthread_create(&answerers[i], NULL, answer_all, self);
    struct sigaction action = {.sa_handler = finish};
    sigaction(SIGTERM, &action, NULL);
    if (write(ready, "", 1) != 1)
        ledger_complain(self->book, "nobody waits for server %u", number);
    int result = dari_server_run(running);
    if (result < 0)
        ledger_complain(self->book, "server %u ends with %s", number, dari_error_name(result));
    pthread_mutex_lock(&self->lock);
    self->ending = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    for (unsigned i = 0; i < ANSWERERS; i++)
        pthread_join(answerers[i], NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGTERM, &action, NULL);
    dari_server_destroy(running);
}

void soak_serve(ledger *book, unsigned number, int ready)
{
    house self = {.book = book,
                  .sums = &book->servers[number],
                  .dice = dice_of(book->seed, 1000 + 10 * book->replaced + number)};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&self.lock, NULL);
    pthread_cond_init(&self.changed, &attributes);
    soak_usage before = soak_usage_now();
    self.descriptors = before.descriptors;
    run(&self, number, ready);
    soak_check_usage(book, &before, "a server");
    pthread_cond_destroy(&self.changed);
    pthread_mutex_destroy(&self.lock);
    pthread_condattr_destroy(&attributes);
}
