/* SPDX-License-Identifier: MIT */
/* The client in a loop: its descriptor, its time-out, dispatch, and the wait for all calls in
 * flight.
 *
 * The descriptor is an epoll of the connection, of an eventfd by which other threads wake the one
 * that sleeps, and of the cancels of calls in flight. It is made by the first call that needs it,
 * and stays the same. One thread dispatches at a time. It takes replies to calls in flight from
 * where they lie; those that another thread has received meanwhile wait in memory of their own. */
#include "base/clock.h"
#include "loop/exchange.h"
#include "loop/reverse.h"

#include <dari/error.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Where so much waits to be sent, it is sent at once. */
#define BATCH ((size_t)16 << 10)
/* Cancels that one dispatch looks at. */
#define CANCELS 32
/* What epoll says of the others. */
#define CONNECTION (-1)
#define WAKE (-2)

static int watch_for(int loop, int operation, int descriptor, uint32_t events, int tag)
{
    struct epoll_event event = {.events = events, .data = {.fd = tag}};
    return epoll_ctl(loop, operation, descriptor, &event) < 0 ? DARI_ERRNO : 0;
}

int di_loop_create(dari_client *client)
{
    di_client_loop *loop = &client->loop;
    loop->descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (loop->descriptor < 0)
        return DARI_ERRNO;
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = loop->wake < 0
                    ? DARI_ERRNO
                    : watch_for(loop->descriptor, EPOLL_CTL_ADD, loop->wake, EPOLLIN, WAKE);
    if (error == 0)
        error = di_loop_attach(client);
    if (error < 0) {
        int cause = errno;
        if (loop->wake >= 0)
            close(loop->wake);
        close(loop->descriptor);
        errno = cause;
        return error;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&loop->idle, &attributes);
    pthread_condattr_destroy(&attributes);
    loop->made = true;
    return 0;
}

void di_loop_end(dari_client *client)
{
    di_client_loop *loop = &client->loop;
    if (!loop->made)
        return;
    if (!di_forked(&client->guard))
        pthread_cond_destroy(&loop->idle);
    close(loop->wake);
    close(loop->descriptor);
}

int di_loop_attach(dari_client *client)
{
    if (client->broken || client->over)
        return 0;
    client->loop.wants_room = client->loop.rests = false;
    return di_watches_add(client->loop.descriptor, client->channel.connection, DI_WANTS_RECEIVE,
                          (epoll_data_t){.fd = CONNECTION});
}

void di_loop_detach(dari_client *client)
{
    client->loop.rests = false;
    if (client->loop.made && !client->over)
        di_watches_remove(client->loop.descriptor, client->channel.connection);
}

int di_loop_want_room(dari_client *client, bool wants)
{
    di_client_loop *loop = &client->loop;
    const di_connection *connection = client->channel.connection;
    const epoll_data_t tag = {.fd = CONNECTION};
    const unsigned both = DI_WANTS_RECEIVE | DI_WANTS_SEND;
    if (!loop->made || client->over || loop->wants_room == wants)
        return 0;
    loop->wants_room = wants;
    if (loop->rests && (client->held || !wants))
        return 0;
    if (!loop->rests)
        return di_watches_change(loop->descriptor, connection, wants ? DI_WANTS_RECEIVE : both,
                                 wants ? both : DI_WANTS_RECEIVE, tag);
    /* Who waits by receiving may do so for long. */
    loop->rests = false;
    return di_watches_add(loop->descriptor, connection, both, tag);
}

/* A thread reads its reply in the connection's memory, or waits by receiving, and nothing else can
 * be received before it is done: what tells of more meanwhile would have the loop turn all the
 * time. */
static void rest(dari_client *client)
{
    if (client->over || client->broken || client->loop.rests)
        return;
    client->loop.rests = true;
    di_watches_remove(client->loop.descriptor, client->channel.connection);
}

void di_loop_resume(dari_client *client)
{
    di_client_loop *loop = &client->loop;
    if (!loop->rests)
        return;
    loop->rests = false;
    unsigned wants = loop->wants_room ? DI_WANTS_RECEIVE | DI_WANTS_SEND : DI_WANTS_RECEIVE;
    if (di_watches_add(loop->descriptor, client->channel.connection, wants,
                       (epoll_data_t){.fd = CONNECTION}) < 0)
        di_client_break(client, DARI_ERRNO, errno);
    di_loop_wake(client);
}

