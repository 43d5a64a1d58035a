/* SPDX-License-Identifier: MIT */
/* Listening sockets that a server is given, one by one or by the manager that started it. */
#include "loop/server.h"
#include "transport/adopt.h"

#include <dari/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first descriptor that a manager hands over: sd_listen_fds(3). */
#define FIRST_INHERITED 3

static bool has_descriptor(const dari_server *server, int descriptor)
{
    for (const di_address *at = server->addresses; at; at = at->next)
        if (at->listener && at->listener->descriptor == descriptor)
            return true;
    return false;
}

static int listen_descriptor(dari_server *server, int descriptor, di_failure *failure)
{
    di_listener *listener;
    if (di_forked(&server->guard))
        return DARI_FORKED;
    if (has_descriptor(server, descriptor)) {
        *failure = (di_failure){.words = "the server listens at it already"};
        return DARI_IN_USE;
    }
    int error = di_adopt(descriptor, &listener, failure);
    if (error < 0)
        return error;
    error = di_server_take_listener(server, listener, false, failure);
    if (error < 0)
        di_unadopt(listener);
    return error;
}

int dari_server_listen_descriptor(dari_server *server, int descriptor)
{
    di_failure failure = {0};
    int error = listen_descriptor(server, descriptor, &failure);
    if (error < 0) {
        char what[32];
        snprintf(what, sizeof what, "descriptor %d", descriptor);
        di_server_describe(server, what, "listen", error, &failure);
    }
    return error;
}

/* Reads an environment variable that is a number. Returns false where it is none. */
static bool read_number(const char *name, long *ret_number)
{
    const char *text = getenv(name);
    char *end;
    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret_number = strtol(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static int listen_inherited(dari_server *server)
{
    static const di_failure no_number = {.words = "it is no number of descriptors"};
    long process, count;
    if (!getenv("LISTEN_FDS") || !read_number("LISTEN_PID", &process) || process != getpid())
        return 0;
    if (!read_number("LISTEN_FDS", &count) || count > INT32_MAX - FIRST_INHERITED) {
        di_server_describe(server, "LISTEN_FDS", "listen", DARI_INVALID, &no_number);
        return DARI_INVALID;
    }
    for (int i = 0; i < (int)count; i++) {
        int error = dari_server_listen_descriptor(server, FIRST_INHERITED + i);
        if (error < 0)
            return error;
    }
    return (int)count;
}

int dari_server_listen_inherited(dari_server *server, bool unset)
{
    int result = listen_inherited(server);
    if (unset) {
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_FDNAMES");
    }
    return result;
}
