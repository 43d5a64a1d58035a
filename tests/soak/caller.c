/* SPDX-License-Identifier: MIT */
#include "soak/caller.h"

#include "soak.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The largest message of some connections. */
enum { NARROW = 20000, NARROW_LOSSY = 1500 };
enum { PATTERN_SIZE = 1 << 20, PATTERN_SHIFTS = 251 };

/* What calls carry: a piece of this. */
static uint8_t pattern_bytes[PATTERN_SIZE + PATTERN_SHIFTS];

__attribute__((constructor)) static void fill_pattern(void)
{
    for (uint32_t i = 0; i < sizeof pattern_bytes; i++)
        pattern_bytes[i] = (uint8_t)(i % PATTERN_SHIFTS);
}

/* The procedures, of two shapes. */
typedef struct note_kind {
    int (*call)(dari_client *client, const ticket *arg, dari_call *call);
    int (*start)(dari_client *client, const ticket *arg, dari_call *call, note_1_done *done,
                 void *user);
    int expected;
} note_kind;

static const note_kind notes[] = {
    {note_1, note_1_start, 0},
    {fail_1, fail_1_start, DARI_SYSTEM_ERROR},
    {fail_later_1, fail_later_1_start, DARI_SYSTEM_ERROR},
    {refuse_1, refuse_1_start, DARI_PROCEDURE_UNAVAILABLE},
};

typedef struct echo_kind {
    int (*call)(dari_client *client, const parcel *arg, parcel *ret, dari_call *call);
    int (*start)(dari_client *client, const parcel *arg, dari_call *call, echo_1_done *done,
                 void *user);
} echo_kind;

static const echo_kind echoes[] = {{echo_1, echo_1_start}, {echo_later_1, echo_later_1_start}};

void caller_begin(caller *self)
{
    self->note_count = 0;
    self->link = NULL;
    if (dari_cancel_create(&self->cancel) < 0)
        ledger_complain(self->book, "no cancel can be made");
}

void caller_end(caller *self)
{
    dari_cancel_destroy(self->cancel);
    self->cancel = NULL;
}

bool caller_is_over(const caller *self)
{
    return ledger_now() >= self->book->end_at ||
           atomic_load(&self->book->next[self->number]) >= CALLS_MAX;
}

/* One of the addresses. Returns false while they change. */
static bool pick_address(ledger *book, dice *luck, connection *link,
                         char address[sizeof *book->addresses])
{
    uint32_t which = roll(luck, ADDRESSES);
    link->replaced = atomic_load(&book->replaced);
    link->server = which % SERVERS;
    link->lives = atomic_load(&book->servers[link->server].lives);
    memcpy(address, book->addresses[which], sizeof *book->addresses);
    /* A write of nothing: what was read before stays before. */
    return link->replaced % 2 == 0 && link->replaced == atomic_fetch_add(&book->replaced, 0);
}

void connection_open(ledger *book, connection *link, dice *luck)
{
    char address[sizeof *book->addresses];
    *link = (connection){0};
    pthread_rwlock_init(&link->loop, NULL);
    if (!pick_address(book, luck, link, address)) {
        sched_yield();
        return;
    }
    bool hurry = roll(luck, 16) == 0;
    dari_call call = DARI_CALL(.deadline_ns = hurry ? roll(luck, 300) * DARI_US + 1 : 0);
    dari_client_options options = {.call = &call};
    if (roll(luck, 4) == 0)
        options.queued_max = (size_t)16 << 10;
    link->lossy = strncmp(address, "udp:", 4) == 0;
    /* A server that is replaced has other ports: nobody is to wait for the old ones. */
    bool has_port = link->lossy || strncmp(address, "tcp:", 4) == 0;
    link->comes_back = !has_port && roll(luck, 4) != 0;
    options.no_reconnect = !link->comes_back;
    link->narrow = link->lossy || roll(luck, 8) == 0;
    if (link->narrow)
        options.message_max = link->lossy ? NARROW_LOSSY : NARROW;
    options.retry_ns = 10 * DARI_MS;
    int error = dari_connect(address, &options, &link->client);
    atomic_fetch_add(error == 0 ? &book->connections : &book->failed_connections, 1);
    if (error < 0 && !(hurry && error == DARI_DEADLINE) &&
        link->replaced == atomic_load(&book->replaced))
        ledger_complain(book, "%s", dari_call_message(&call));
    dari_call_end(&call);
    link->idempotent = link->client && link->comes_back && roll(luck, 2) == 0;
    if (link->idempotent && dari_client_idempotent(link->client, &soak_1_interface, ECHO) < 0)
        ledger_complain(book, "ECHO cannot be made idempotent");
}