/* Whether another thread sleeps in the loop, or is about to. */
static bool asleep_elsewhere(const di_client_loop *loop)
{
    pthread_t self = pthread_self();
    return (loop->armed && !pthread_equal(loop->armed_by, self)) ||
           (loop->waiting && !pthread_equal(loop->waiting_by, self));
}

static bool dispatches(const di_client_loop *loop)
{
    return loop->dispatching && pthread_equal(loop->dispatcher, pthread_self());
}

/* The thread that begins to make progress is awake. What woke another one, which has not seen it
 * yet, stays. */
static void awake(di_client_loop *loop)
{
    if (loop->armed && pthread_equal(loop->armed_by, pthread_self()))
        loop->armed = false;
    if (loop->rung && !loop->waiting) {
        eventfd_t count;
        eventfd_read(loop->wake, &count);
        loop->rung = false;
    }
}

/* Where the user's loop sleeps in another thread, it goes on: it may have missed what woke this
 * one, and sleep for too long. */
static void hand_back(dari_client *client)
{
    if (client->loop.armed)
        di_loop_wake(client);
}

void di_loop_wake(dari_client *client)
{
    di_client_loop *loop = &client->loop;
    if (loop->rung || !asleep_elsewhere(loop))
        return;
    loop->rung = true;
    eventfd_write(loop->wake, 1);
}

void di_loop_idle(dari_client *client)
{
    if (client->loop.sleepers)
        pthread_cond_broadcast(&client->loop.idle);
    if (client->loop.waiting)
        di_loop_wake(client);
}

void di_loop_queued(dari_client *client, uint64_t deadline)
{
    di_client_loop *loop = &client->loop;
    if (client->over) {
        di_client_flush(client);
        di_caller_queued(client, deadline);
    }
    bool elsewhere = asleep_elsewhere(loop);
    if (!client->broken &&
        (elsewhere || client->flush_wanted || di_channel_unsent(&client->channel) >= BATCH))
        di_client_flush(client);
    if (elsewhere && deadline < loop->until)
        di_loop_wake(client);
    di_client_pass_on(client);
}

bool di_loop_sends(const dari_client *client)
{
    return dispatches(&client->loop);
}

/* Whether the connection will tell by its watches what comes, or its reader when that can be taken.
 */
static bool is_armed(const dari_client *client)
{
    di_connection *connection = client->channel.connection;
    return client->broken || client->over || client->loop.rests || !connection->ops->arm ||
           connection->ops->arm(connection);
}

static uint64_t time_left(dari_client *client)
{
    bool unsent = !client->loop.wants_room && !client->broken && !client->send_error &&
                  !client->flush_wanted && di_channel_unsent(&client->channel) > 0;
    if (client->flights.landed || unsent || !is_armed(client))
        return 0;
    client->loop.until = di_flights_due(&client->flights);
    uint64_t due = client->flights.grounded ? di_reconnect_due(client) : DI_NEVER;
    if (due < client->loop.until)
        client->loop.until = due;
    if (client->loop.until == DI_NEVER)
        return DI_NEVER;
    uint64_t now = di_now();
    return client->loop.until > now ? client->loop.until - now : 0;
}

/* Ends the calls whose cancel is set. */
static void look_for_cancels(dari_client *client)
{
    struct epoll_event events[CANCELS];
    if (client->flights.cancellable == 0)
        return;
    int count = epoll_wait(client->loop.descriptor, events, CANCELS, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.fd >= 0)
            di_flights_cancel(client, events[i].data.fd);
}

static void yield_to_receiver(dari_client *client)
{
    pthread_mutex_unlock(&client->lock);
    sched_yield();
    pthread_mutex_lock(&client->lock);
}

