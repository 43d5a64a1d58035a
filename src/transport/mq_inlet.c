/* SPDX-License-Identifier: MIT */
/* The inlet of a server of mq:, which is its listener.
 *
 * Whoever may write into the queue can disturb the others: by messages that fill it, which take
 * their room and the server's time; once the server is dead, by keeping its name taken. But not
 * speak for them: a client is known by a number of 64 random bits that only it and the server have
 * seen, and its queue has the seal of it (mq_seal.h), without which a hello for the queue of
 * somebody who is there is dropped. What belongs to nobody is dropped. What breaks the rules, or
 * goes beyond what was granted, ends the connection that it belongs to. */
#include "transport/mq.h"

#include "transport/access.h"
#include "transport/failure.h"
#include "transport/mq_server.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void append(mq_list *list, mq_connection *connection)
{
    connection->next = NULL;
    connection->link = list->end;
    *list->end = connection;
    list->end = &connection->next;
}

/* Takes it out of the list that it is in, if any. */
static void take_out(mq_inlet *inlet, mq_connection *connection)
{
    mq_list *const lists[] = {&inlet->news, &inlet->waiting, &inlet->lost};
    if (!connection->link)
        return;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i]->end == &connection->next)
            lists[i]->end = connection->link;
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    connection->link = NULL;
}