/* Whether the server that the client connected to first has ended. */
static bool has_outlived(ledger *book, const connection *link)
{
    return link->lives != atomic_load(&book->servers[link->server].lives);
}

void connection_close(ledger *book, connection *link)
{
    atomic_store(&link->closing, true);
    dari_client_close(link->client);
    if (atomic_load(&link->in_flight) > 0)
        ledger_complain(book, "%u calls in flight outlive their client",
                        atomic_load(&link->in_flight));
    pthread_rwlock_destroy(&link->loop);
}

static void set_going(caller *self, dari_call *call)
{
    uint32_t how = roll(&self->dice, 10);
    *call = (dari_call){0};
    if (how < 2)
        call->deadline_ns = 1 + roll(&self->dice, 3000) * DARI_US;
    else if (how < 3)
        call->deadline_ns = roll(&self->dice, 50000) * DARI_US;
    if (roll(&self->dice, dari_cancel_is_set(self->cancel) ? 32 : 4) == 0)
        call->cancel = self->cancel;
}

static uint32_t some_size(dice *luck)
{
    uint32_t how = roll(luck, 100);
    return roll(luck, how < 60 ? 64 : how < 90 ? 4096 : how < 99 ? 70000 : 600000);
}

static parcel make_parcel(caller *self, uint32_t number, uint32_t size)
{
    return (parcel){.from = {self->number, number},
                    .data = {size, pattern_bytes + number % PATTERN_SHIFTS}};
}

/* Before a call of ECHO is made. */
static void allow_repeats(caller *self, uint32_t number, const echo_kind *kind)
{
    if (self->link->idempotent && kind->call == echo_1)
        ledger_allow(self->book, self->number, number, DARI_REPEATS_MAX);
}

static bool is_echo(const parcel *sent, const parcel *got)
{
    return got->from.client == sent->from.client && got->from.number == sent->from.number &&
           got->data.size == sent->data.size &&
           (got->data.size == 0 || memcmp(got->data.data, sent->data.data, got->data.size) == 0);
}

/* The fate of a call that has ended with call->error, which may be `expected`. */
static enum fate judge(caller *self, const connection *link, uint32_t number, dari_call *call,
                       int expected)
{
    int error = call->error;
    bool excused = error == expected || (error == DARI_DEADLINE && call->deadline_ns) ||
                   (error == DARI_CANCELLED && call->cancel) ||
                   (error == DARI_CLOSED && atomic_load(&link->closing)) || error == DARI_FULL ||
                   (error == DARI_LIMIT && link->narrow) ||
                   link->replaced != atomic_load(&self->book->replaced);
    if (!excused)
        ledger_complain(self->book, "call %u of client %u: %s: %s", number, self->number,
                        dari_error_name(error), dari_call_message(call));
    if ((error == DARI_FULL || error == DARI_LIMIT) && call->may_have_run)
        ledger_complain(self->book, "call %u of client %u: %s, and may have run", number,
                        self->number, dari_error_name(error));
    if (error == DARI_CANCELLED && !dari_cancel_is_set(call->cancel))
        ledger_complain(self->book, "call %u of client %u: nobody cancelled it", number,
                        self->number);
    if (error == 0)
        return FATE_ANSWERED;
    if (error == DARI_SYSTEM_ERROR)
        return FATE_FAILED;
    if (error == DARI_PROCEDURE_UNAVAILABLE)
        return FATE_REFUSED;
    return call->may_have_run ? FATE_LOST : FATE_NOT_RUN;
}

/* Something was answered: what was sent before it has arrived. */
static void confirm_notes(caller *self)
{
    if (self->link->lossy || self->link->comes_back)
        self->note_count = 0;
    while (self->note_count > 0)
        ledger_end(self->book, self->number, self->notes[--self->note_count], FATE_CONFIRMED);
}

