/* SPDX-License-Identifier: MIT */
/* The client's side of mq:.
 *
 * Connecting leaves a hello in the server's queue, and waits for nothing but room there. The name
 * of the client's own queue is one of a few, so that what killed clients leave is found without a
 * list: the next client that comes by removes it, or, once a hello may be on its way, the server.
 *
 * That the server ends is told by its pidfd; that it closes the connection, by a message, and where
 * there was no room for that, by its lock on the client's queue, which is looked at whenever there
 * is nothing to receive. The other way round it is the same: a server that finds no room in the
 * client's queue looks whether somebody owns it. */
#include "transport/mq.h"

#include "base/buffer.h"
#include "base/process.h"
#include "transport/failure.h"
#include "transport/mq_address.h"
#include "transport/mq_seal.h"
#include "transport/mq_wire.h"
#include "transport/user.h"

#include <dari/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

typedef struct mq_client {
    di_connection head;
    pid_t maker; /* a child that inherits this tells the server nothing */
    di_queue requests;
    di_queue replies;
    char name[DI_QUEUE_NAME_MAX + 1]; /* of the replies */
    pid_t server;
    int server_pidfd;
    int room; /* an epoll of the requests: quiet while there is room but no grant */
    uint64_t id;

    /* Sending. */
    di_buffer out;
    unsigned priority;     /* of what is committed next */
    unsigned out_priority; /* the highest of what is unsent: nothing overtakes its own stream */
    _Atomic uint64_t sent; /* the place in the stream */
    atomic_bool room_watched;
    atomic_bool said_bye; /* which whoever shuts the connection does, beside the one who sends */
    atomic_bool starved;  /* waits for a grant, */
    atomic_bool asked;    /* and has said so since it last received something */

    /* Receiving. */
    di_buffer in;
    uint64_t received;
    _Atomic uint64_t granted;
    bool claimed; /* the server has had our queue open */
    bool ended;   /* the server sends no more */
    atomic_bool shut;
} mq_client;

static int mq_reserve(di_connection *connection, size_t size, uint8_t **ret_room)
{
    return di_buffer_reserve(&((mq_client *)connection)->out, size, ret_room);
}

static void mq_commit(di_connection *connection, size_t size)
{
    mq_client *client = (mq_client *)connection;
    di_buffer_commit(&client->out, size);
    if (size && client->priority > client->out_priority)
        client->out_priority = client->priority;
}

static void mq_prioritize(di_connection *connection, unsigned priority)
{
    ((mq_client *)connection)->priority =
        priority < DI_QUEUE_PRIORITY_MAX ? priority : DI_QUEUE_PRIORITY_MAX;
}

static size_t mq_unsent(const di_connection *connection)
{
    return di_buffer_size(&((const mq_client *)connection)->out);
}

static void mq_withdraw(di_connection *connection, size_t size)
{
    di_buffer_withdraw(&((mq_client *)connection)->out, size);
}

/* Has `room` tell of room in the server's queue, or not. It is in there only meanwhile: each
 * message would cost all who watch the queue, whatever for. */
static int watch_room(mq_client *client, bool watch)
{
    struct epoll_event event = {.events = EPOLLOUT};
    if (atomic_exchange(&client->room_watched, watch) == watch)
        return 0;
    return epoll_ctl(client->room, watch ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
                     client->requests.descriptor, &event) < 0
               ? DARI_ERRNO
               : 0;
}

static uint64_t place(const mq_client *client)
{
    return atomic_load_explicit(&client->sent, memory_order_relaxed);
}

/* Sends a message without bytes. As di_mq_send. */
static int send_word(mq_client *client, enum di_mq_kind kind, unsigned priority)
{
    const di_mq_head head = {.kind = (uint8_t)kind, .client = client->id, .at = place(client)};
    return di_mq_send(&client->requests, &head, NULL, 0, priority);
}

static void say_bye(mq_client *client)
{
    if (!atomic_load(&client->said_bye))
        atomic_store(&client->said_bye, send_word(client, DI_MQ_BYE, 0) == 1);
}

