/* SPDX-License-Identifier: MIT */
/* The contract of a scheme: one ops table, one file, one line in the registry.
 *
 * A transport moves bytes and lends the memory in which they travel. It knows nothing of RPC, never
 * waits except in connect and receive_patiently, and never prints. Everything belongs to one thread
 * at a time.
 *
 * Sending:   reserve(n) lends n contiguous bytes; commit(m <= n) makes the first m part of the
 *            stream; flush sends as much as goes without waiting. A reservation is given up by
 *            commit(0). One at a time.
 * Receiving: receive takes what has arrived; peek shows all that is there and not yet consumed,
 *            contiguous; consume drops its beginning. peek's memory may be written to, and stays
 *            where it is until the next receive or consume.
 *
 * The two directions share nothing: while one thread sends (reserve to withdraw), another one may
 * receive (receive to hold).
 *
 * Errors are negative and final for the connection, DARI_NO_MEMORY of receive too; DARI_NO_MEMORY
 * and DARI_LIMIT of reserve alone change nothing, nor does DARI_REFUSED of receive: nobody was
 * there to take a message that was sent. After DARI_ERRNO, errno holds the cause. */
#ifndef DI_TRANSPORT_TRANSPORT_H
#define DI_TRANSPORT_TRANSPORT_H

#include "base/clock.h"
#include "base/hold.h"
#include "base/region.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct di_connection di_connection;
typedef struct di_listener di_listener;
typedef struct di_failure di_failure;
typedef struct di_access di_access;

/* The bytes that one datagram carries, over IPv4, the less of the two. */
#define DI_DATAGRAM_MAX ((size_t)65507)

/* Where a message came from that keeps no connection, and its answer goes. What is in it is the
 * transport's own; the same caller has the same bytes. */
typedef struct di_route {
    uint64_t words[6];
} di_route;

/* Bytes of a message that lie elsewhere. In the order of their places, which are in the room. */
typedef struct di_part {
    uint8_t *at; /* their place */
    const uint8_t *data;
    size_t size;
} di_part;

#define DI_PARTS_MAX 4u
/* Parts of what peek shows that may lie elsewhere. */
#define DI_PLACES_MAX 16u

/* What came of receive and flush. */
enum di_progress {
    DI_BLOCKED = 0, /* nothing more without waiting for the descriptor */
    DI_MOVED = 1    /* something was received; or everything was sent */
};

/* The longest address of a peer: "tcp://[...%interface]:port". */
#define DI_PEER_ADDRESS_SIZE 96

typedef struct di_peer {
    char address[DI_PEER_ADDRESS_SIZE]; /* as a client writes addresses: "tcp://10.0.0.1:1023" */
    uint8_t key[17];                    /* the same for all connections of one peer */
    bool has_process;                   /* the kernel says whose process it is: */
    int32_t pid;                        /* 0: only the user is known */
    uint32_t uid, gid;
} di_peer;

/* How long receive_patiently waits, less than the system's timers may be late by. */
#define DI_PATIENCE_NS UINT64_C(100000000)

/* A descriptor that tells when a connection can go on. Its events are those of poll, and of epoll,
 * which has the same. */
typedef struct di_watch {
    int descriptor;
    short to_receive; /* where receive can go on; it is to be called at an error or hang-up too */
    short to_send;    /* where flush can go on */
} di_watch;

#define DI_WATCHES_MAX 3u