/* A flight whose reply has arrived, and lies in the connection; or NULL. Receives at most once. */
static di_flight *next_in_place(dari_client *client, bool *received)
{
    di_flights *flights = &client->flights;
    /* A thread that waits for the descriptor alone would not learn that its reply is there. */
    bool blind = client->receiver && client->receiver->bell < 0;
    if (client->over || client->held || client->broken || blind) {
        if (client->held || (client->receiving && !client->loop.wants_room))
            rest(client);
        else if (blind) /* its descriptor is this one's too, which tells until it has received */
            yield_to_receiver(client);
        return NULL;
    }
    client->landing = true;
    di_client_hand_out(client);
    if (!flights->in_place && !*received && !client->broken) {
        *received = true;
        client->received_at = di_now();
        di_client_receive(client, NULL);
    }
    client->landing = false;
    di_flight *flight = flights->in_place;
    flights->in_place = NULL;
    return flight;
}

static di_flight *next_flight(dari_client *client, bool *received)
{
    di_flight *flight = di_flights_next(client);
    if (!flight)
        flight = next_in_place(client, received);
    return flight ? flight : di_flights_next(client);
}

/* Has the result decoded and the caller's function called, without the lock. */
static void finish(dari_client *client, di_flight *flight)
{
    dari_exchange *exchange = &flight->exchange;
    exchange->error = flight->error;
    const uint8_t *result = NULL;
    bool is_short = exchange->holds && di_exchange_is_short(flight->reply_size);
    if (is_short) {
        result = di_exchange_open(exchange, flight->reply, flight->reply_size);
        exchange->holds = false;
        di_client_let_go(client);
    }
    pthread_mutex_unlock(&client->lock);
    if (exchange->error == 0 && !is_short)
        result = di_exchange_open(exchange, flight->reply, flight->reply_size);
    exchange->may_have_run |= flight->resend.again;
    flight->finish(exchange, result, flight->done, flight->user);
    pthread_mutex_lock(&client->lock);
    di_flights_recycle(client, flight);
}

/* One round, with the lock held. Returns whether more is ready. */
static int make_progress(dari_client *client)
{
    di_client_loop *loop = &client->loop;
    unsigned left = DARI_CLIENT_DISPATCH_MAX;
    bool received = false;
    awake(loop);
    loop->dispatching = true;
    loop->dispatcher = pthread_self();
    di_reconnect_step(client);
    di_client_flush(client);
    if (client->flights.timers.first)
        di_flights_expire(client, di_now());
    look_for_cancels(client);
    for (di_flight *flight; left > 0 && (flight = next_flight(client, &received)); left--) {
        finish(client, flight);
        if (!client->broken && !client->writing)
            di_channel_advance(&client->channel);
    }
    di_client_flush(client);
    di_client_pass_on(client);
    loop->dispatching = false;
    return left == 0 || client->flights.landed;
}

uint64_t di_client_feed(dari_client *client, const di_message *message)
{
    di_client_loop *loop = &client->loop;
    pthread_mutex_lock(&client->lock);
    bool here = !loop->dispatching;
    client->landing = here;
    client->received_at = di_now();
    if (message && client->broken)
        client->pending.dropped++;
    else if (message) {
        client->channel.shown += message->size;
        di_client_take(client, message);
    }
    client->landing = false;
    di_flight *flight = client->flights.in_place;
    client->flights.in_place = NULL;
    if (flight) {
        loop->dispatching = true;
        loop->dispatcher = pthread_self();
        finish(client, flight);
        loop->dispatching = false;
    }
    while (here && make_progress(client))
        continue;
    if (loop->sleepers)
        pthread_cond_broadcast(&loop->idle);
    uint64_t due = here ? di_flights_due(&client->flights) : DI_NEVER;
    pthread_mutex_unlock(&client->lock);
    return due;
}

/* Takes the lock. Returns 0, or an error and the lock is not held. */
static int enter(dari_client *client)
{
    if (di_forked(&client->guard))
        return DARI_FORKED;
    pthread_mutex_lock(&client->lock);
    int error = dispatches(&client->loop) ? DARI_INVALID : di_loop_make(client);
    if (error < 0)
        pthread_mutex_unlock(&client->lock);
    return error;
}