/* How many bytes may be sent in one part: 0 without a grant for a good one. */
static size_t part_size(mq_client *client, size_t unsent)
{
    uint64_t most = client->requests.bytes - DI_MQ_HEAD;
    uint64_t granted = atomic_load(&client->granted);
    uint64_t size = unsent < most ? unsent : most;
    uint64_t next = place(client) + DI_MQ_HEAD;
    uint64_t left = granted > next ? granted - next : 0;
    if (left >= size)
        return (size_t)size;
    return left < DI_MQ_PART_MIN ? 0 : (size_t)left;
}

/* There is no grant: asks for one, and looks again, since it may have come in between. Returns
 * DI_MOVED where it has, DI_BLOCKED or an error. */
static int starve(mq_client *client, size_t unsent)
{
    atomic_store(&client->starved, true);
    if (part_size(client, unsent) > 0) {
        atomic_store(&client->starved, false);
        return DI_MOVED;
    }
    int asked = 1;
    if (!atomic_load(&client->asked))
        asked = send_word(client, DI_MQ_WANT, DI_QUEUE_PRIORITY_MAX);
    if (asked > 0)
        atomic_store(&client->asked, true);
    int error = asked < 0 ? asked : watch_room(client, asked == 0);
    return error < 0 ? error : DI_BLOCKED;
}

static int mq_flush(di_connection *connection)
{
    mq_client *client = (mq_client *)connection;
    for (;;) {
        size_t size;
        const uint8_t *bytes = di_buffer_peek(&client->out, &size);
        if (atomic_load(&client->shut))
            return DARI_CLOSED;
        if (size == 0) {
            client->out_priority = 0;
            int error = watch_room(client, false);
            return error < 0 ? error : DI_MOVED;
        }
        size_t part = part_size(client, size);
        if (part == 0) {
            int result = starve(client, size);
            if (result != DI_MOVED)
                return result;
            continue;
        }
        const di_mq_head head = {.kind = DI_MQ_PART, .client = client->id, .at = place(client)};
        int result = di_mq_send(&client->requests, &head, bytes, part, client->out_priority);
        if (result == 0)
            result = watch_room(client, true);
        if (result <= 0)
            return result;
        atomic_store_explicit(&client->sent, place(client) + DI_MQ_HEAD + part,
                              memory_order_relaxed);
        di_buffer_consume(&client->out, part);
    }
}

/* Takes what the head says. A client that waits for a grant sends, or asks again: what the server
 * had to say may have met a full queue. */
static void take_grant(mq_client *client, uint64_t granted)
{
    if (granted > atomic_load(&client->granted))
        atomic_store(&client->granted, granted);
    atomic_store(&client->asked, false);
    if (atomic_load(&client->starved)) {
        atomic_store(&client->starved, false);
        if (part_size(client, DI_MQ_BYTES_MAX) > 0)
            watch_room(client, true);
        else
            starve(client, DI_MQ_BYTES_MAX);
    }
}

/* Takes a message of `size` bytes that lies behind the contents of `in`. Returns 0 or DARI_CLOSED.
 */
static int take(mq_client *client, uint8_t *message, size_t size)
{
    di_mq_head head;
    if (size < DI_MQ_HEAD)
        return 0;
    memcpy(&head, message, DI_MQ_HEAD);
    if (head.client != client->id)
        return 0;
    client->claimed = true;
    take_grant(client, head.granted);
    if (head.kind == DI_MQ_GRANT)
        return 0;
    if (head.at != client->received)
        return DARI_CLOSED;
    if (head.kind == DI_MQ_BYE)
        client->ended = true;
    if (head.kind != DI_MQ_PART)
        return 0;
    memmove(message, message + DI_MQ_HEAD, size - DI_MQ_HEAD);
    di_buffer_commit(&client->in, size - DI_MQ_HEAD);
    client->received += size;
    return 0;
}

/* Whether the server is there no more, or has closed the connection: 1, 0 or DARI_ERRNO. */
static int server_is_gone(const mq_client *client)
{
    uint8_t version;
    if (di_mq_has_ended(client->server_pidfd))
        return 1;
    pid_t owner = di_queue_owner(&client->requests, &version);
    if (owner < 0)
        return DARI_ERRNO;
    if (owner != client->server)
        return 1;
    int claimed = client->claimed ? di_queue_is_claimed(&client->replies) : 1;
    return claimed < 0 ? claimed : !claimed;
}

