/* SPDX-License-Identifier: MIT */
/* The connections of a server of mq:. */
#include "transport/mq_server.h"

#include "base/process.h"
#include "transport/access.h"
#include "transport/mq_seal.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int mq_reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    return di_buffer_reserve(&((mq_connection *)connection)->out, size, ret_room);
}

static void mq_commit(di_connection *connection, size_t size)
{
    di_buffer_commit(&((mq_connection *)connection)->out, size);
}

static size_t mq_unsent(const di_connection *connection)
{
    return di_buffer_size(&((const mq_connection *)connection)->out);
}

static void mq_withdraw(di_connection *connection, size_t size)
{
    di_buffer_withdraw(&((mq_connection *)connection)->out, size);
}

/* The head of a message to the client; with it goes what is granted at present. */
static di_mq_head make_head(mq_connection *self, enum di_mq_kind kind, uint64_t at)
{
    uint64_t granted = atomic_load(&self->granted);
    return (di_mq_head){.kind = (uint8_t)kind, .client = self->id, .at = at, .granted = granted};
}

/* Puts down what the client has been told. */
static void note_told(mq_connection *self, uint64_t granted)
{
    if (granted > atomic_load(&self->told))
        atomic_store(&self->told, granted);
}

static bool is_owned(const di_queue *replies)
{
    uint8_t version;
    return di_queue_owner(replies, &version) != 0;
}

/* Whether nobody will make room in the client's queue. */
static bool has_no_reader(const mq_connection *self)
{
    return (self->pidfd >= 0 && di_mq_has_ended(self->pidfd)) || !is_owned(&self->replies);
}

/* What nobody takes any more counts as sent: the queue would stay full, and the connection wait for
 * ever. */
static int drop_replies(mq_connection *self)
{
    atomic_store(&self->deaf, true);
    di_buffer_consume(&self->out, di_buffer_size(&self->out));
    return DI_MOVED;
}

static int mq_flush(di_connection *connection)
{
    mq_connection *self = (mq_connection *)connection;
    const size_t most = self->replies.bytes - DI_MQ_HEAD;
    for (;;) {
        size_t size;
        const uint8_t *bytes = di_buffer_peek(&self->out, &size);
        if (size == 0)
            return DI_MOVED;
        if (atomic_load(&self->deaf))
            return drop_replies(self);
        const di_mq_head head = make_head(self, DI_MQ_PART, self->sent);
        size_t part = size < most ? size : most;
        int result = di_mq_send(&self->replies, &head, bytes, part, 0);
        if (result == 0 && has_no_reader(self))
            return drop_replies(self);
        if (result <= 0)
            return result;
        note_told(self, head.granted);
        self->sent += DI_MQ_HEAD + part;
        di_buffer_consume(&self->out, part);
    }
}

/* Tells a client that waits for a grant, if there is enough of it. Where its queue is full, it will
 * ask again; a client that cannot be told is not left waiting. */
static void grant(mq_connection *self)
{
    di_mq_head head = make_head(self, DI_MQ_GRANT, 0);
    if (!self->wanting || !self->accepted ||
        head.granted < atomic_load(&self->told) + DI_MQ_WINDOW / 2)
        return;
    int result = di_mq_send(&self->replies, &head, NULL, 0, 0);
    if (result < 0)
        self->broken = result;
    if (result <= 0)
        return;
    self->wanting = false;
    note_told(self, head.granted);
}

/* So much may be sent after what has been dealt with. */
static void grant_after(mq_connection *self, uint64_t place)
{
    if (place + DI_MQ_WINDOW > atomic_load(&self->granted))
        atomic_store(&self->granted, place + DI_MQ_WINDOW);
    grant(self);
}