static void call_note(caller *self)
{
    const note_kind *kind = &notes[roll(&self->dice, 4)];
    dari_call call;
    ticket from = {self->number, 0};
    if (!ledger_start(self->book, self->number, &from.number))
        return;
    set_going(self, &call);
    bool later = has_outlived(self->book, self->link);
    kind->call(self->link->client, &from, &call);
    if (later && call.error == kind->expected)
        atomic_fetch_add(&self->book->resumed, 1);
    enum fate fate = judge(self, self->link, from.number, &call, kind->expected);
    ledger_end(self->book, self->number, from.number, fate);
    if (call.error == kind->expected)
        confirm_notes(self);
    dari_call_end(&call);
}

static void call_echo(caller *self)
{
    const echo_kind *kind = &echoes[roll(&self->dice, 2)];
    dari_call call;
    uint32_t number;
    parcel got;
    if (!ledger_start(self->book, self->number, &number))
        return;
    set_going(self, &call);
    parcel sent = make_parcel(self, number, some_size(&self->dice));
    bool later = has_outlived(self->book, self->link);
    allow_repeats(self, number, kind);
    int error = kind->call(self->link->client, &sent, &got, &call);
    if (error == 0 && !is_echo(&sent, &got))
        ledger_complain(self->book, "call %u of client %u: a wrong answer", number, self->number);
    if (later && error == 0)
        atomic_fetch_add(&self->book->resumed, 1);
    ledger_end(self->book, self->number, number, judge(self, self->link, number, &call, 0));
    if (error == 0)
        confirm_notes(self);
    dari_call_end(&call);
}

static void post_notes(caller *self)
{
    dari_call call;
    for (uint32_t left = 1 + roll(&self->dice, 8); left > 0 && self->note_count < NOTES; left--) {
        ticket from = {self->number, 0};
        if (!ledger_start(self->book, self->number, &from.number))
            return;
        set_going(self, &call);
        note_1_oneway(self->link->client, &from, &call);
        enum fate fate = judge(self, self->link, from.number, &call, 0);
        ledger_end(self->book, self->number, from.number, fate == FATE_ANSWERED ? FATE_SENT : fate);
        if (fate == FATE_ANSWERED)
            self->notes[self->note_count++] = from.number;
    }
}

/* A call in flight. Its caller and connection outlive it; another thread may end it. */
typedef struct flight {
    dari_call call;
    caller *caller;
    connection *link;
    uint32_t number;
    uint32_t size;
    int expected;
    bool later; /* than the end of the server that its client connected to first */
} flight;

static void end_flight(flight *self)
{
    caller *by = self->caller;
    enum fate fate = judge(by, self->link, self->number, &self->call, self->expected);
    ledger_end(by->book, by->number, self->number, fate);
    if (self->later && self->call.error == self->expected)
        atomic_fetch_add(&by->book->resumed, 1);
    atomic_fetch_sub(&self->link->in_flight, 1);
    dari_call_end(&self->call);
    free(self);
}

static flight *make_flight(caller *self, connection *link);
static void take_note(void *user, dari_call *call);

/* Some calls make others when they end. In whichever thread that is: without the caller's dice. */
static void go_on(caller *self, connection *link)
{
    flight *one = make_flight(self, link);
    if (!one)
        return;
    ticket from = {self->number, one->number};
    if (one->number % 2) {
        note_1(link->client, &from, &one->call);
        end_flight(one);
    } else if (note_1_start(link->client, &from, &one->call, take_note, one) < 0) {
        end_flight(one);
    }
}

static void take_note(void *user, dari_call *call)
{
    flight *self = user;
    (void)call;
    if (self->number % 16 == 3)
        go_on(self->caller, self->link);
    end_flight(self);
}

static void take_echo(void *user, const parcel *got, dari_call *call)
{
    flight *self = user;
    parcel sent = make_parcel(self->caller, self->number, self->size);
    if ((got != NULL) != (call->error == 0) || (got && !is_echo(&sent, got)))
        ledger_complain(self->caller->book, "call %u of client %u: a wrong answer", self->number,
                        self->caller->number);
    end_flight(self);
}

static flight *make_flight(caller *self, connection *link)
{
    flight *one = calloc(1, sizeof *one);
    if (!one || !ledger_start(self->book, self->number, &one->number)) {
        free(one);
        return NULL;
    }
    one->caller = self;
    one->link = link;
    one->later = has_outlived(self->book, link);
    atomic_fetch_add(&one->link->in_flight, 1);
    return one;
}

