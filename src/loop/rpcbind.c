/* SPDX-License-Identifier: MIT */
#include "loop/rpcbind.h"

#include "base/clock.h"
#include "loop/probe.h"
#include "transport/failure.h"

#include <dari/interface.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "tcp://[ADDRESS]:PORT", with the terminator. */
#define NUMERIC_SIZE (INET6_ADDRSTRLEN + 16)

static const dari_procedure procedures[] = {
    {DI_RPCB_SET, "SET", NULL},
    {DI_RPCB_UNSET, "UNSET", NULL},
    {DI_RPCB_GETADDR, "GETADDR", NULL},
    {DI_RPCB_DUMP, "DUMP", NULL},
};

#define INTERFACE(number, text)                                                              \
    {                                                                                        \
        .generator = DARI_GENERATOR_NEWEST, .program = DI_RPCB_PROGRAM, .version = (number), \
        .name = (text), .procedures = procedures,                                            \
        .procedure_count = sizeof procedures / sizeof *procedures                            \
    }

static const dari_interface interfaces[] = {INTERFACE(2, "PMAP_V2"), INTERFACE(3, "RPCB_V3"),
                                            INTERFACE(4, "RPCB_V4")};

/* What a procedure returned. Strings lie in the call's memory, until the next call. */
typedef struct rpcb_answer {
    bool truth;
    unsigned port;
    const char *address; /* of GETADDR */
    di_rpcb entry;       /* of DUMP */
} rpcb_answer;

int di_rpcbind_open(di_rpcbind *ret_rpcbind, const char *address, bool reserved, uint64_t deadline,
                    di_failure *failure)
{
    *ret_rpcbind = (di_rpcbind){.version = DI_RPCB_NEWEST, .deadline = deadline};
    ret_rpcbind->call.deadline_ns = di_time_left(deadline);
    dari_client_options options = {.message_max = DI_RPCBIND_MESSAGE_MAX,
                                   .no_reconnect = true,
                                   .call = &ret_rpcbind->call,
                                   .tcp.reserved_port = reserved};
    int error = dari_connect(address, &options, &ret_rpcbind->client);
    if (error < 0) {
        const char *words = ret_rpcbind->call.fault.field;
        *failure = (di_failure){.system_error = ret_rpcbind->call.system_error,
                                .words = words ? words : "rpcbind cannot be reached"};
        dari_call_end(&ret_rpcbind->call);
    }
    return error;
}

void di_rpcbind_close(di_rpcbind *rpcbind)
{
    dari_client_close(rpcbind->client);
    dari_call_end(&rpcbind->call);
}

static bool is_udp(const di_rpcb *what)
{
    return strncmp(what->netid, "udp", 3) == 0;
}

static bool is_ipv6(const di_rpcb *what)
{
    return strchr(what->netid, '6') != NULL;
}

static unsigned port_of(const char *universal)
{
    di_socket_address address;
    return di_universal_read(universal, &address) < 0 ? 0 : di_socket_port(&address);
}

/* Writes the argument of a procedure, whose size is known. */
static void encode(uint8_t *at, uint32_t version, const di_rpcb *what)
{
    if (version > DI_RPCB_OLDEST) {
        di_rpcb_encode(at, what);
        return;
    }
    const di_pmap pmap = {.program = what->program,
                          .version = what->version,
                          .protocol = is_udp(what) ? IPPROTO_UDP : IPPROTO_TCP,
                          .port = port_of(what->address)};
    di_pmap_encode(at, &pmap);
}

static int64_t size_of(dari_encoder *encoder, uint32_t version, enum di_rpcb_procedure procedure,
                       const di_rpcb *what)
{
    if (procedure == DI_RPCB_DUMP)
        return 0;
    return version > DI_RPCB_OLDEST ? di_rpcb_size(encoder, what) : (int64_t)DI_PMAP_SIZE;
}

static const uint8_t *decode(dari_decoder *decoder, const uint8_t *at, uint32_t version,
                             enum di_rpcb_procedure procedure, const di_rpcb *what,
                             rpcb_answer *ret_answer)
{
    char *address = NULL;
    uint32_t port = 0;
    switch (procedure) {
    case DI_RPCB_GETADDR:
        if (version == DI_RPCB_OLDEST)
            at = di_rpcb_decode_port(decoder, at, &port);
        else
            at = di_rpcb_decode_address(decoder, at, &address);
        ret_answer->port = port;
        ret_answer->address = address;
        return at;
    case DI_RPCB_DUMP:
        return di_rpcb_decode_list(decoder, at, what, &ret_answer->entry);
    default:
        return di_rpcb_decode_truth(decoder, at, &ret_answer->truth);
    }
}