static int mq_receive(di_connection *connection, size_t want)
{
    mq_connection *self = (mq_connection *)connection;
    mq_inlet *inlet = self->inlet;
    (void)want;
    /* Whoever asks for more has dealt with all there is, but the beginning of a message. */
    grant_after(self, self->received);
    if (self->fresh) {
        self->fresh = false;
        if (self->lost)
            di_mq_tell_later(self);
        return DI_MOVED;
    }
    if (self->broken || self->ended)
        return self->broken ? self->broken : DARI_CLOSED;
    if (!self->lost && self->pidfd >= 0 && di_mq_has_ended(self->pidfd))
        di_mq_lose(self);
    if (!self->lost)
        return DI_BLOCKED;
    uint64_t most = DI_MQ_LAST_WORDS * (uint64_t)inlet->requests.messages;
    if (inlet->requests.descriptor < 0 || inlet->taken - self->lost_at >= most ||
        di_queue_count(&inlet->requests) == 0)
        return DARI_CLOSED;
    di_mq_tell_later(self);
    return DI_BLOCKED;
}

static uint8_t *mq_peek(const di_connection *connection, size_t *ret_size)
{
    return di_buffer_peek(&((const mq_connection *)connection)->in, ret_size);
}

static void mq_consume(di_connection *connection, size_t size)
{
    mq_connection *self = (mq_connection *)connection;
    di_buffer_consume(&self->in, size);
    grant_after(self, self->received - di_buffer_size(&self->in));
}

/* Of a lost one that was handed out when it was not to receive, nothing tells again. */
static bool mq_ready(const di_connection *connection, bool to_receive)
{
    const mq_connection *self = (const mq_connection *)connection;
    bool lost = self->lost && !self->link;
    return to_receive && (self->fresh || self->ended || self->broken || lost);
}

static void mq_use_pool(di_connection *connection, di_pool *pool, bool keeps)
{
    di_buffer_set_pool(&((mq_connection *)connection)->in, pool, keeps);
    di_buffer_set_pool(&((mq_connection *)connection)->out, pool, keeps);
}

/* The user is whose the client's queue is, unless the client had gone and others could have sent
 * what it has sent; the process is that which has it, as it says itself, and
 * told where it is the user's. */
static void mq_peer(const di_connection *connection, di_peer *ret_peer)
{
    const mq_connection *self = (const mq_connection *)connection;
    struct stat status;
    char path[32];
    const uid_t user = self->known ? self->replies.uid : (uid_t)-1;
    strcpy(ret_peer->address, "mq:");
    ret_peer->key[0] = 'q';
    memcpy(ret_peer->key + 1, &user, sizeof user);
    if (!self->known)
        return;
    ret_peer->has_process = true;
    ret_peer->uid = self->replies.uid;
    snprintf(path, sizeof path, "/proc/%d", (int)self->process);
    if (self->process && stat(path, &status) == 0 && status.st_uid == self->replies.uid) {
        ret_peer->pid = self->process;
        ret_peer->gid = status.st_gid;
    }
}

/* Tells the client. Where there is no room for that and replies are cut off anyway, one more makes
 * room. */
static void say_bye(mq_connection *self)
{
    uint8_t message[DI_MQ_BYTES_MAX];
    size_t size;
    const di_mq_head head = make_head(self, DI_MQ_BYE, self->sent);
    if (!self->accepted || self->lost || di_forked(&self->inlet->guard))
        return;
    if (di_mq_send(&self->replies, &head, NULL, 0, 0) == 0 && mq_unsent(&self->head) > 0) {
        di_queue_receive(&self->replies, message, &size);
        di_mq_send(&self->replies, &head, NULL, 0, 0);
    }
}

static void mq_shut(di_connection *connection)
{
    mq_connection *self = (mq_connection *)connection;
    if (!self->broken)
        say_bye(self);
    self->broken = DARI_CLOSED;
    di_mq_tell(self);
}

void di_mq_close(di_connection *connection)
{
    mq_connection *self = (mq_connection *)connection;
    mq_inlet *inlet = self->inlet;
    say_bye(self);
    di_mq_unlink(inlet, self);
    if (self->accepted)
        di_queue_close(&self->replies);
    if (self->accepted && self->pidfd >= 0)
        close(self->pidfd);
    while (self->early) {
        mq_early *next = self->early->next;
        free(self->early);
        self->early = next;
    }
    di_buffer_free(&self->in);
    di_buffer_free(&self->out);
    free(self);
    di_mq_drop_inlet(inlet);
}

