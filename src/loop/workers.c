/* SPDX-License-Identifier: MIT */
/* Threads that run the handlers of a server.
 *
 * The loop puts calls into one queue; a thread takes the first, decodes, runs the handler, and
 * writes and sends the reply by itself. The queue is bounded by the limits on calls in flight, in
 * which every call in it is counted. */
#include "loop/server.h"

#include <dari/error.h>

#include <signal.h>
#include <stdlib.h>

typedef struct di_workers {
    const dari_server *server;
    pthread_mutex_t lock;
    pthread_cond_t work;  /* there is some, or an end of it */
    pthread_cond_t quiet; /* no handler runs */
    dari_request *first;
    dari_request **end;
    unsigned running; /* handlers */
    unsigned idle;    /* threads that wait for work */
    bool paused;      /* written by the loop's thread alone */
    bool ending;
    unsigned count;
    pthread_t threads[];
} di_workers;

static void run(dari_request *request)
{
    /* Whoever answers may be done with it as soon as DARI_LATER is returned. */
    int result = di_request_run(request);
    if (result != DARI_LATER ||
        atomic_fetch_sub_explicit(&request->parties, 1, memory_order_acq_rel) == 1)
        di_request_end(request);
}

static void *work(void *argument)
{
    di_workers *workers = argument;
    pthread_mutex_lock(&workers->lock);
    while (!workers->ending) {
        bool rest = workers->paused || di_server_stops(workers->server);
        dari_request *request = rest ? NULL : workers->first;
        if (!request) {
            workers->idle++;
            pthread_cond_wait(&workers->work, &workers->lock);
            workers->idle--;
            continue;
        }
        workers->first = request->next;
        if (!workers->first)
            workers->end = &workers->first;
        workers->running++;
        pthread_mutex_unlock(&workers->lock);
        run(request);
        pthread_mutex_lock(&workers->lock);
        if (--workers->running == 0)
            pthread_cond_broadcast(&workers->quiet);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* Starts the threads with all signals blocked: those are the program's own threads' business. */
static int start_threads(di_workers *workers, unsigned count)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int cause = 0;
    while (workers->count < count && cause == 0) {
        cause = pthread_create(&workers->threads[workers->count], NULL, work, workers);
        workers->count += cause == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return workers->count > 0 ? 0 : DARI_NO_MEMORY;
}

static void resume(di_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->paused = false;
    pthread_cond_broadcast(&workers->work);
    pthread_mutex_unlock(&workers->lock);
}

int di_workers_start(dari_server *server)
{
    unsigned count = server->worker_count;
    if (server->workers && server->workers->paused)
        resume(server->workers);
    if (count == 0 || server->workers)
        return 0;
    di_workers *workers = calloc(1, sizeof *workers + count * sizeof *workers->threads);
    if (!workers)
        return DARI_NO_MEMORY;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->work, NULL);
    pthread_cond_init(&workers->quiet, NULL);
    workers->server = server;
    workers->end = &workers->first;
    server->workers = workers;
    int error = start_threads(workers, count);
    if (error < 0)
        di_workers_end(server);
    else if (workers->count < count)
        di_server_log(server, DARI_LIMIT, "%u of %u worker threads could be started",
                      workers->count, count);
    return error;
}

void di_workers_put(dari_server *server, dari_request *request)
{
    di_workers *workers = server->workers;
    request->next = NULL;
    pthread_mutex_lock(&workers->lock);
    *workers->end = request;
    workers->end = &request->next;
    bool wake = workers->idle > 0 && !workers->paused;
    pthread_mutex_unlock(&workers->lock);
    if (wake)
        pthread_cond_signal(&workers->work);
}

void di_workers_pause(dari_server *server)
{
    di_workers *workers = server->workers;
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->paused = true;
    while (workers->running > 0)
        pthread_cond_wait(&workers->quiet, &workers->lock);
    pthread_mutex_unlock(&workers->lock);
}

void di_workers_drop(dari_server *server)
{
    di_workers *workers = server->workers;
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    dari_request *request = workers->first;
    workers->first = NULL;
    workers->end = &workers->first;
    pthread_mutex_unlock(&workers->lock);
    for (dari_request *next; request; request = next) {
        next = request->next;
        di_request_count(server, request->counters, 0, DARI_CLOSED, false);
        di_request_end(request);
    }
}

void di_workers_end(dari_server *server)
{
    di_workers *workers = server->workers;
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->work);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->count; i++)
        pthread_join(workers->threads[i], NULL);
    di_workers_drop(server);
    pthread_cond_destroy(&workers->quiet);
    pthread_cond_destroy(&workers->work);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
    server->workers = NULL;
}
