/* SPDX-License-Identifier: MIT */
/* What the code that `dari gen` writes and the library say to each other.
 *
 * Programs do not use this header by themselves: they call the generated functions, which are made
 * of these pieces. The path of a call is stub -> dari_exchange -> wire -> dari_request -> handler.
 */
#ifndef DARI_INTERFACE_H
#define DARI_INTERFACE_H

#include <dari/call.h>
#include <dari/client.h>
#include <dari/server.h>
#include <dari/xdr.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Generated code states the version of this contract that it was written for. A compiler refuses it
 * where this header is not in the range, the library where it runs another one. */
#define DARI_GENERATOR_OLDEST 2
#define DARI_GENERATOR_NEWEST 2

/* One procedure. `serve` decodes the arguments, calls the handler and replies; it returns 0 or the
 * error that the runtime answers with; which of them promise that nothing was done, server.h says.
 */
typedef struct dari_procedure {
    uint32_t number;
    const char *name; /* as the interface file has it: "READDIR" */
    int (*serve)(dari_request *request, const void *handlers); /* or DARI_LATER, at once */
} dari_procedure;

/* One version of one program. */
typedef struct dari_interface {
    uint32_t generator; /* DARI_GENERATOR_... that it was written for */
    uint32_t program;
    uint32_t version;
    const char *name;                 /* "CALC_V1" */
    const dari_procedure *procedures; /* ascending by number */
    uint32_t procedure_count;
} dari_interface;

/* The client's side of one call. Errors stick: after one, each step does nothing, and the end
 * returns it. */
typedef struct dari_exchange {
    dari_encoder encoder;       /* for the argument, */
    dari_references references; /* and what of it was not copied */
    dari_decoder decoder;       /* for the result, once the reply is there */
    dari_client *client;
    const dari_interface *interface;
    const dari_procedure *procedure;
    dari_call *call;   /* may be NULL */
    uint64_t deadline; /* on the monotonic clock, ns */
    uint64_t allowed_ns;
    uint64_t began;    /* on that clock, too */
    uint64_t ended;    /* 0: it has not, or that is not known yet */
    void *counters;    /* of the procedure, once the call is counted */
    uint8_t *argument; /* where the argument goes */
    void *reply;       /* the message that the reply lies in */
    void *borrowed;    /* or the memory of the connection, for the call context; or NULL */
    uint32_t xid;
    int error;
    int system_error;
    uint16_t entered; /* interceptors that let the call pass */
    bool delayed;     /* time has passed since it began */
    bool locked;      /* this thread has the lock of the client, for a small argument */
    uint32_t repeats; /* how often the call was sent again, though it may have run */
    bool idempotent;  /* it may be */
    bool queued;      /* the message waits for no turn, and nobody for its reply */
    bool may_have_run;
    bool holds; /* the reply lies in the connection, which waits until it is decoded */
} dari_exchange;

/* Begins a call of the procedure at `index` of the interface's table. `call` may be NULL. */
void dari_exchange_begin(dari_exchange *exchange, dari_client *client,
                         const dari_interface *interface, uint32_t index, dari_call *call);

/* Lends room for an argument of `size` bytes, or passes on the negative `size` of one that is not
 * valid. Returns NULL where the call has failed. */
uint8_t *dari_exchange_reserve(dari_exchange *exchange, int64_t size);

/* Sends the call and waits for its reply. Returns where the result begins, for exchange->decoder,
 * or NULL where the call has failed. */
const uint8_t *dari_exchange_send(dari_exchange *exchange);

/* Ends the call: `at` is where decoding the result ended. Returns 0 or the error, and fills in the
 * call context. */
int dari_exchange_end(dari_exchange *exchange, const uint8_t *at);

/* Calls that are started begin with dari_exchange_begin_queued instead of dari_exchange_begin; what
 * an earlier result in the context held is given back. */
void dari_exchange_begin_queued(dari_exchange *exchange, dari_client *client,
                                const dari_interface *interface, uint32_t index, dari_call *call);

/* The caller's function, to be cast back to its own type before it is called. */
typedef void dari_done(void);

/* Decodes the result at `result`, unless that is NULL, ends the exchange, and calls `done`. */
typedef void dari_finish(dari_exchange *exchange, const uint8_t *result, dari_done *done,
                         void *user);

/* Puts the call among those in flight. Returns 0, and `finish` will be called once, or the error,
 * and it will not. */
int dari_exchange_start(dari_exchange *exchange, dari_finish *finish, dari_done *done, void *user);

/* Takes memory of the call context for a result, or fails the call and returns NULL. */
void *dari_exchange_take(dari_exchange *exchange, size_t size);

/* Sends a call whose reply nobody waits for. Returns 0 or the error. */
int dari_exchange_post(dari_exchange *exchange);

/* The server's side, used by the generated `serve` functions. */

/* Adds an interface with its table of handlers; both must live as long as the server.
 * Errors: DARI_GENERATOR, DARI_IN_USE (this version of the program is there), DARI_NO_MEMORY; where
 * an address is registered with rpcbind, those of dari_server_listen. */
int dari_server_add(dari_server *server, const dari_interface *interface, const void *handlers,
                    void *user);

dari_decoder *dari_request_decoder(dari_request *request);
dari_encoder *dari_request_encoder(dari_request *request);

/* Where the arguments begin. */
const uint8_t *dari_request_arguments(dari_request *request);

/* Takes zeroed memory of the request's arena for the argument or the result, or returns NULL. */
void *dari_request_take(dari_request *request, size_t size);

/* Lends room for a result of `size` bytes, or passes on the negative `size` of one that is not
 * valid. Returns NULL where there is none; the call is then answered with an error. */
uint8_t *dari_request_reserve(dari_request *request, int64_t size);

/* Sends the reply whose result was written. Returns 0 or the error of dari_request_reserve. */
int dari_request_reply(dari_request *request);

/* The same for a call whose handler returned DARI_LATER; after an error SYSTEM_ERR is sent. The
 * request is gone afterwards. */
int dari_request_reply_later(dari_request *request);

#ifdef __cplusplus
}
#endif

#endif