static const di_connection_ops mq_ops = {
    .reserve = mq_reserve,
    .commit = mq_commit,
    .flush = mq_flush,
    .unsent = mq_unsent,
    .withdraw = mq_withdraw,
    .receive = mq_receive,
    .peek = mq_peek,
    .consume = mq_consume,
    .use_pool = mq_use_pool,
    .peer = mq_peer,
    .ready = mq_ready,
    .shut = mq_shut,
    .close = di_mq_close,
};

mq_connection *di_mq_greet(mq_inlet *inlet, uint64_t id, const di_mq_hello *hello)
{
    mq_connection *self = inlet->spare ? inlet->spare : calloc(1, sizeof *self);
    if (!self)
        return NULL;
    /* A hello that has been taken out of the queue has nowhere to wait. */
    inlet->spare = calloc(1, sizeof *self);
    self->head.ops = &mq_ops;
    self->inlet = inlet;
    self->id = id;
    self->hello = *hello;
    self->pidfd = -1;
    atomic_init(&self->granted, DI_MQ_WINDOW);
    atomic_init(&self->told, DI_MQ_WINDOW);
    di_buffer_init(&self->in, SIZE_MAX / 4);
    di_buffer_init(&self->out, SIZE_MAX / 4);
    inlet->holders++;
    return self;
}

/* Opens the client's queue. Returns 1, or 0 where it is not as the client
 * says, or an error of which it may be tried again. */
static int open_replies(const mq_connection *self, const char *name, di_queue *ret_replies)
{
    di_queue_failure failure;
    int error = di_queue_open(name, O_RDWR, ret_replies, &failure);
    errno = failure.cause;
    if (error == DARI_REFUSED || error == DARI_PERMISSION)
        return 0;
    if (error < 0)
        return error;
    if (ret_replies->inode == self->hello.inode && ret_replies->bytes >= DI_MQ_BYTES_MIN &&
        ret_replies->bytes <= DI_MQ_BYTES_MAX)
        return 1;
    di_queue_close(ret_replies);
    return 0;
}

/* Opens the process that has the queue, if it is still there. Returns 0 or DARI_ERRNO. */
static int open_process(const di_queue *replies, pid_t *ret_process, int *ret_pidfd)
{
    uint8_t version;
    pid_t process = di_queue_owner(replies, &version);
    int pidfd = process > 0 ? di_process_open(process) : -1;
    if (process < 0 || (process > 0 && pidfd < 0 && errno != ESRCH))
        return DARI_ERRNO;
    /* An owner that is there after this has been there all along. */
    pid_t again = pidfd >= 0 ? di_queue_owner(replies, &version) : process;
    if (again != process) {
        int cause = errno;
        close(pidfd);
        errno = cause;
        pidfd = -1;
    }
    if (again < 0)
        return DARI_ERRNO;
    *ret_process = process;
    *ret_pidfd = pidfd;
    return 0;
}

/* Has the connection of what it was accepted with. */
static void set_up(mq_connection *self, const di_queue *replies, pid_t process, int pidfd)
{
    self->replies = *replies;
    self->process = process;
    self->pidfd = pidfd;
    self->accepted = true;
    self->head.watches[0] = (di_watch){replies->descriptor, 0, POLLOUT};
    self->head.watches[1] = (di_watch){pidfd, POLLIN, POLLIN};
    self->head.watch_count = pidfd >= 0 ? 2 : 1;
    if (pidfd < 0)
        di_mq_lose(self);
    grant(self);
}

/* Whether its user may connect. */
static bool is_admitted(const mq_connection *self)
{
    const di_access *access = &self->inlet->access;
    return !di_access_asks(access) ||
           (self->known && di_access_admits_user(access, self->replies.uid));
}

