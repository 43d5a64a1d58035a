/* SPDX-License-Identifier: MIT */
/* What the tests of the runtime share: addresses of every scheme, a server on a thread of its own,
 * and peers that speak raw bytes. */
#ifndef DARI_TEST_HARNESS_H
#define DARI_TEST_HARNESS_H

#include "echo.h"
#include "support/descriptors.h"
#include "transport/transport.h"

#include <dari/pipe.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

/* A scheme as the suite sees it: how to make an address that nobody else uses. */
typedef struct test_scheme {
    const char *name;
    const char *address; /* "%s": a directory of our own; "%d": a number of our own */
    bool has_path;       /* leaves files, which have a mode and go stale */
    bool datagrams;      /* no connections, and messages may be lost */
    bool single;         /* an address has one connection, ever */
    bool relayed;        /* by a program that the client starts (relay_program.h) */
    bool forgets;        /* of a connection that ends before it is accepted nothing is left */
    bool meets;          /* nothing is sent before the server has accepted the connection */
    bool queue;          /* its queues have room for few messages, and who receives nothing may
                            send only so much; nobody ends one direction alone */
    unsigned most;       /* connections that one user may have for certain; 0: any */
} test_scheme;

extern const test_scheme schemes[];
extern const size_t scheme_count;

const test_scheme *scheme_named(const char *name);

/* Where a test does its work. A zeroed one with a scheme is ready for fixture_begin. */
typedef struct test_fixture {
    const test_scheme *scheme;
    char directory[64];
    char address[192]; /* to listen at; then, once something listens, to connect to */
    dari_pipes pipes;  /* of a single scheme: the ends that nobody has taken */
    int told[2];       /* of a relayed one: a byte comes once the program has the client's ends */
    dari_server *server;
    dari_server_options options;
    const echo_1_handlers *handlers; /* NULL: echo_handlers */
    pthread_t thread;
    bool running;
    int run_result;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool gate_closed;   /* handlers wait */
    unsigned stop_at;   /* the call whose handler stops the server; 0: none does */
    unsigned entered;   /* calls that have reached a handler */
    unsigned logged;    /* lines that the server's log got */
    int log_error;      /* of the last one */
    char log_text[512]; /* the last one */
} test_fixture;

/* Whether what is sent is taken though nobody reads it any more. */
bool sends_blindly(const test_fixture *fixture);

/* Whether this machine has the scheme: not all have IPv6. */
bool scheme_is_there(const test_scheme *scheme);

/* Makes an address. */
void fixture_begin(test_fixture *fixture);
void fixture_end(test_fixture *fixture);

/* Starts a server with the fixture's options at the fixture's address, on its own thread. */
void fixture_serve(test_fixture *fixture);
/* The same without the thread. */
void fixture_listen(test_fixture *fixture);
/* Starts the thread of a server that listens. */
void fixture_start(test_fixture *fixture);
/* Something listens, and says at which address: there one connects from now on. */
void fixture_listens(test_fixture *fixture, const char *address);
/* Stops the server and destroys it. */
void fixture_stop(test_fixture *fixture);

/* Of a relayed scheme, once somebody has connected: waits for the program, and leaves it the
 * client's ends. */
void fixture_await_relay(test_fixture *fixture);
/* What a client needs to connect at all. */
dari_client_options fixture_client_options(const test_fixture *fixture,
                                           const dari_client_options *options);
dari_client *fixture_connect(test_fixture *fixture, const dari_client_options *options);

/* Handlers wait between the two. */
void fixture_close_gate(test_fixture *fixture);
void fixture_open_gate(test_fixture *fixture);
/* The calls that have reached a handler. */
unsigned fixture_entered(test_fixture *fixture);
/* Waits until `count` calls have reached a handler, or `count` lines the log. */
void fixture_await_entered(test_fixture *fixture, unsigned count);
void fixture_await_logged(test_fixture *fixture, unsigned count);

/* Raw peers: the transport alone, and bytes in it. */
di_listener *raw_listen(test_fixture *fixture);
/* Connecting waits from now on, perhaps after a few more. */
void raw_fill(di_listener *listener);
di_connection *raw_accept(di_listener *listener);
/* Receives, after the listener has brought what has come for the connection, if it is by that. */
int raw_receive(di_connection *connection, size_t want);
/* Connects; to a server of the fixture so that calls can be sent. */
di_connection *raw_connect(test_fixture *fixture);
/* The same without the server. */
di_connection *raw_connect_only(test_fixture *fixture);
void raw_close(di_connection *connection);
/* Waits until receive or send (enum di_wants) can go on, 10 s at most. */
void raw_await(di_connection *connection, unsigned wants);
void raw_send(di_connection *connection, const void *bytes, size_t size);
/* Sends all that was committed; what comes meanwhile is received where sending needs that. */
void raw_flush(di_connection *connection);
/* Writes a record in a single fragment at `at`, and returns its end. */
uint8_t *raw_record(uint8_t *at, const void *body, size_t size);
/* Reads exactly `size` bytes; false where the stream ends before. Fails the test after 10 s. */
bool raw_read(di_connection *connection, void *bytes, size_t size);
/* Whether something is there, or the end. */
bool raw_has(di_connection *connection);
/* Sends no more. */
void raw_end(di_connection *connection);
/* Sends and reads what goes at once. Both return how many bytes that was. */
size_t raw_send_some(di_connection *connection, const void *bytes, size_t size);
size_t raw_read_some(di_connection *connection, void *bytes, size_t most);
/* Whether the peer has closed: waits for the end of the stream. */
bool raw_ended(di_connection *connection);
/* Sends one record in a single fragment. */
void raw_send_record(di_connection *connection, const void *body, size_t size);
/* The same, but what has to wait goes with raw_has. */
void raw_queue_record(di_connection *connection, const void *body, size_t size);
/* Reads a record of a single fragment; returns its size. */
size_t raw_read_record(di_connection *connection, void *body, size_t room);

/* Writes a call's header with AUTH_NONE at `at`, and returns its end. */
uint8_t *raw_call(uint8_t *at, uint32_t xid, uint32_t program, uint32_t version,
                  uint32_t procedure);
/* Writes the header of a successful reply, and returns its end. */
uint8_t *raw_reply(uint8_t *at, uint32_t xid);

extern const echo_1_handlers echo_handlers;

#endif