static void init_list(mq_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static mq_connection **bucket_of(mq_inlet *inlet, uint64_t id)
{
    return &inlet->buckets[id % DI_MQ_BUCKETS];
}

static mq_connection *find(mq_inlet *inlet, uint64_t id)
{
    mq_connection *at = *bucket_of(inlet, id);
    while (at && at->id != id)
        at = at->next_of_bucket;
    return at;
}

/* Whether it waits to be accepted. */
static bool waits(const mq_connection *connection)
{
    return !connection->accepted;
}

void di_mq_unlink(mq_inlet *inlet, mq_connection *connection)
{
    mq_connection **at = bucket_of(inlet, connection->id);
    while (*at && *at != connection)
        at = &(*at)->next_of_bucket;
    if (*at)
        *at = connection->next_of_bucket;
    take_out(inlet, connection);
}

void di_mq_tell(mq_connection *connection)
{
    if (waits(connection))
        return;
    take_out(connection->inlet, connection);
    append(&connection->inlet->news, connection);
}

/* The listener has something to hand out without a message: an empty one makes it readable. */
static void nudge(mq_inlet *inlet)
{
    if (inlet->requests.descriptor >= 0 && di_queue_count(&inlet->requests) == 0)
        di_queue_send(&inlet->requests, "", 0, 0);
}

void di_mq_tell_later(mq_connection *connection)
{
    if (connection->link)
        return;
    append(&connection->inlet->lost, connection);
    nudge(connection->inlet);
}

/* Looks whether clients have left without a word: there may have been no room for it. Some each
 * time that a new one comes, so that those who have left are never many more than those who are
 * there. */
static void look_after(mq_inlet *inlet)
{
    inlet->looked_at = (inlet->looked_at + 1) % DI_MQ_BUCKETS;
    for (mq_connection *at = inlet->buckets[inlet->looked_at]; at; at = at->next_of_bucket)
        if (di_mq_is_left(at))
            di_mq_lose(at);
}

/* Returns DI_MOVED, or DARI_NO_MEMORY. */
static int take_hello(mq_inlet *inlet, const di_mq_head *head, const uint8_t *bytes, size_t size)
{
    di_mq_hello hello;
    uint64_t id = head->client;
    if (size != sizeof hello || find(inlet, id) || inlet->waiting_count >= DI_MQ_WAITING_MAX)
        return DI_MOVED;
    memcpy(&hello, bytes, sizeof hello);
    mq_connection *connection = di_mq_greet(inlet, id, &hello);
    if (!connection)
        return DARI_NO_MEMORY;
    mq_connection **bucket = bucket_of(inlet, id);
    connection->next_of_bucket = *bucket;
    *bucket = connection;
    append(&inlet->waiting, connection);
    inlet->waiting_count++;
    look_after(inlet);
    return DI_MOVED;
}

/* Gets the next message, or the one that could not be taken. As di_queue_receive. */
static int next_message(mq_inlet *inlet, size_t *ret_size)
{
    *ret_size = inlet->kept_size;
    inlet->kept_size = 0;
    if (*ret_size > 0)
        return 1;
    int got = di_queue_receive(&inlet->requests, inlet->message, ret_size);
    inlet->taken += got > 0;
    return got;
}

/* Takes one message. Returns DI_MOVED, DI_BLOCKED where there is none, or an error. A hello for
 * which there is no memory is kept, and what is behind it stays in the queue: its client's parts
 * may be among that. */
static int take_one(mq_inlet *inlet)
{
    size_t size;
    di_mq_head head;
    int got = next_message(inlet, &size);
    if (got <= 0)
        return got;
    if (size < DI_MQ_HEAD)
        return DI_MOVED;
    memcpy(&head, inlet->message, DI_MQ_HEAD);
    const uint8_t *bytes = inlet->message + DI_MQ_HEAD;
    size -= DI_MQ_HEAD;
    mq_connection *connection = head.kind == DI_MQ_HELLO ? NULL : find(inlet, head.client);
    if (head.kind == DI_MQ_HELLO) {
        int taken = take_hello(inlet, &head, bytes, size);
        inlet->kept_size = taken < 0 ? DI_MQ_HEAD + size : 0;
        return taken;
    }
    if (connection)
        di_mq_take(connection, &head, bytes, size);
    return DI_MOVED;
}

/* Accepts the first client that waits, if there is one. Returns DI_MOVED and the connection, or
 * DI_BLOCKED, or DARI_PERMISSION where it was turned away, or another error, and it goes on
 * waiting. */
static int accept_waiting(mq_inlet *inlet, mq_connection **ret_connection)
{
    while (inlet->waiting.first) {
        mq_connection *connection = inlet->waiting.first;
        int result = di_mq_accept(connection);
        if (result < 0 && result != DARI_PERMISSION)
            return result;
        inlet->waiting_count--;
        if (result > 0 && !inlet->retired) {
            di_mq_tell(connection);
            take_out(inlet, connection);
            *ret_connection = connection;
            return DI_MOVED;
        }
        if (result == DARI_PERMISSION)
            inlet->head.stranger = connection->replies.uid;
        di_mq_close(&connection->head);
        if (result == DARI_PERMISSION)
            return result;
    }
    return DI_BLOCKED;
}

/* Those who have left may have nothing in the inlet any more. */
static void look_at_lost(mq_inlet *inlet)
{
    while (inlet->lost.first)
        di_mq_tell(inlet->lost.first);
}

/* The next connection to hand out that has been accepted before, or NULL. */
static mq_connection *take_news(mq_inlet *inlet)
{
    mq_connection *connection = inlet->news.first;
    if (connection)
        take_out(inlet, connection);
    return connection;
}

/* Whether to leave the inlet alone until it says that there is something: a message mostly comes
 * alone, and to find none behind it costs a system call. */
static bool is_done(mq_inlet *inlet)
{
    bool again = inlet->handed_out;
    inlet->handed_out = false;
    if (!again || inlet->news.first || inlet->lost.first || inlet->waiting.first ||
        inlet->left_out >= DI_MQ_ALONE)
        return false;
    inlet->left_out++;
    return true;
}

/* Whether the next turn has something to hand out, whatever the queue holds. */
static bool has_more(const mq_inlet *inlet)
{
    return inlet->news.first || (inlet->waiting.first && !inlet->head.full);
}

/* What cannot be accepted waits; nobody else has to wait for that. */
static int mq_accept(di_listener *base, di_connection **ret_connection)
{
    mq_inlet *inlet = (mq_inlet *)base;
    if (is_done(inlet))
        return DI_BLOCKED;
    int error = 0, cause = 0;
    for (unsigned i = 0; i < DI_MQ_GARBAGE_PER_TURN; i++) {
        mq_connection *connection = NULL;
        if (error == 0 && (!base->full || inlet->retired)) {
            error = accept_waiting(inlet, &connection);
            cause = errno;
            if (error > 0)
                error = 0;
            if (error == DARI_PERMISSION)
                break;
        }
        if (!connection)
            connection = take_news(inlet);
        if (connection) {
            *ret_connection = &connection->head;
            inlet->handed_out = true;
            if (has_more(inlet))
                nudge(inlet);
            return DI_MOVED;
        }
        int moved = take_one(inlet);
        base->stuck = moved < 0;
        if (moved < 0)
            return moved;
        if (moved == DI_BLOCKED)
            inlet->left_out = 0;
        if (moved == DI_BLOCKED && !inlet->lost.first)
            break;
        if (moved == DI_BLOCKED)
            look_at_lost(inlet);
    }
    bool may_go_on = error == 0 || error == DARI_PERMISSION;
    if (inlet->news.first || (may_go_on && has_more(inlet)))
        nudge(inlet);
    errno = cause;
    return error;
}

static const char *mq_address(const di_listener *listener)
{
    return ((const mq_inlet *)listener)->address.data;
}

static void mq_retire(di_listener *base)
{
    mq_inlet *inlet = (mq_inlet *)base;
    inlet->retired = true;
    if (!di_forked(&inlet->guard))
        di_queue_remove_name(&inlet->requests, inlet->place.name);
}

void di_mq_drop_inlet(mq_inlet *inlet)
{
    if (--inlet->holders > 0)
        return;
    di_fork_guard_end(&inlet->guard);
    di_text_free(&inlet->address);
    free(inlet->message);
    free(inlet->spare);
    free(inlet);
}

/* Those who have just come, or wait, are told that nobody is there. */
static void turn_away(mq_inlet *inlet)
{
    mq_connection *connection;
    inlet->retired = true;
    for (uint64_t i = 0; i < DI_MQ_LAST_WORDS * (uint64_t)inlet->requests.messages; i++)
        if (take_one(inlet) != DI_MOVED)
            break;
    accept_waiting(inlet, &connection);
}

static void mq_close_listener(di_listener *base)
{
    mq_inlet *inlet = (mq_inlet *)base;
    if (inlet->requests.descriptor >= 0 && !di_forked(&inlet->guard)) {
        di_queue_remove_name(&inlet->requests, inlet->place.name);
        if (inlet->message && inlet->spare)
            turn_away(inlet);
    }
    while (inlet->waiting.first)
        di_mq_close(&inlet->waiting.first->head);
    di_queue_close(&inlet->requests);
    di_mq_drop_inlet(inlet);
}

/* Of the group the kernel sees who is in it, and of others the owner of their queue: so the one or
 * the other. */
static int mq_admit(di_listener *base, const di_access *access, di_failure *failure)
{
    mq_inlet *inlet = (mq_inlet *)base;
    gid_t group = di_access_is_of_group(access) ? access->group : (gid_t)-1;
    mode_t mode = di_access_mode(access, S_IWOTH);
    di_queue_failure of;
    if (access->has_group && access->user_count > 0 && !access->all)
        return di_fail(failure, DARI_INVALID, "mq: lets in a group or users, not both");
    inlet->access = *access;
    if (!(mode & (S_IWGRP | S_IWOTH)))
        return 0;
    int error = di_queue_share(&inlet->requests, group, mode, &of);
    return error < 0 ? di_mq_fail(failure, error, &of) : 0;
}

static const di_listener_ops mq_listener_ops = {
    .shared = true,
    .admit = mq_admit,
    .retire = mq_retire,
    .accept = mq_accept,
    .address = mq_address,
    .close = mq_close_listener,
};

/* Makes the queue, and removes what clients of a server before have left. */
static int open_inlet(mq_inlet *inlet, const char *rest, di_failure *failure)
{
    static const di_queue_shape shape = {
        .messages = DI_MQ_REQUESTS_MESSAGES, .bytes = DI_MQ_REQUESTS_BYTES, .note = DI_MQ_VERSION};
    char name[DI_QUEUE_NAME_MAX + 1];
    di_queue_failure of;
    int error = di_mq_address_parse(rest, &shape, &inlet->place, failure);
    if (error < 0)
        return error;
    error = di_queue_create(inlet->place.name, &inlet->place.shape, true, &inlet->requests, &of);
    if (error < 0)
        return di_mq_fail(failure, error, &of);
    inlet->head.descriptor = inlet->requests.descriptor;
    for (uint32_t slot = 0; slot < DI_MQ_SLOTS; slot++) {
        di_mq_slot_name(inlet->place.name, slot, name);
        di_queue_reclaim(name, true, &of);
    }
    inlet->message = malloc(inlet->requests.bytes);
    inlet->spare = calloc(1, sizeof *inlet->spare);
    di_text_format(&inlet->address, "mq:%.*s", (int)inlet->place.rest_size, rest);
    return inlet->message && inlet->spare && !inlet->address.failed ? 0 : DARI_NO_MEMORY;
}

int di_mq_listen(const char *rest, di_listener **ret_listener, di_failure *failure)
{
    mq_inlet *inlet = calloc(1, sizeof *inlet);
    if (!inlet)
        return DARI_NO_MEMORY;
    inlet->head = (di_listener){.ops = &mq_listener_ops, .descriptor = -1};
    inlet->requests.descriptor = -1;
    inlet->holders = 1;
    init_list(&inlet->news);
    init_list(&inlet->waiting);
    init_list(&inlet->lost);
    int error = di_fork_guard_init(&inlet->guard);
    if (error < 0)
        failure->system_error = errno;
    else
        error = open_inlet(inlet, rest, failure);
    if (error < 0) {
        mq_close_listener(&inlet->head);
        return error;
    }
    *ret_listener = &inlet->head;
    return 0;
}