typedef struct di_connection_ops {
    /* Messages keep their boundaries (peek shows one whole message); otherwise it is a stream of
     * bytes, on which RPC marks records (RFC 5531, section 11). */
    bool keeps_boundaries;
    size_t message_max; /* then: the bytes of a message; 0: no limit of its own */
    /* Messages may be lost, and nobody is told. Where nobody listens, receive may say so by
     * DARI_REFUSED, which is not the end of the connection. */
    bool loses_messages;

    int (*reserve)(di_connection *connection, size_t size, uint8_t **ret_room);
    void (*commit)(di_connection *connection, size_t size);
    /* Commits a message of which `count` parts, at least 1 and at most DI_PARTS_MAX, were not
     * written. Sends what goes without waiting; what is left of the parts is copied to its place,
     * so that they are not used after this. An error is told by the next flush. NULL: everything
     * must be written. */
    void (*commit_parts)(di_connection *connection, size_t size, const di_part *parts,
                         size_t count);
    /* The priority of what is committed from now on, 0 to DARI_PRIORITY_MAX. NULL: the scheme knows
     * none. */
    void (*prioritize)(di_connection *connection, unsigned priority);
    int (*flush)(di_connection *connection);
    /* Between messages that are flushed together: lets a peer that is awake begin with what is
     * committed, where that costs no system call. Nothing is told. NULL: it would cost one. */
    void (*advance)(di_connection *connection);
    size_t (*unsent)(const di_connection *connection); /* committed bytes not yet sent */
    /* Takes the last `size` committed bytes back; they are at most those unsent. */
    void (*withdraw)(di_connection *connection, size_t size);

    /* `want`: bytes beyond which peek need not grow at once, at least 1: room is made for that
     * many. */
    int (*receive)(di_connection *connection, size_t want);
    /* The same, but where nothing is there, waits up to DI_PATIENCE_NS for something, or until a
     * signal is caught: then DI_BLOCKED. Meanwhile another thread may send, and shut ends the wait.
     * For connections with head.patient. */
    int (*receive_patiently)(di_connection *connection, size_t want);
    uint8_t *(*peek)(const di_connection *connection, size_t *ret_size);
    void (*consume)(di_connection *connection, size_t size);
    /* Keeps what peek shows where it is until the hold is released, by any thread and whatever
     * becomes of the connection. Cannot fail. NULL where a scheme cannot. */
    di_hold *(*hold)(di_connection *connection);
    /* Takes memory over, to receive into once the present memory is held by others. NULL where hold
     * is NULL. */
    void (*lend)(di_connection *connection, di_hold *memory);

    /* Of a listener without connections: the route of the message that peek shows; and the route of
     * the messages committed from now on. NULL for the others. */
    void (*sender)(const di_connection *connection, di_route *ret_route);
    void (*direct)(di_connection *connection, const di_route *route);
    void (*route_peer)(const di_route *route, di_peer *ret_peer);

    /* Loans, NULL where the scheme knows none. The memory of this side of which parts that are
     * committed go by reference, as head.lent counts; NULL: there is none. */
    di_region *(*loans)(const di_connection *connection);
    /* Of a connection with head.in_place: which parts of the `size` bytes at `from`, which peek
     * shows, lie elsewhere, at most DI_PLACES_MAX, in order, and nothing in their places. The bytes
     * may change at any time; they stay as long as somebody holds `ret_region`, the connection
     * itself too. Returns how many. */
    unsigned (*list_places)(const di_connection *connection, const uint8_t *from, size_t size,
                            di_part *ret_parts, di_region **ret_region);

    /* From now on memory comes from the pool, and none is kept while nothing travels, or, if it
     * `keeps`, only little. The pool lives as long as the connection and what was held of it.
     * Before anything else; and whenever that changes, by the thread that sends and receives. */
    void (*use_pool)(di_connection *connection, di_pool *pool, bool keeps);

    /* Who the other side is, as far as the system knows. NULL: it does not. */
    void (*peer)(const di_connection *connection, di_peer *ret_peer);

    /* Of memory into which the peer writes without the kernel's knowing; NULL for the others.
     * Whether flush would move something, where something is unsent, or, if that is asked, receive:
     * a look without a system call, by any thread, while others send and receive. */
    bool (*ready)(const di_connection *connection, bool to_receive);
    /* A figure that changes while the peer takes what was sent: it is at work. As with ready. */
    uint32_t (*taken)(const di_connection *connection);
    /* Has the peer wake this side by a watch, once there is something to receive. Returns whether
     * there is nothing yet: otherwise nobody is to sleep. The next receive takes it back. Not
     * beside receive. Flush that is blocked has done the same for itself. NULL where ready is. */
    bool (*arm)(di_connection *connection);
    /* Takes that back where receive will not be called for a while: the watches would go on telling
     * of what only receive takes. Not beside receive. NULL where arm is. */
    void (*disarm)(di_connection *connection);

    /* Ends both directions at once, for whoever waits for its watches too. */
    void (*shut)(di_connection *connection);
    void (*close)(di_connection *connection);
} di_connection_ops;

/* The head of every connection; a transport's own structure begins with it. */
struct di_connection {
    const di_connection_ops *ops;
    unsigned watch_count; /* 0: it is passed on by somebody else */
    di_watch watches[DI_WATCHES_MAX];
    bool patient;       /* it can wait in receive_patiently */
    void *owner;        /* for whom the listener looks that hands it out; NULL at first */
    uint32_t lent;      /* parts that went by reference */
    bool in_place;      /* parts of what is received may be left where they are, */
    size_t whole_until; /* before that offset from what peek shows on: what comes there is used
                           where receive puts it. Set for the next receive that gets something */
    unsigned places;    /* such parts that were received and not consumed */
};

/* The head of a connection that is one socket. */
static inline di_connection di_connection_of(const di_connection_ops *ops, int descriptor)
{
    return (di_connection){
        .ops = ops, .watch_count = 1, .watches = {{descriptor, POLLIN, POLLOUT}}};
}

static inline int di_connection_descriptor(const di_connection *connection)
{
    return connection->watches[0].descriptor;
}

