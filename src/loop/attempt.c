/* SPDX-License-Identifier: MIT */
#include "loop/attempt.h"

#include "base/thread.h"
#include "loop/client.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct di_attempt {
    atomic_uint holders; /* the client and the thread */
    pthread_mutex_t lock;
    dari_client *client; /* NULL: abandoned */
    uint64_t deadline;
    di_destination destination;
    char texts[]; /* of the destination */
};

static void let_go(di_attempt *attempt)
{
    if (atomic_fetch_sub(&attempt->holders, 1) > 1)
        return;
    pthread_mutex_destroy(&attempt->lock);
    free(attempt);
}

/* The client's lock is taken within the attempt's, never the other way round. */
static void *run(void *argument)
{
    di_attempt *attempt = argument;
    di_connection *connection = NULL;
    di_failure failure = {0};
    bool taken = false;
    int error =
        di_destination_connect(&attempt->destination, attempt->deadline, &connection, &failure);
    pthread_mutex_lock(&attempt->lock);
    if (attempt->client)
        taken = di_reconnect_take(attempt->client, attempt, error, connection, &failure);
    pthread_mutex_unlock(&attempt->lock);
    if (taken)
        let_go(attempt);
    else if (connection)
        connection->ops->close(connection);
    let_go(attempt);
    return NULL;
}

int di_attempt_begin(dari_client *client, uint64_t deadline, di_attempt **ret_attempt,
                     di_failure *ret_failure)
{
    const di_destination *destination = &client->reach.destination;
    size_t rest = strlen(destination->rest) + 1;
    size_t rpcbind = destination->rpcbind ? strlen(destination->rpcbind) + 1 : 0;
    di_attempt *attempt = malloc(sizeof *attempt + rest + rpcbind);
    if (!attempt)
        return DARI_NO_MEMORY;
    atomic_init(&attempt->holders, 2);
    pthread_mutex_init(&attempt->lock, NULL);
    attempt->client = client;
    attempt->deadline = deadline;
    attempt->destination = *destination;
    attempt->destination.rest = memcpy(attempt->texts, destination->rest, rest);
    if (rpcbind)
        attempt->destination.rpcbind = memcpy(attempt->texts + rest, destination->rpcbind, rpcbind);
    int cause = di_thread_start(run, attempt);
    if (cause) {
        pthread_mutex_destroy(&attempt->lock);
        free(attempt);
        *ret_failure = (di_failure){.system_error = cause};
        return DARI_ERRNO;
    }
    *ret_attempt = attempt;
    return 0;
}

void di_attempt_abandon(di_attempt *attempt)
{
    if (!attempt)
        return;
    pthread_mutex_lock(&attempt->lock);
    attempt->client = NULL;
    pthread_mutex_unlock(&attempt->lock);
    let_go(attempt);
}

void di_attempt_free(di_attempt *attempt)
{
    free(attempt);
}
