/* SPDX-License-Identifier: MIT */
/* getaddrinfo can't be given a deadline nor be cancelled, so a name is looked up by a detached
 * thread. The lookup belongs to both sides; whoever leaves last frees it. */
#include "transport/resolve.h"

#include "base/thread.h"
#include "transport/failure.h"
#include "transport/place.h"

#include <dari/error.h>

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool done;
    bool abandoned;
    int result; /* of getaddrinfo */
    int cause;  /* errno with EAI_SYSTEM */
    struct addrinfo *addresses;
    char *port; /* in the same memory as host */
    char host[];
} lookup;

static int ask(const char *host, const char *port, int flags, struct addrinfo **ret_addresses)
{
    struct addrinfo hints = {
        .ai_flags = flags | AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    return getaddrinfo(host, port, &hints, ret_addresses);
}

static int lookup_failure(int result, int cause, di_failure *failure)
{
    switch (result) {
    case EAI_SYSTEM:
        *failure = (di_failure){.system_error = cause};
        return DARI_ERRNO;
    case EAI_MEMORY:
        return DARI_NO_MEMORY;
    case EAI_AGAIN:
        *failure = (di_failure){.words = "the name cannot be looked up now"};
        return DARI_ADDRESS;
    case EAI_NONAME:
    case EAI_NODATA:
        *failure = (di_failure){.words = "no host has that name"};
        return DARI_ADDRESS;
    default:
        *failure = (di_failure){.words = gai_strerror(result)};
        return DARI_ADDRESS;
    }
}

static void free_lookup(lookup *look)
{
    pthread_cond_destroy(&look->finished);
    pthread_mutex_destroy(&look->lock);
    if (look->addresses)
        freeaddrinfo(look->addresses);
    free(look);
}

static void *run(void *argument)
{
    lookup *look = argument;
    struct addrinfo *addresses = NULL;
    int result = ask(look->host, look->port, 0, &addresses);
    int cause = errno;
    pthread_mutex_lock(&look->lock);
    look->result = result;
    look->cause = cause;
    look->addresses = result == 0 ? addresses : NULL;
    look->done = true;
    bool abandoned = look->abandoned;
    if (!abandoned)
        pthread_cond_signal(&look->finished);
    pthread_mutex_unlock(&look->lock);
    if (abandoned)
        free_lookup(look);
    return NULL;
}

static lookup *make_lookup(const char *host, const char *port)
{
    size_t host_size = strlen(host) + 1;
    lookup *look = calloc(1, sizeof *look + host_size + strlen(port) + 1);
    if (!look)
        return NULL;
    look->port = look->host + host_size;
    strcpy(look->host, host);
    strcpy(look->port, port);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&look->finished, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&look->lock, NULL);
    return look;
}

/* Waits for the thread. Returns whether it finished in time; otherwise it frees the lookup. */
static bool wait_for(lookup *look, uint64_t deadline)
{
    struct timespec until = di_timespec(deadline);
    int cause = 0;
    pthread_mutex_lock(&look->lock);
    while (!look->done && cause != ETIMEDOUT)
        cause = deadline == DI_NEVER ? pthread_cond_wait(&look->finished, &look->lock)
                                     : pthread_cond_timedwait(&look->finished, &look->lock, &until);
    bool done = look->done;
    look->abandoned = !done;
    pthread_mutex_unlock(&look->lock);
    return done;
}

int di_resolve_address(const char *host, const char *port, uint64_t deadline,
                       struct addrinfo **ret_addresses, di_failure *failure)
{
    struct addrinfo *addresses = NULL;
    int result = ask(host, port, AI_NUMERICHOST, &addresses);
    if (result == 0) {
        *ret_addresses = addresses;
        return 0;
    }
    if (result != EAI_NONAME)
        return lookup_failure(result, errno, failure);
    lookup *look = make_lookup(host, port);
    if (!look)
        return DARI_NO_MEMORY;
    int cause = di_thread_start(run, look);
    if (cause) {
        free_lookup(look);
        *failure = (di_failure){.system_error = cause};
        return DARI_ERRNO;
    }
    if (!wait_for(look, deadline))
        return DARI_DEADLINE;
    int error = 0;
    if (look->result != 0) {
        error = lookup_failure(look->result, look->cause, failure);
    } else {
        *ret_addresses = look->addresses;
        look->addresses = NULL;
    }
    free_lookup(look);
    return error;
}

int di_resolve_place(const char *rest, uint64_t deadline, struct addrinfo **ret_addresses,
                     di_failure *failure)
{
    di_place place;
    int error = di_place_parse(rest, &place, failure);
    if (error < 0)
        return error;
    if (!*place.port)
        return di_fail(failure, DARI_ADDRESS, "the port is missing");
    return di_resolve_address(place.host, place.port, deadline, ret_addresses, failure);
}