typedef struct di_listener_ops {
    /* All callers come by one connection, with routes, which accept hands out once. The listener
     * has no descriptor of its own to wait for. */
    bool connectionless;
    /* What its connections receive comes by the listener: accept hands out the same connection
     * again, whose receive has something then. Its connections have `ready` without `arm`. */
    bool shared;
    /* Of a shared one: ends new connections at once, and frees the name; those that are there stay.
     */
    void (*retire)(di_listener *listener);
    /* DI_MOVED and a connection, or DI_BLOCKED. DARI_PERMISSION: somebody was turned away who may
     * not connect, `stranger`; there may be more. */
    int (*accept)(di_listener *listener, di_connection **ret_connection);
    /* Whether nothing more will be handed out. NULL: there is no end to it. */
    bool (*is_over)(const di_listener *listener);
    /* The address as a client writes it. */
    const char *(*address)(const di_listener *listener);
    /* Has peers probed that have been silent for so long, of connections accepted from now on.
     * Returns 0 or an error. NULL where the scheme has no such thing. */
    int (*keep_alive)(di_listener *listener, uint64_t idle_ns, di_failure *ret_failure);
    /* Gives the connections accepted from now on rings of at least that many bytes each way.
     * Returns 0 or an error. NULL where the scheme has none. */
    int (*set_rings)(di_listener *listener, size_t size, di_failure *ret_failure);
    /* Grants the clients of the connections accepted from now on up to `most` bytes of memory for
     * loans, which are read where they lie if `in_place`. Returns 0 or an error. NULL where the
     * scheme has none. */
    int (*set_loans)(di_listener *listener, size_t most, bool in_place, di_failure *ret_failure);
    /* Lets others in than this user and root, who alone may connect before. Returns 0 or an error:
     * then it is to be closed. NULL where the system does not know who connects. */
    int (*admit)(di_listener *listener, const di_access *access, di_failure *ret_failure);
    void (*close)(di_listener *listener);
} di_listener_ops;

struct di_listener {
    const di_listener_ops *ops;
    int descriptor; /* readable when accept can go on */
    bool full;      /* set by the loop: a shared listener keeps new connections for later */
    bool stuck;     /* set by accept of a shared one that failed: nothing can be received for now */
    uint32_t stranger; /* the user who was turned away last */
};

/* Who of this machine may connect beside this process's own user and root. Zeroed: nobody. */
struct di_access {
    bool all;              /* everybody */
    bool has_group;        /* the members of a group */
    uint32_t group;        /* then: its id */
    const uint32_t *users; /* these; lives as long as the listener */
    uint32_t user_count;
};

/* Why connect or listen failed, beside the code. */
struct di_failure {
    int system_error;  /* errno of the system call that failed, or 0 */
    const char *words; /* static, without a full stop: "the port is missing"; or NULL */
    int64_t found;     /* with words: the number that is wrong, and the most that it may be; */
    int64_t allowed;   /* 0: there are none */
    uint32_t program;  /* with words of rpcbind's: the program and version that they are about; */
    uint32_t version;  /* 0: none */
};

/* What a connection is to be like, for schemes that know these; others ignore them. Zero: as the
 * system does it, without delay. */
typedef struct di_connect_options {
    bool reserved_port;       /* come from a port below 1024 */
    bool delay;               /* let the system gather small messages */
    uint64_t keepalive_ns;    /* of silence before the peer is probed; 0: never */
    uint64_t user_timeout_ns; /* for what is sent to be acknowledged; 0: the system's own */
    uint32_t server_user;     /* of whom the server may be, beside this user and root; 0: nobody */
    size_t loan_size;         /* bytes of memory for loans */
    bool exec_allowed;        /* programs may be started, */
    bool exec_keeps_standard; /* with their standard input and output left alone; */
    uint64_t exec_grace_ns;   /* the time for one to end by itself */
} di_connect_options;

/* A scheme. `rest` is the address after the scheme's own prefix. */
typedef struct di_transport {
    const char *prefix; /* "unix:", "tcp://" */

    /* Where the rest is HOST[:PORT] (place.h): the type of its sockets, SOCK_STREAM or SOCK_DGRAM,
     * for which rpcbind can be asked for the port. 0: there are no ports. */
    int port_type;
    bool once; /* a connection that is lost cannot be made again */

    /* Waits until the connection is there or the deadline (monotonic, ns) passes; a port is in the
     * address, and of a host with several addresses the first is meant: who wants another one names
     * that by its number. Listening, the system chooses the port where it is not there.
     * `ret_failure` is zeroed by the caller, and filled in where they fail. */
    int (*connect)(const char *rest, uint64_t deadline, const di_connect_options *options,
                   di_connection **ret_connection, di_failure *ret_failure);
    int (*listen)(const char *rest, di_listener **ret_listener, di_failure *ret_failure);
    /* Makes a listener of a socket of that family, listening or of datagrams (port_type), which it
     * owns unless that fails; adopt.h has the rest. DARI_SCHEME where the scheme has no such
     * sockets. May be NULL. */
    int (*adopt)(int descriptor, int family, di_listener **ret_listener, di_failure *ret_failure);
} di_transport;

/* The scheme of an address and the rest of it, or DARI_SCHEME, or DARI_ADDRESS where there is no
 * scheme at all. */
int di_transport_find(const char *address, const di_transport **ret_transport,
                      const char **ret_rest);

/* All schemes, ended by NULL. */
extern const di_transport *const di_transports[];

#endif
