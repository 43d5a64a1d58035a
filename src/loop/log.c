/* SPDX-License-Identifier: MIT */
/* The log of a server. What its peers cause is limited, so that a hostile one can neither fill a
 * disk nor slow the others down: so many lines a second, of all peers together, and then how many
 * were left out. Any thread. */
#include "loop/server.h"

#include "base/clock.h"

#include <dari/error.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* How long lines are counted together. */
#define WINDOW_NS DARI_S

/* Called with the log's lock held, as what follows. */
static void write_line(dari_server *server, int error, const char *format, va_list arguments)
{
    char text[DI_SERVER_TEXT_SIZE];
    if (!server->log)
        return;
    vsnprintf(text, sizeof text, format, arguments);
    server->log(server->log_user, error, text);
}

static __attribute__((format(printf, 3, 4))) void print(dari_server *server, int error,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(server, error, format, arguments);
    va_end(arguments);
}

static void tell_left_out(dari_server *server)
{
    if (server->log_left_out > 0)
        print(server, DARI_LIMIT, "lines left out: %" PRIu64, server->log_left_out);
    server->log_left_out = 0;
    atomic_store(&server->log_due, 0);
}

/* Whether one line more may be written. Otherwise it is counted, and `ret_first` says whether it is
 * the first to be. */
static bool may_write(dari_server *server, bool *ret_first)
{
    uint64_t now = di_now();
    if (now >= server->log_until) {
        tell_left_out(server);
        server->log_until = now + WINDOW_NS;
        server->log_lines = 0;
    }
    if (server->log_lines < server->log_lines_per_second) {
        server->log_lines++;
        return true;
    }
    if (server->log_left_out++ == 0) {
        atomic_store(&server->log_due, server->log_until);
        *ret_first = true;
    }
    return false;
}

void di_server_log(dari_server *server, int error, const char *format, ...)
{
    va_list arguments;
    pthread_mutex_lock(&server->log_lock);
    va_start(arguments, format);
    write_line(server, error, format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&server->log_lock);
}

void di_server_log_peer(dari_server *server, int error, const char *format, ...)
{
    bool first = false;
    va_list arguments;
    pthread_mutex_lock(&server->log_lock);
    if (server->log && may_write(server, &first)) {
        va_start(arguments, format);
        write_line(server, error, format, arguments);
        va_end(arguments);
    }
    pthread_mutex_unlock(&server->log_lock);
    if (!first)
        return;
    /* The loop is to tell how many. */
    pthread_mutex_lock(&server->lock);
    if (!server->gone)
        di_server_wake(server);
    pthread_mutex_unlock(&server->lock);
}

void di_server_log_rest(dari_server *server, uint64_t now)
{
    uint64_t due = atomic_load(&server->log_due);
    if (due == 0 || now < due)
        return;
    pthread_mutex_lock(&server->log_lock);
    tell_left_out(server);
    pthread_mutex_unlock(&server->log_lock);
}