/* Calls a procedure of the version that is tried. */
static int call(di_rpcbind *rpcbind, enum di_rpcb_procedure procedure, const di_rpcb *what,
                rpcb_answer *ret_answer)
{
    uint32_t version = rpcbind->version;
    dari_exchange exchange;
    dari_call_reset(&rpcbind->call);
    rpcbind->call.deadline_ns = di_time_left(rpcbind->deadline);
    dari_exchange_begin(&exchange, rpcbind->client, &interfaces[version - DI_RPCB_OLDEST],
                        (uint32_t)procedure - 1, &rpcbind->call);
    int64_t size = size_of(&exchange.encoder, version, procedure, what);
    uint8_t *argument = dari_exchange_reserve(&exchange, size);
    if (argument && size > 0)
        encode(argument, version, what);
    const uint8_t *at = dari_exchange_send(&exchange);
    if (at)
        at = decode(&exchange.decoder, at, version, procedure, what, ret_answer);
    return dari_exchange_end(&exchange, at);
}

/* Whether an older version may do better. */
static bool is_refusal(int error)
{
    return error == DARI_AUTH || (error <= DARI_PROGRAM_UNAVAILABLE && error >= DARI_SYSTEM_ERROR);
}

/* What has become of a call, for those who don't know rpcbind. */
static int explain(const di_rpcbind *rpcbind, int error, di_failure *failure)
{
    switch (error) {
    case 0:
    case DARI_NO_MEMORY:
        return error;
    case DARI_DEADLINE:
        return di_fail(failure, error, "rpcbind does not answer");
    case DARI_ERRNO:
        *failure = (di_failure){.system_error = rpcbind->call.system_error};
        return error;
    case DARI_CLOSED:
        return di_fail(failure, DARI_RPCBIND, "rpcbind closed the connection");
    default:
        return di_fail(failure, DARI_RPCBIND,
                       is_refusal(error) ? "rpcbind refuses to answer"
                                         : "the answer of rpcbind cannot be read");
    }
}

/* Calls a procedure, of an older version where a newer one is refused. */
static int ask(di_rpcbind *rpcbind, enum di_rpcb_procedure procedure, const di_rpcb *what,
               rpcb_answer *ret_answer, di_failure *failure)
{
    for (;;) {
        if (rpcbind->version == DI_RPCB_OLDEST && is_ipv6(what))
            return di_fail(failure, DARI_RPCBIND, "rpcbind is too old for IPv6");
        /* Version 2 has no owners and one address for all: the port says as much as its table. */
        if (rpcbind->version == DI_RPCB_OLDEST && procedure == DI_RPCB_DUMP)
            procedure = DI_RPCB_GETADDR;
        *ret_answer = (rpcb_answer){0};
        int error = call(rpcbind, procedure, what, ret_answer);
        if (!is_refusal(error) || rpcbind->version == DI_RPCB_OLDEST)
            return explain(rpcbind, error, failure);
        rpcbind->version--;
    }
}

static int not_registered(const di_rpcb *what, di_failure *failure)
{
    *failure = (di_failure){.words = "rpcbind does not know the program",
                            .program = what->program,
                            .version = what->version};
    return DARI_NOT_REGISTERED;
}

int di_rpcbind_port(di_rpcbind *rpcbind, const di_rpcb *what, unsigned *ret_port,
                    di_failure *failure)
{
    rpcb_answer found;
    int error = ask(rpcbind, DI_RPCB_GETADDR, what, &found, failure);
    if (error < 0)
        return error;
    unsigned port = found.port;
    if (found.address) {
        di_socket_address address;
        if (!*found.address)
            return not_registered(what, failure);
        if (di_universal_read(found.address, &address) < 0 ||
            (address.any.sa_family == AF_INET6) != is_ipv6(what) ||
            (port = di_socket_port(&address)) == 0)
            return di_fail(failure, DARI_RPCBIND,
                           "rpcbind answers with an address that is of no use");
    } else if (port == 0) {
        return not_registered(what, failure);
    }
    *ret_port = port;
    return 0;
}

/* What is registered in the place of `what`. */
typedef struct registration {
    bool there;
    bool same;                 /* it is what we register, or did */
    bool foreign;              /* it is another user's, though rpcbind would let us take it */
    di_socket_address address; /* zeroed where it cannot be read */
} registration;

/* Version 2 tells the port alone: the host is any. */
static registration registered_port(const di_rpcb *what, unsigned port)
{
    registration found = {.there = port != 0, .same = port == port_of(what->address)};
    found.address.v4.sin_family = AF_INET;
    found.address.v4.sin_port = htons((uint16_t)port);
    return found;
}

