/* SPDX-License-Identifier: MIT */
#include "loop/destination.h"

#include "base/clock.h"
#include "loop/probe.h"
#include "loop/rpcbind.h"
#include "transport/failure.h"
#include "transport/place.h"
#include "transport/resolve.h"
#include "transport/universal.h"

#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define RPCBIND_PORT "111"
/* "[ADDRESS%INTERFACE]:PORT" behind any prefix. */
#define NUMERIC_SIZE (INET6_ADDRSTRLEN + IF_NAMESIZE + 24)

/* How far a try has come: the further, the more its failure tells. */
enum stage { STAGE_RPCBIND, STAGE_ASKED, STAGE_SERVER };

/* An address of the host by numbers, and a port. */
static int write_numeric(char text[NUMERIC_SIZE], const di_transport *transport,
                         const struct addrinfo *address, const char *port)
{
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE];
    bool bracketed = address->ai_family == AF_INET6;
    if (getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, NULL, 0,
                    NI_NUMERICHOST) != 0)
        return DARI_ADDRESS;
    snprintf(text, NUMERIC_SIZE, "%s%s%s%s:%s", transport->prefix, bracketed ? "[" : "", host,
             bracketed ? "]" : "", port);
    return 0;
}

/* Asks rpcbind at one address of the host for the port of the program. */
static int ask_at(const di_destination *destination, const struct addrinfo *address,
                  uint64_t deadline, char ret_port[DI_PORT_SIZE], enum stage *ret_stage,
                  di_failure *failure)
{
    char text[NUMERIC_SIZE], universal[DI_UNIVERSAL_SIZE];
    unsigned port;
    di_socket_address place = {.v6 = {0}};
    di_rpcb what = {.program = destination->program,
                    .version = destination->version,
                    .netid = di_netid(address->ai_family, destination->transport->port_type),
                    .address = universal,
                    .owner = ""};
    int error = write_numeric(text, destination->transport, address, RPCBIND_PORT);
    if (error < 0 || !what.netid || address->ai_addrlen > sizeof place)
        return DARI_ADDRESS;
    memcpy(&place, address->ai_addr, address->ai_addrlen);
    di_universal_write(&place, universal);
    di_rpcbind rpcbind;
    error = di_rpcbind_open(&rpcbind, destination->rpcbind ? destination->rpcbind : text, false,
                            deadline, failure);
    if (error < 0)
        return error;
    *ret_stage = STAGE_ASKED;
    error = di_rpcbind_port(&rpcbind, &what, &port, failure);
    di_rpcbind_close(&rpcbind);
    if (error == 0)
        snprintf(ret_port, DI_PORT_SIZE, "%u", port);
    return error;
}

/* A host whose addresses are tried. */
typedef struct host {
    const di_destination *destination;
    di_place place;
    bool probes; /* connecting would not tell whether a server is there */
} host;

/* Whether a server answers at the address, whatever it says. Returns 0 or the error by which it
 * does not. */
static int probe(const di_destination *destination, const char *address, uint64_t deadline,
                 di_failure *failure)
{
    dari_call call = {.deadline_ns = di_time_left(deadline)};
    const dari_client_options options = {.call = &call,
                                         .retry_ns = destination->retry_ns,
                                         .no_reconnect = true,
                                         .accept = DARI_ACCEPT_TRAILING,
                                         .tcp.reserved_port = destination->options.reserved_port};
    int error = di_probe(address, &options, destination->program, destination->version);
    bool answers = error <= DARI_RPC_MISMATCH && error >= DARI_SYSTEM_ERROR;
    *failure = (di_failure){.system_error = call.system_error,
                            .words = call.fault.field,
                            .found = call.fault.found,
                            .allowed = call.fault.allowed};
    dari_call_end(&call);
    return answers ? 0 : error;
}

/* The host is the one that the address names: from rpcbind comes the port alone. */
static int try_address(const host *self, const struct addrinfo *address, uint64_t deadline,
                       enum stage *ret_stage, di_connection **ret_connection, di_failure *failure)
{
    const di_destination *destination = self->destination;
    const di_transport *transport = destination->transport;
    char text[NUMERIC_SIZE], port[DI_PORT_SIZE];
    int error = 0;
    strcpy(port, self->place.port);
    if (destination->asks)
        error = ask_at(destination, address, deadline, port, ret_stage, failure);
    if (error == 0)
        error = write_numeric(text, transport, address, port);
    if (error < 0)
        return error;
    *ret_stage = STAGE_SERVER;
    if (self->probes)
        error = probe(destination, text, deadline, failure);
    if (error < 0)
        return error;
    return transport->connect(text + strlen(transport->prefix), deadline, &destination->options,
                              ret_connection, failure);
}

/* When the next of `left` addresses is to be tried. */
static uint64_t share(uint64_t deadline, unsigned left)
{
    uint64_t now = di_now();
    if (left == 1 || deadline <= now)
        return deadline;
    return deadline == DI_NEVER ? di_deadline_after(now, DARI_CONNECT_DEFAULT_NS)
                                : now + (deadline - now) / left;
}

/* Tries the addresses in order, each with its share of the time that is left. Where all fail, the
 * most telling error is reported; of equal ones the last. */
static int try_addresses(const host *self, const struct addrinfo *addresses, uint64_t deadline,
                         di_connection **ret_connection, di_failure *ret_failure)
{
    unsigned left = 0;
    int told = DARI_ADDRESS, told_rank = -1;
    for (const struct addrinfo *at = addresses; at; at = at->ai_next)
        left++;
    for (const struct addrinfo *at = addresses; at; at = at->ai_next, left--) {
        di_failure failure = {0};
        enum stage stage = STAGE_RPCBIND;
        int error =
            at != addresses && di_now() >= deadline
                ? DARI_DEADLINE
                : try_address(self, at, share(deadline, left), &stage, ret_connection, &failure);
        if (error == 0)
            return 0;
        int rank = (int)stage * 4 + di_failure_rank(error);
        if (rank >= told_rank) {
            told = error;
            told_rank = rank;
            *ret_failure = failure;
        }
    }
    return told;
}

static int connect_to_host(const di_destination *destination, uint64_t deadline,
                           di_connection **ret_connection, di_failure *failure)
{
    host self = {.destination = destination};
    struct addrinfo *addresses;
    int error = di_place_parse(destination->rest, &self.place, failure);
    if (error == 0)
        error =
            di_resolve_address(self.place.host, destination->asks ? RPCBIND_PORT : self.place.port,
                               deadline, &addresses, failure);
    if (error < 0)
        return error;
    self.probes = addresses->ai_next && destination->transport->port_type == SOCK_DGRAM;
    if (!self.probes || destination->knows_program)
        error = try_addresses(&self, addresses, deadline, ret_connection, failure);
    freeaddrinfo(addresses);
    return error;
}

int di_destination_connect(const di_destination *destination, uint64_t deadline,
                           di_connection **ret_connection, di_failure *failure)
{
    *ret_connection = NULL;
    if (destination->asks && !destination->knows_program)
        return 0;
    if (destination->transport->port_type)
        return connect_to_host(destination, deadline, ret_connection, failure);
    return destination->transport->connect(destination->rest, deadline, &destination->options,
                                           ret_connection, failure);
}
