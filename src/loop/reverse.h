/* SPDX-License-Identifier: MIT */
/* Calls against the direction of a connection (RFC 8167 names them reverse): the server calls, and
 * the client answers. Both ends get what they lack as a connection of its own kind, which passes
 * messages through the other party's channel: reverse_client.c makes a client of a session,
 * reverse_server.c, by an inlet (inlet.c), a session of a client. The type of a message says whose
 * it is.
 *
 * Locks, where several are taken: the client that calls over a session, that session, the client
 * that a session answers for; each before the next one, and before server->lock. */
#ifndef DI_LOOP_REVERSE_H
#define DI_LOOP_REVERSE_H

#include "loop/server.h"

/* The client's side of a session. From any thread: */

/* Whether the client has to wait before it adds a message to the output of its session; if so, it
 * is told by di_caller_room. Called with the client's lock held. */
bool di_caller_is_full(const dari_client *client);
/* Whether this thread is the one that receives for the client. */
bool di_caller_is_here(const dari_client *client);
/* Whether the server stops, and no call may wait for it. Called with the client's lock held, as
 * the next one: 0, or why a call must not wait. */
bool di_caller_stops(const dari_client *client);
int di_caller_refuses(const dari_client *client);
/* A call was added that ends at `deadline` at the latest. Called with the client's lock held. */
void di_caller_queued(dari_client *client, uint64_t deadline);
/* One of its owners closes the client. Returns whether that was the last one. */
bool di_caller_leave(dari_client *client);

/* From the loop's thread: */

/* A reply has come. */
void di_caller_take(di_session *session, const di_message *message);
/* The session has room for messages, again. */
void di_caller_room(di_session *session);
/* The peer sends no more, though it may get the rest of its replies: no call is answered. */
void di_caller_deaf(di_session *session);
/* The session's connection is closed. */
void di_caller_lost(di_session *session);
/* Whether calls of the session's client wait for answers. */
bool di_caller_waits(di_session *session);
/* Ends calls whose time is over. */
void di_callers_expire(dari_server *server);
/* Ends calls that threads wait for, and those that they make until the server goes on. */
void di_callers_stop(dari_server *server);

/* The server's side of a client: a service, which its client and its server know, and which ends
 * with the first of them; and an inlet for each connection, once a call has come by it. */

/* A call has come to the client. Called with its lock held. */
void di_reverse_service_take(dari_client *client, const di_message *message);
/* Whether the server's loop runs, in another thread than this one. */
bool di_reverse_service_runs(const dari_client *client);
/* The connection of the client is lost, or its output has room. Called with its lock held. */
void di_reverse_service_lost(dari_client *client);
void di_reverse_service_room(dari_client *client);
/* The client is closed; the server is destroyed. */
void di_reverse_service_end(struct di_reverse_service *service);
void di_reverse_services_end(dari_server *server);

/* Does what the events of the client's loop allow; in the loop's thread, as the next ones. */
void di_reverse_service_event(struct di_reverse_service *service);
/* When the next client has something to do by itself, in ns from now; UINT64_MAX: never. */
uint64_t di_reverse_services_timeout_ns(const dari_server *server);
/* Makes sessions of inlets, and lets clients do what is due. */
void di_reverse_services_heed(dari_server *server);

#endif