static int find(di_rpcbind *rpcbind, const di_rpcb *what, registration *ret_found,
                di_failure *failure)
{
    rpcb_answer answer;
    int error = ask(rpcbind, DI_RPCB_DUMP, what, &answer, failure);
    if (error < 0)
        return error;
    const di_rpcb *entry = &answer.entry;
    if (rpcbind->version == DI_RPCB_OLDEST) {
        *ret_found = registered_port(what, answer.port);
        return 0;
    }
    *ret_found = (registration){.there = entry->netid != NULL};
    if (!entry->netid)
        return 0;
    ret_found->same = strcmp(entry->address, what->address) == 0;
    ret_found->foreign = geteuid() == 0 && strcmp(entry->owner, what->owner) != 0 &&
                         strcmp(entry->owner, "unknown") != 0;
    di_universal_read(entry->address, &ret_found->address);
    return 0;
}

/* Writes the address at which this machine reaches its own socket. Returns whether it has one. */
static bool write_local(char text[NUMERIC_SIZE], const char *scheme,
                        const di_socket_address *address)
{
    char host[INET6_ADDRSTRLEN] = "127.0.0.1";
    switch (address->any.sa_family) {
    case AF_INET:
        if (address->v4.sin_addr.s_addr != htonl(INADDR_ANY))
            inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        snprintf(text, NUMERIC_SIZE, "%s://%s:%u", scheme, host, di_socket_port(address));
        return true;
    case AF_INET6:
        inet_ntop(AF_INET6,
                  IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr) ? &in6addr_loopback
                                                                  : &address->v6.sin6_addr,
                  host, sizeof host);
        snprintf(text, NUMERIC_SIZE, "%s://[%s]:%u", scheme, host, di_socket_port(address));
        return true;
    default:
        return false;
    }
}

/* Whether the program may be served at an address of this machine. Who is silent or hangs up may be
 * it; a server that answers and has not the program has taken a dead one's port. */
static bool is_alive(const di_rpcbind *rpcbind, const di_rpcb *what,
                     const di_socket_address *address)
{
    char text[NUMERIC_SIZE];
    uint64_t left = di_time_left(rpcbind->deadline);
    dari_call call = {.deadline_ns = left < DI_RPCBIND_PROBE_NS ? left : DI_RPCBIND_PROBE_NS};
    if (!write_local(text, is_udp(what) ? "udp" : "tcp", address))
        return false;
    int error = di_probe(text, &(dari_client_options){.call = &call}, what->program, what->version);
    dari_call_end(&call);
    switch (error) {
    case 0:
    case DARI_DEADLINE:
    case DARI_CLOSED:
    case DARI_AUTH:
    case DARI_PROGRAM_MISMATCH:
    case DARI_SYSTEM_ERROR:
        return true;
    default:
        return false;
    }
}

static int in_use(const di_rpcb *what, const char *words, di_failure *failure)
{
    *failure = (di_failure){.words = words, .program = what->program, .version = what->version};
    return DARI_IN_USE;
}

/* Makes way for a registration. */
static int replace(di_rpcbind *rpcbind, const di_rpcb *what, di_failure *failure)
{
    registration there;
    rpcb_answer answer;
    int error = find(rpcbind, what, &there, failure);
    if (error < 0 || !there.there)
        return error;
    if (there.foreign)
        return in_use(what, "another user has registered the program", failure);
    if (!there.same && is_alive(rpcbind, what, &there.address))
        return in_use(what, "another server has registered the program, and its port is in use",
                      failure);
    error = ask(rpcbind, DI_RPCB_UNSET, what, &answer, failure);
    if (error == 0 && !answer.truth)
        return in_use(what, "another user has registered the program", failure);
    return error;
}

int di_rpcbind_register(di_rpcbind *rpcbind, const di_rpcb *what, di_failure *failure)
{
    rpcb_answer answer;
    int error = ask(rpcbind, DI_RPCB_SET, what, &answer, failure);
    if (error < 0 || answer.truth)
        return error;
    error = replace(rpcbind, what, failure);
    if (error == 0)
        error = ask(rpcbind, DI_RPCB_SET, what, &answer, failure);
    if (error < 0 || answer.truth)
        return error;
    *failure = (di_failure){.words = "rpcbind does not let the program be registered",
                            .program = what->program,
                            .version = what->version};
    return DARI_RPCBIND;
}

int di_rpcbind_unregister(di_rpcbind *rpcbind, const di_rpcb *what, di_failure *failure)
{
    registration there;
    rpcb_answer answer;
    int error = find(rpcbind, what, &there, failure);
    if (error < 0 || !there.there || !there.same || there.foreign)
        return error;
    error = ask(rpcbind, DI_RPCB_UNSET, what, &answer, failure);
    if (error == 0 && !answer.truth)
        return di_fail(failure, DARI_RPCBIND, "rpcbind does not let the program be unregistered");
    return error;
}