/* Receives up to `want` bytes. Returns DI_MOVED where there is anything, DI_BLOCKED or an error. Of
 * messages without bytes as many are taken as the queue holds, and the one that made room: a server
 * that sends them without end keeps nobody from a deadline. */
static int receive_some(mq_client *client, size_t want)
{
    size_t before = di_buffer_size(&client->in);
    unsigned idle = 0;
    while (!client->ended && idle <= client->replies.messages &&
           (di_buffer_size(&client->in) == before || di_buffer_size(&client->in) < want + before)) {
        size_t had = di_buffer_size(&client->in);
        uint8_t *room;
        size_t size;
        int error = di_buffer_reserve(&client->in, client->replies.bytes, &room);
        if (error < 0)
            return error;
        int got = di_queue_receive(&client->replies, room, &size);
        if (got > 0)
            got = take(client, room, size) == 0 ? 1 : DARI_CLOSED;
        if (got < 0)
            return got;
        if (got == 0)
            break;
        idle += di_buffer_size(&client->in) == had;
    }
    return di_buffer_size(&client->in) > before ? DI_MOVED : DI_BLOCKED;
}

static int mq_receive(di_connection *connection, size_t want)
{
    mq_client *client = (mq_client *)connection;
    if (atomic_load(&client->shut))
        return DARI_CLOSED;
    int result = receive_some(client, want);
    int gone = result == DI_BLOCKED && !client->ended ? server_is_gone(client) : 0;
    if (gone < 0)
        result = gone;
    if (gone > 0) {
        /* What it sent before is there by now. */
        result = receive_some(client, want);
        client->ended |= result == DI_BLOCKED;
    }
    int cause = errno;
    di_buffer_consume(&client->in, 0);
    errno = cause;
    return result == DI_BLOCKED && client->ended ? DARI_CLOSED : result;
}

static uint8_t *mq_peek(const di_connection *connection, size_t *ret_size)
{
    return di_buffer_peek(&((const mq_client *)connection)->in, ret_size);
}

static void mq_consume(di_connection *connection, size_t size)
{
    di_buffer_consume(&((mq_client *)connection)->in, size);
}

static void mq_use_pool(di_connection *connection, di_pool *pool, bool keeps)
{
    di_buffer_set_pool(&((mq_client *)connection)->in, pool, keeps);
    di_buffer_set_pool(&((mq_client *)connection)->out, pool, keeps);
}

static void mq_peer(const di_connection *connection, di_peer *ret_peer)
{
    const mq_client *client = (const mq_client *)connection;
    strcpy(ret_peer->address, "mq:");
    ret_peer->has_process = true;
    ret_peer->pid = client->server;
    ret_peer->uid = client->requests.uid;
}

/* Whoever waits finds a message: one of our own, unless there are some anyway. */
static void mq_shut(di_connection *connection)
{
    mq_client *client = (mq_client *)connection;
    const di_mq_head nothing = {.kind = DI_MQ_GRANT, .client = client->id};
    if (atomic_exchange(&client->shut, true))
        return;
    say_bye(client);
    di_mq_send(&client->replies, &nothing, NULL, 0, 0);
}

/* A server that could not be told may wait for room in this queue, and nothing else would wake it:
 * it gets some, and sees then that nobody owns the queue. */
static void leave_room(const mq_client *client)
{
    uint8_t message[DI_MQ_BYTES_MAX];
    size_t size;
    di_queue_disown(&client->replies);
    di_queue_receive(&client->replies, message, &size);
}

/* Tells the server. A name that it will not come for any more is this side's to remove. */
static void take_leave(mq_client *client)
{
    say_bye(client);
    if (client->replies.descriptor >= 0 && !client->claimed && server_is_gone(client) > 0)
        di_queue_remove_name(&client->replies, client->name);
    if (!atomic_load(&client->said_bye))
        leave_room(client);
}