int di_mq_accept(mq_connection *self)
{
    char name[DI_QUEUE_NAME_MAX + 1];
    di_queue replies;
    pid_t process = 0;
    int pidfd = -1;
    uint64_t own_namespace;
    if (di_mq_pid_namespace(&own_namespace) < 0)
        return DARI_ERRNO;
    if (self->hello.slot >= DI_MQ_SLOTS || self->hello.pid_namespace != own_namespace)
        return 0;
    di_mq_slot_name(self->inlet->place.name, self->hello.slot, name);
    int result = open_replies(self, name, &replies);
    if (result <= 0)
        return result;
    int sealed = di_queue_has_seal(&replies, di_mq_seal(self->id));
    result = sealed < 0 ? sealed : open_process(&replies, &process, &pidfd);
    /* The seal of a client that has gone is there no more. A living one's is: the hello is
     * another's. */
    if (result == 0 && (sealed > 0 || process == 0))
        result = di_queue_remove_name(&replies, name);
    mode_t mode = di_access_mode(&self->inlet->access, S_IWOTH);
    self->known = sealed > 0 || (mode & (S_IWGRP | S_IWOTH)) == 0;
    if (result > 0) {
        set_up(self, &replies, process, pidfd);
        return is_admitted(self) ? 1 : self->known ? DARI_PERMISSION : 0;
    }
    int cause = errno;
    if (pidfd >= 0)
        close(pidfd);
    di_queue_close(&replies);
    errno = cause;
    return result;
}

bool di_mq_is_left(const mq_connection *self)
{
    return self->accepted && !self->lost && !is_owned(&self->replies);
}

void di_mq_lose(mq_connection *self)
{
    self->lost = true;
    atomic_store(&self->deaf, true);
    self->lost_at = self->inlet->taken;
    di_mq_tell_later(self);
}

/* Takes a part whose turn it is. */
static void take_in_turn(mq_connection *self, uint8_t kind, const uint8_t *bytes, size_t size)
{
    uint8_t *room;
    if (kind == DI_MQ_BYE) {
        self->ended = true;
        atomic_store(&self->deaf, true);
        return;
    }
    self->received += DI_MQ_HEAD + size;
    if (di_buffer_reserve(&self->in, size, &room) < 0) {
        self->broken = DARI_NO_MEMORY;
        return;
    }
    if (size)
        memcpy(room, bytes, size);
    di_buffer_commit(&self->in, size);
    self->fresh = true;
}

/* Where it ends in the stream. */
static uint64_t end_of(const mq_early *early)
{
    return early->kind == DI_MQ_BYE ? UINT64_MAX : early->at + DI_MQ_HEAD + early->size;
}

/* Keeps a part that came before its turn, and whose bytes are nobody else's: so what is kept is
 * never more than what was granted. */
static void keep(mq_connection *self, const di_mq_head *head, const uint8_t *bytes, size_t size)
{
    const mq_early one = {.at = head->at, .size = size, .kind = head->kind};
    mq_early **at = &self->early;
    while (*at && end_of(*at) <= one.at)
        at = &(*at)->next;
    if (*at && end_of(&one) > (*at)->at) {
        self->broken = DARI_PROTOCOL;
        return;
    }
    mq_early *early = malloc(sizeof *early + size);
    if (!early) {
        self->broken = DARI_NO_MEMORY;
        return;
    }
    *early = one;
    early->next = *at;
    if (size)
        memcpy(early->bytes, bytes, size);
    *at = early;
}

static void take_early(mq_connection *self)
{
    while (self->early && self->early->at <= self->received && !self->ended && !self->broken) {
        mq_early *early = self->early;
        if (early->at < self->received)
            self->broken = DARI_PROTOCOL;
        else
            take_in_turn(self, early->kind, early->bytes, early->size);
        self->early = early->next;
        free(early);
    }
}

void di_mq_take(mq_connection *self, const di_mq_head *head, const uint8_t *bytes, size_t size)
{
    if (self->broken || self->ended)
        return;
    if (head->kind == DI_MQ_WANT) {
        self->wanting = true;
        grant(self);
        if (self->broken)
            di_mq_tell(self);
        return;
    }
    bool is_bye = head->kind == DI_MQ_BYE && size == 0;
    bool is_part = head->kind == DI_MQ_PART && size > 0;
    uint64_t most = atomic_load(&self->granted);
    uint64_t takes = is_bye ? 0 : DI_MQ_HEAD + size;
    bool fits = (is_bye || is_part) && head->at >= self->received && head->at <= most &&
                most - head->at >= takes;
    if (!fits)
        self->broken = DARI_PROTOCOL;
    else if (head->at > self->received)
        keep(self, head, bytes, size);
    else
        take_in_turn(self, head->kind, bytes, size);
    take_early(self);
    if (self->fresh || self->ended || self->broken)
        di_mq_tell(self);
}