int dari_client_descriptor(dari_client *client)
{
    if (di_forked(&client->guard))
        return DARI_FORKED;
    pthread_mutex_lock(&client->lock);
    int error = di_loop_make(client);
    pthread_mutex_unlock(&client->lock);
    return error < 0 ? error : client->loop.descriptor;
}

uint64_t dari_client_timeout_ns(dari_client *client)
{
    if (di_forked(&client->guard))
        return DI_NEVER;
    di_client_loop *loop = &client->loop;
    pthread_mutex_lock(&client->lock);
    uint64_t left = time_left(client);
    if (left > 0) {
        loop->armed = true;
        loop->armed_by = pthread_self();
    }
    pthread_mutex_unlock(&client->lock);
    return left;
}

int dari_client_dispatch(dari_client *client)
{
    int result = enter(client);
    if (result < 0)
        return result;
    if (client->over)
        result = DARI_INVALID;
    else if (!client->loop.dispatching) {
        result = make_progress(client);
        hand_back(client);
        if (client->loop.sleepers)
            pthread_cond_broadcast(&client->loop.idle);
    }
    pthread_mutex_unlock(&client->lock);
    return result;
}

/* Sleeps while another thread makes progress. */
static void sleep_until_idle(dari_client *client, uint64_t deadline)
{
    di_client_loop *loop = &client->loop;
    loop->sleepers++;
    if (deadline == DI_NEVER) {
        pthread_cond_wait(&loop->idle, &client->lock);
    } else {
        struct timespec until = di_timespec(deadline);
        pthread_cond_timedwait(&loop->idle, &client->lock, &until);
    }
    loop->sleepers--;
}

/* Spins where that may find something, on a connection that is not replaced meanwhile. Returns
 * whether it has. */
static bool spins(dari_client *client, uint64_t deadline)
{
    if (client->broken || client->over || client->loop.rests)
        return false;
    client->engaged++;
    bool ready = di_client_spin(client, &client->loop.spin, deadline);
    client->engaged--;
    di_reconnect_step(client);
    return ready || client->broken;
}

/* Waits for the descriptor, where nothing is ready. */
static void wait_for_loop(dari_client *client, uint64_t deadline)
{
    di_client_loop *loop = &client->loop;
    loop->waiting = true;
    loop->waiting_by = pthread_self();
    bool ready = spins(client, deadline);
    bool sleeps = di_spin_is_over(&loop->spin);
    if (!ready && (!sleeps || time_left(client) > 0)) {
        struct pollfd descriptor = {.fd = loop->descriptor, .events = POLLIN};
        uint64_t until = deadline < loop->until ? deadline : loop->until;
        int milliseconds = sleeps ? di_poll_timeout(until) : 0;
        pthread_mutex_unlock(&client->lock);
        poll(&descriptor, 1, milliseconds);
        pthread_mutex_lock(&client->lock);
    }
    loop->waiting = false;
}

/* Whether the loop of a server makes progress, in another thread. */
static bool is_dispatched_by_server(const dari_client *client)
{
    return client->over || (client->service && di_reverse_service_runs(client));
}

int dari_client_wait(dari_client *client, uint64_t allowed_ns)
{
    uint64_t deadline = di_deadline_in(allowed_ns);
    if (client->over && di_caller_is_here(client))
        return DARI_DEADLOCK;
    int error = enter(client);
    if (error < 0)
        return error;
    di_client_loop *loop = &client->loop;
    while (client->flights.open > 0 && error == 0) {
        if (client->over && di_caller_stops(client))
            error = DARI_CANCELLED;
        else if (loop->dispatching || loop->waiting || is_dispatched_by_server(client))
            sleep_until_idle(client, deadline);
        else if (make_progress(client) == 0 && client->flights.open > 0)
            wait_for_loop(client, deadline);
        if (client->flights.open > 0 && di_now() >= deadline)
            error = DARI_DEADLINE;
    }
    hand_back(client);
    if (loop->sleepers)
        pthread_cond_broadcast(&loop->idle);
    pthread_mutex_unlock(&client->lock);
    return error;
}

void di_loop_close(dari_client *client)
{
    client->loop.dispatching = true;
    client->loop.dispatcher = pthread_self();
    for (di_flight *flight; (flight = di_flights_next(client));)
        finish(client, flight);
}