static void mq_close(di_connection *connection)
{
    mq_client *client = (mq_client *)connection;
    if (client->maker == getpid())
        take_leave(client);
    di_queue_close(&client->requests);
    di_queue_close(&client->replies);
    if (client->server_pidfd >= 0)
        close(client->server_pidfd);
    if (client->room >= 0)
        close(client->room);
    di_buffer_free(&client->out);
    di_buffer_free(&client->in);
    free(client);
}

static const di_connection_ops mq_client_ops = {
    .reserve = mq_reserve,
    .commit = mq_commit,
    .prioritize = mq_prioritize,
    .flush = mq_flush,
    .unsent = mq_unsent,
    .withdraw = mq_withdraw,
    .receive = mq_receive,
    .peek = mq_peek,
    .consume = mq_consume,
    .use_pool = mq_use_pool,
    .peer = mq_peer,
    .shut = mq_shut,
    .close = mq_close,
};

/* Whether the server may be of the user who has the queue. `other`: of whom it may be, beside this
 * user and root; 0: nobody. Returns 0 or DARI_PERMISSION. */
static int check_user(uid_t uid, uint32_t other, di_failure *failure)
{
    if (uid == 0 || di_user_is_own(uid))
        return 0;
    if (!di_user_is(uid, other))
        return di_fail(failure, DARI_PERMISSION, "the server's queue belongs to another user");
    if (geteuid() != 0)
        return di_fail(failure, DARI_PERMISSION,
                       "the server's user could not open a queue of this one");
    return 0;
}

/* Opens the server's queue, if somebody serves it who may. */
static int find_server(mq_client *client, const char *name, uint32_t other, di_failure *failure)
{
    di_queue_failure of;
    uint8_t version = 0;
    int error = di_queue_open(name, O_WRONLY, &client->requests, &of);
    if (error < 0)
        return di_mq_fail(failure, error, &of);
    error = check_user(client->requests.uid, other, failure);
    if (error < 0)
        return error;
    client->server = di_queue_owner(&client->requests, &version);
    if (client->server < 0)
        return di_fail_system(failure, errno, "the locks of the server's queue cannot be seen");
    if (client->server == 0)
        return di_fail_system(failure, ECONNREFUSED, NULL);
    if (version != DI_MQ_VERSION)
        return di_fail(failure, DARI_LAYOUT, NULL);
    /* An owner that is there after this has been there all along. */
    client->server_pidfd = di_process_open(client->server);
    if (client->server_pidfd < 0 && errno != ESRCH)
        return di_fail_system(failure, errno, "the server's process cannot be watched");
    int gone = client->server_pidfd < 0 ? 1 : server_is_gone(client);
    if (gone != 0)
        return di_fail_system(failure, gone < 0 ? errno : ECONNREFUSED, NULL);
    return 0;
}

/* Makes the client's queue, by the first name that is free. */
static int make_queue(mq_client *client, const di_mq_address *address, uint32_t *ret_slot,
                      di_failure *failure)
{
    di_queue_failure of = {0};
    int error = DARI_IN_USE;
    for (uint32_t slot = 0; slot < DI_MQ_SLOTS; slot++) {
        di_mq_slot_name(address->name, slot, client->name);
        error = di_queue_create(client->name, &address->shape, false, &client->replies, &of);
        *ret_slot = slot;
        if (error != DARI_IN_USE && error != DARI_PERMISSION)
            break;
    }
    if (error == DARI_IN_USE || error == DARI_PERMISSION)
        return di_fail(failure, DARI_IN_USE, "too many clients wait for the server to accept them");
    return error < 0 ? di_mq_fail(failure, error, &of) : 0;
}

/* Waits for room in the server's queue. Returns 0 or an error. */
static int await_room(const mq_client *client, uint64_t deadline, di_failure *failure)
{
    struct pollfd both[2] = {{.fd = client->requests.descriptor, .events = POLLOUT},
                             {.fd = client->server_pidfd, .events = POLLIN}};
    int ready = poll(both, 2, di_poll_timeout(deadline));
    if (ready < 0 && errno != EINTR)
        return di_fail_system(failure, errno, NULL);
    if (both[1].revents && ready > 0)
        return di_fail_system(failure, ECONNREFUSED, NULL);
    return ready == 0 && di_now() >= deadline ? DARI_DEADLINE : 0;
}