/* Starts a call with up to `size` bytes, or a note where that is 0. Returns whether it flies. */
static bool start_one(caller *self, uint32_t size)
{
    int error;
    flight *one = make_flight(self, self->link);
    if (!one)
        return false;
    set_going(self, &one->call);
    if (size > 0) {
        one->size = roll(&self->dice, size);
        parcel sent = make_parcel(self, one->number, one->size);
        const echo_kind *kind = &echoes[roll(&self->dice, 2)];
        allow_repeats(self, one->number, kind);
        error = kind->start(self->link->client, &sent, &one->call, take_echo, one);
    } else {
        const note_kind *kind = &notes[roll(&self->dice, 4)];
        one->expected = kind->expected;
        ticket from = {self->number, one->number};
        error = kind->start(self->link->client, &from, &one->call, take_note, one);
    }
    if (error < 0)
        end_flight(one);
    return error == 0;
}

static void start_some(caller *self)
{
    for (uint32_t left = 1 + roll(&self->dice, 40); left > 0; left--)
        start_one(self, roll(&self->dice, 2) ? 1 + some_size(&self->dice) / 8 : 0);
}

/* As a program with a loop of its own does it. */
static void run_loop(caller *self)
{
    dari_client *client = self->link->client;
    if (pthread_rwlock_trywrlock(&self->link->loop) != 0)
        return;
    struct pollfd one = {.fd = dari_client_descriptor(client), .events = POLLIN};
    for (uint32_t turns = 1 + roll(&self->dice, 10); turns > 0; turns--) {
        if (dari_client_timeout_ns(client) > 0)
            poll(&one, 1, (int)roll(&self->dice, 3));
        if (dari_client_dispatch(client) < 0)
            ledger_complain(self->book, "client %u: dispatch fails", self->number);
    }
    pthread_rwlock_unlock(&self->link->loop);
}

static void wait_for_some(caller *self)
{
    bool all = roll(&self->dice, 2);
    if (pthread_rwlock_tryrdlock(&self->link->loop) != 0)
        return;
    int error =
        dari_client_wait(self->link->client, all ? UINT64_MAX : roll(&self->dice, 3000) * DARI_US);
    if (error < 0 && (all || error != DARI_DEADLINE))
        ledger_complain(self->book, "client %u: wait: %s", self->number, dari_error_name(error));
    pthread_rwlock_unlock(&self->link->loop);
}

/* Asks for much, and does not take it for a while. */
static void dawdle(caller *self)
{
    for (uint32_t left = 1 + roll(&self->dice, 30); left > 0; left--)
        start_one(self, 32000);
    dari_client_dispatch(self->link->client);
    nanosleep(&(struct timespec){0, (long)roll(&self->dice, 5000) * 1000}, NULL);
}

/* Fills the connection, and has no patience with what does not fit. */
static void flood(caller *self)
{
    for (uint32_t left = 10 + roll(&self->dice, 30); left > 0; left--)
        start_one(self, 64000);
    for (uint32_t left = 1 + roll(&self->dice, 30); left > 0; left--) {
        ticket from = {self->number, 0};
        dari_call call = DARI_CALL(.deadline_ns = 1 + roll(&self->dice, 500) * DARI_US);
        if (!ledger_start(self->book, self->number, &from.number))
            return;
        if (roll(&self->dice, 2))
            note_1(self->link->client, &from, &call);
        else
            note_1_oneway(self->link->client, &from, &call);
        enum fate fate = judge(self, self->link, from.number, &call, 0);
        ledger_end(self->book, self->number, from.number, fate == FATE_ANSWERED ? FATE_SENT : fate);
    }
}

void caller_act(caller *self)
{
    uint32_t what = roll(&self->dice, 100);
    if (what < 30)
        call_echo(self);
    else if (what < 50)
        call_note(self);
    else if (what < 60)
        post_notes(self);
    else if (what < 80)
        start_some(self);
    else if (what < 90)
        wait_for_some(self);
    else if (what < 97)
        run_loop(self);
    else if (what < 98)
        dawdle(self);
    else if (what < 99)
        flood(self);
    else
        dari_cancel_now(self->cancel);
}