/* Tells the server of the client. It goes before all parts, whatever priority they have. */
static int send_hello(mq_client *client, uint32_t slot, uint64_t deadline, di_failure *failure)
{
    const di_mq_head head = {.kind = DI_MQ_HELLO, .client = client->id};
    di_mq_hello hello = {.inode = client->replies.inode, .slot = slot};
    if (client->requests.bytes < DI_MQ_BYTES_MIN || client->requests.bytes > DI_MQ_BYTES_MAX)
        return di_fail(failure, DARI_REFUSED, "the queue of that name is no server's");
    if (di_mq_pid_namespace(&hello.pid_namespace) < 0 || di_queue_await(&client->replies) < 0)
        return di_fail_system(failure, errno, NULL);
    for (;;) {
        int sent =
            di_mq_send(&client->requests, &head, &hello, sizeof hello, DI_QUEUE_PRIORITY_MAX);
        if (sent < 0)
            return di_fail_system(failure, errno, NULL);
        if (sent > 0)
            return 0;
        int error = await_room(client, deadline, failure);
        if (error < 0)
            return error;
    }
}

/* What the connection waits with. */
static int open_watches(mq_client *client, di_failure *failure)
{
    client->room = epoll_create1(EPOLL_CLOEXEC);
    if (client->room < 0)
        return di_fail_system(failure, errno, NULL);
    client->head.watch_count = 3;
    client->head.watches[0] = (di_watch){client->replies.descriptor, POLLIN, 0};
    client->head.watches[1] = (di_watch){client->room, 0, POLLIN};
    client->head.watches[2] = (di_watch){client->server_pidfd, POLLIN, 0};
    return 0;
}

static int connect_client(mq_client *client, const di_mq_address *address, uint32_t other,
                          uint64_t deadline, di_failure *failure)
{
    uint32_t slot = 0;
    int error = find_server(client, address->name, other, failure);
    if (error == 0)
        error = make_queue(client, address, &slot, failure);
    if (error < 0)
        return error;
    uid_t user = client->requests.uid;
    /* The server is to open it: root's client is seen as one of the server's own user. */
    if (user != geteuid() && user != 0 && fchown(client->replies.descriptor, user, (gid_t)-1) < 0)
        error = di_fail_system(failure, errno, NULL);
    if (error == 0 && getrandom(&client->id, sizeof client->id, 0) != sizeof client->id)
        error = di_fail_system(failure, errno, NULL);
    if (error == 0 && di_queue_seal(&client->replies, di_mq_seal(client->id)) < 0)
        error = di_fail_system(failure, errno, NULL);
    if (error == 0)
        error = open_watches(client, failure);
    if (error == 0)
        error = send_hello(client, slot, deadline, failure);
    if (error < 0)
        di_queue_remove_name(&client->replies, client->name);
    return error;
}

int di_mq_connect(const char *rest, uint64_t deadline, const di_connect_options *options,
                  di_connection **ret_connection, di_failure *failure)
{
    static const di_queue_shape shape = {.messages = DI_MQ_REPLIES_MESSAGES,
                                         .bytes = DI_MQ_REPLIES_BYTES};
    di_mq_address address;
    int error = di_mq_address_parse(rest, &shape, &address, failure);
    if (error < 0)
        return error;
    mq_client *client = calloc(1, sizeof *client);
    if (!client)
        return DARI_NO_MEMORY;
    client->head = (di_connection){.ops = &mq_client_ops};
    client->maker = getpid();
    client->requests.descriptor = client->replies.descriptor = -1;
    client->server_pidfd = client->room = -1;
    atomic_init(&client->said_bye, true);
    atomic_init(&client->granted, DI_MQ_WINDOW);
    di_buffer_init(&client->out, SIZE_MAX / 4);
    di_buffer_init(&client->in, SIZE_MAX / 4);
    error = connect_client(client, &address, options ? options->server_user : 0, deadline, failure);
    if (error < 0) {
        mq_close(&client->head);
        return error;
    }
    atomic_store(&client->said_bye, false);
    *ret_connection = &client->head;
    return 0;
}
